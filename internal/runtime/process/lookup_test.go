//go:build linux

package process

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestAProgramThatIsNotFoundIsAnsweredWithWhereItIsLookedFor(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, path, dir, want string }{
		{"tool", "/a:/b", "", `is not in the worker's PATH (got "tool"); valid: a program in one of /a:/b, or the path of an executable file`},
		{"tool", "", "", `is not found, because the worker's PATH is empty (got "tool"); valid: the path of an executable file`},
		{"./tool", "", "", `does not exist (got "./tool"); valid: the path of an executable file: absolute, or from worker.working_dir on, which is /`},
		{"bin/tool", "/a", dir, `does not exist (got "bin/tool"); valid: the path of an executable file: absolute, or from worker.working_dir on, which is ` + dir},
		{"/no/tool", "/a", dir, `does not exist (got "/no/tool"); valid: the path of an executable file`},
	} {
		_, fault := findProgram("worker.command", c.name, c.path, c.dir)
		require.NotNil(t, fault)
		require.Equal(t, "worker.command[0]: "+c.want, fault.String())
	}
}

func TestCheckFindsWhatThisHostCouldNotRun(t *testing.T) {
	t.Setenv("PATH", "/usr/bin:/bin")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tool"), []byte("#!/bin/sh\n"), 0o700))
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	r := openRuntime(t, t.TempDir())
	for _, c := range []struct {
		name   string
		host   string
		worker pool.WorkerTemplate
		exec   []string // the health check's command
		want   []string // path: reason
	}{
		{"a program in PATH", "", pool.WorkerTemplate{Command: []string{"sh"}}, nil, nil},
		{"a program in the worker's own PATH", "", pool.WorkerTemplate{Command: []string{"tool"}, Env: map[string]string{"PATH": dir}}, nil, nil},
		{"a program in a PATH relative to the directory", "", pool.WorkerTemplate{Command: []string{"tool"}, WorkingDir: dir, Env: map[string]string{"PATH": "."}}, nil, nil},
		{"a program relative to the directory", "", pool.WorkerTemplate{Command: []string{"./tool"}, WorkingDir: dir}, nil, nil},
		{"a program that a variable names", "", pool.WorkerTemplate{Command: []string{"${POOLKEEPER_POOL}"}}, nil, nil},
		{"this host", "here", pool.WorkerTemplate{Command: []string{"sh"}}, nil, nil},
		{"another host", "there", pool.WorkerTemplate{Command: []string{"sh"}}, nil, []string{"runtime.process.host: this manager runs processes of another host"}},
		{"no program", "", pool.WorkerTemplate{Command: []string{"tool"}}, nil, []string{"worker.command[0]: is not in the worker's PATH"}},
		{"no executable", "", pool.WorkerTemplate{Command: []string{file}}, nil, []string{"worker.command[0]: is not executable"}},
		{"all at once", "there", pool.WorkerTemplate{Command: []string{"/no/tool"}, WorkingDir: file}, []string{"/no/check"},
			[]string{"runtime.process.host: this manager runs processes of another host", "worker.working_dir: is not a directory", "worker.command[0]: does not exist", "health.exec.command[0]: does not exist"}},
		{"a check in the worker's PATH", "", pool.WorkerTemplate{Command: []string{"tool"}, Env: map[string]string{"PATH": dir}}, []string{"tool"}, nil},
		{"no check", "", pool.WorkerTemplate{Command: []string{"sh"}}, []string{"tool"}, []string{"health.exec.command[0]: is not in the worker's PATH"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := pool.Spec{Worker: c.worker, Runtime: pool.Runtime{Process: &pool.ProcessRuntime{Host: c.host}}}
			if c.exec != nil {
				spec.Health.Exec = &pool.ExecProbe{Command: c.exec}
			}
			var got []string
			for _, f := range r.Check(t.Context(), spec) {
				got = append(got, f.Path+": "+f.Reason)
				require.NotEmpty(t, f.Value)
				require.NotEmpty(t, f.Valid)
			}
			require.Equal(t, c.want, got)
		})
	}
}
