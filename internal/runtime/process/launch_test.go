//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

func TestAWorkerLeadsItsOwnSessionAndHoldsNothingButItsLog(t *testing.T) {
	dir := t.TempDir()
	leak, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0) // as if the manager had been started with it
	require.NoError(t, err)
	defer unix.Close(leak)
	r := openRuntime(t, dir)
	l := launchOf("w", "sh", "-c", "ls -l /proc/$$/fd; pwd; echo done; sleep 1000")
	instance := launch(t, r, l)

	p, err := look(instance.PID)
	require.NoError(t, err)
	require.True(t, p.leads(), "%+v", p)
	lines := output(t, r, "w")
	var files []string
	for _, line := range lines {
		if _, link, ok := strings.Cut(line, " -> "); ok {
			files = append(files, link)
		}
	}
	log := filepath.Join(r.logs.dir, testPool, "w.log")
	require.Equal(t, []string{"/dev/null", log, log}, files)
	require.Equal(t, "/", lines[len(lines)-1])
	stat, err := os.Stat(log)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), stat.Mode())
}

func TestAWorkersEnvironmentIsExactlyWhatItsSpecAndTheManagerSay(t *testing.T) {
	t.Setenv("TF_VAR_secret", "hunter2")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
	t.Setenv("PATH", "/usr/bin:/bin")
	t.Setenv("HOME", "/home/somebody")
	r := openRuntime(t, t.TempDir())
	common := []string{"POOLKEEPER_POOL=fleet", "POOLKEEPER_POOL_UID=p1", "POOLKEEPER_MANAGER=" + r.identity}
	for _, c := range []struct {
		name    string
		env     map[string]string
		secrets map[string]string
		want    []string
	}{
		{"nothing", nil, nil, []string{"PATH=/usr/bin:/bin", "HOME=/home/somebody"}},
		{"values", map[string]string{"A": "1", "B": "x y=z"}, nil, []string{"A=1", "B=x y=z", "PATH=/usr/bin:/bin", "HOME=/home/somebody"}},
		{"its-own-path-and-home", map[string]string{"PATH": "/bin", "HOME": "/"}, nil, []string{"PATH=/bin", "HOME=/"}},
		{"references", map[string]string{"ID": "<${POOLKEEPER_WORKER_ID}@${POOLKEEPER_POOL}>", "OTHER": "${HOME}${}"}, nil,
			[]string{"ID=<references@fleet>", "OTHER=${HOME}${}", "PATH=/usr/bin:/bin", "HOME=/home/somebody"}},
		{"secrets-as-they-are", map[string]string{"A": "1"}, map[string]string{"TOKEN": "$${PORT}${POOLKEEPER_POOL}"},
			[]string{"A=1", "TOKEN=$${PORT}${POOLKEEPER_POOL}", "PATH=/usr/bin:/bin", "HOME=/home/somebody"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := launchOf(c.name, "cat", "/proc/self/environ")
			l.Template.Env, l.Template.SecretEnv = c.env, c.secrets
			launch(t, r, l)
			next(t, r)
			text, err := r.Logs(t.Context(), testPool, c.name, 1<<20)
			require.NoError(t, err)
			got := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
			require.ElementsMatch(t, slices.Concat(c.want, common, []string{"POOLKEEPER_WORKER_ID=" + c.name}), got)
		})
	}
}

func TestPortsAreGivenToAWorkerByNameAndInItsCommand(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	l := launchOf("w", "sh", "-c", "echo ${PORT} ${POOLKEEPER_PORT_SIDE_CAR} $PORT $POOLKEEPER_PORT_HTTP $POOLKEEPER_PORT_SIDE_CAR ${POOLKEEPER_WORKER_ID} ${POOLKEEPER_POOL}; echo done")
	l.Template.Ports = []pool.Port{{Name: "http"}, {Name: "side-car"}}
	instance := launch(t, r, l)
	http, side := strconv.Itoa(instance.Ports["http"]), strconv.Itoa(instance.Ports["side-car"])
	require.NotEqual(t, http, side)
	require.Len(t, instance.Ports, 2)
	require.Equal(t, []string{strings.Join([]string{http, side, http, http, side, "w", "fleet"}, " ")}, output(t, r, "w"))
}

// ofTheLibrary are signals 32 and 33, which belong to the C library: its posix_spawn has them ignored (so
// whatever make starts does), Go cannot catch them, and whoever needs them sets them up anew.
const ofTheLibrary = uint64(3) << 31

func TestWorkersInheritNoIgnoredAndNoBlockedSignal(t *testing.T) {
	for _, c := range []struct {
		name, role string
		prefix     []string
	}{
		{"a manager under nohup", roleManager, []string{"nohup"}},
		{"a manager that was started ignoring signals", roleManager, []string{"sh", "-c", `trap '' HUP INT QUIT TERM TSTP TTOU USR1 PIPE CHLD; exec "$0"`}},
		{"a manager that was started with USR1 blocked", roleBlocked, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			startManager(t, dir, c.role, c.prefix, 1, "sed", "-n", "/^Sig[BI]/p; $a done", "/proc/self/status") // a shell would reset its mask
			r := openRuntime(t, dir)
			for _, line := range output(t, r, "w0") {
				name, mask, _ := strings.Cut(line, ":\t")
				bits, err := strconv.ParseUint(mask, 16, 64)
				require.NoError(t, err)
				require.Zero(t, bits&^ofTheLibrary, "%s: %s", name, mask)
			}
		})
	}
}

func TestALaunchThatOnlyTheSpecOrTheHostCanMendNamesTheField(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), mode))
		return path
	}
	plain := write("plain", "#!/bin/sh\n", 0o600)
	garbage := write("garbage", "\x00\x01\x02 no format", 0o700)
	orphan := write("orphan", "#!/no/such/interpreter\n", 0o700)
	r := openRuntime(t, t.TempDir())
	for _, c := range []struct {
		name     string
		template pool.WorkerTemplate
		path     string
		value    string
		reason   string
	}{
		{"a program that is nowhere", pool.WorkerTemplate{Command: []string{"no-such-program"}}, "worker.command[0]", `"no-such-program"`, "is not in the worker's PATH"},
		{"a program that is only in the manager's PATH", pool.WorkerTemplate{Command: []string{"sh"}, Env: map[string]string{"PATH": dir}}, "worker.command[0]", `"sh"`, "is not in the worker's PATH"},
		{"a path that is nowhere", pool.WorkerTemplate{Command: []string{"/no/such/program"}}, "worker.command[0]", `"/no/such/program"`, "does not exist"},
		{"a relative path that is not under the directory", pool.WorkerTemplate{Command: []string{"./sh"}, WorkingDir: dir}, "worker.command[0]", `"./sh"`, "does not exist"},
		{"a file that is not executable", pool.WorkerTemplate{Command: []string{plain}}, "worker.command[0]", strconv.Quote(plain), "is not executable"},
		{"a file in PATH that is not executable", pool.WorkerTemplate{Command: []string{"plain"}, Env: map[string]string{"PATH": dir}}, "worker.command[0]", `"plain"`, "is not executable (" + plain + ")"},
		{"a directory", pool.WorkerTemplate{Command: []string{"/bin/"}}, "worker.command[0]", `"/bin/"`, "is not a file"},
		{"a file in no format", pool.WorkerTemplate{Command: []string{garbage}}, "worker.command[0]", strconv.Quote(garbage), garbage + " is not in a format that the operating system can execute"},
		{"a script without its interpreter", pool.WorkerTemplate{Command: []string{orphan}}, "worker.command[0]", strconv.Quote(orphan), "the interpreter that " + orphan + " names does not exist"},
		{"a directory that is nowhere", pool.WorkerTemplate{Command: []string{"sh"}, WorkingDir: "/no/such/dir"}, "worker.working_dir", `"/no/such/dir"`, "does not exist"},
		{"a directory that is a file", pool.WorkerTemplate{Command: []string{"sh"}, WorkingDir: plain}, "worker.working_dir", strconv.Quote(plain), "is not a directory"},
		{"arguments that are too long", pool.WorkerTemplate{Command: []string{"sh", strings.Repeat("x", 1<<20)}}, "worker.command", "", "its arguments and environment are longer than the operating system allows"},
		{"no command", pool.WorkerTemplate{}, "worker.command", "", "is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := r.Launch(t.Context(), runtime.Launch{WorkerID: "w", PoolUID: testPool, PoolName: "fleet", Template: c.template})
			refused, ok := errors.AsType[*runtime.SpecError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, c.path, refused.Fault.Path)
			require.Equal(t, c.value, refused.Fault.Value)
			require.Equal(t, c.reason, refused.Fault.Reason)
			require.NotEmpty(t, refused.Fault.Valid)
			require.Empty(t, r.living())
		})
	}
}

func TestALaunchThatMaySucceedLaterIsNoFaultOfTheSpec(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	for _, c := range []struct {
		name   string
		launch func() error
	}{
		{"the log cannot be opened", func() error {
			require.NoError(t, os.MkdirAll(filepath.Join(r.logs.dir, testPool, "w.log"), 0o700))
			_, err := r.Launch(t.Context(), launchOf("w", "sleep", "1000"))
			return err
		}},
		{"the id is no name of a file", func() error {
			_, err := r.Launch(t.Context(), launchOf("../w", "sleep", "1000"))
			return err
		}},
		{"living workers hold every port", func() error {
			for port := range 1 << 16 {
				r.ports.assign("other", port)
			}
			l := launchOf("w2", "sleep", "1000")
			l.Template.Ports = []pool.Port{{Name: "http"}}
			_, err := r.Launch(t.Context(), l)
			return err
		}},
		{"the caller gives up", func() error {
			for range cap(r.forks) {
				r.forks <- struct{}{}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := r.Launch(ctx, launchOf("w3", "sleep", "1000"))
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.launch()
			require.Error(t, err)
			_, refused := errors.AsType[*runtime.SpecError](err)
			require.False(t, refused, "%v", err)
			require.ErrorContains(t, err, "launch worker")
			require.Empty(t, r.living())
		})
	}
}

func TestLaunchesOfOneIdMakeOneInstance(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	var wait sync.WaitGroup
	instances := make([]pool.Instance, 20)
	for i := range instances {
		wait.Go(func() {
			var err error
			instances[i], err = r.Launch(t.Context(), launchOf("w", "sleep", "1000"))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	removeAtEnd(t, instances[0].PID)
	for _, instance := range instances {
		require.Equal(t, instances[0], instance)
	}
	found, err := r.List(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, instances[0], found[0].Instance)

	require.NoError(t, r.Kill(t.Context(), "w", instances[0]))
	next(t, r)
	again := launch(t, r, launchOf("w", "sleep", "1000"))
	require.NotEqual(t, instances[0], again, "after its end the id can be launched again")
}

func TestManyWorkersCostNoThreads(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	const count = 300
	var wait sync.WaitGroup
	instances := make([]pool.Instance, count)
	for i := range count {
		wait.Go(func() {
			var err error
			instances[i], err = r.Launch(t.Context(), launchOf(fmt.Sprint("w", i), "sleep", "1000"))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, instance := range instances {
		removeAtEnd(t, instance.PID)
	}
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(status), "Threads:")
	require.True(t, ok)
	threads, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	require.Less(t, threads, 64)

	for i, instance := range instances {
		require.NoError(t, r.Signal(t.Context(), fmt.Sprint("w", i), instance, "KILL"))
	}
	seen := map[string]bool{}
	for range count {
		e := next(t, r)
		require.Equal(t, pool.Exit{Signal: "KILL"}, e.Exit)
		seen[e.WorkerID] = true
	}
	require.Len(t, seen, count, "each end is reported once")
	require.Empty(t, r.living())
}
