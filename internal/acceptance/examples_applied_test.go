//go:build linux

package acceptance

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// example is a configuration that a user may start from. Its commands are real ones: what a machine for tests has not
// is stood in for by a program that behaves the same to its manager.
type example struct {
	dir, file string                             // below examples; with a file, only that one
	variables func(*workspace) map[string]string // in HCL
	before    func(*workspace)
	workers   map[string]int   // by pool
	shows     func(*workspace) // what it is an example of
	after     func(*workspace) // for what is not the example's to destroy
}

var examples = map[string]example{
	"quickstart": {
		dir:       "quickstart",
		variables: func(w *workspace) map[string]string { return map[string]string{"program": w.worker} },
		workers:   map[string]int{"quickstart": 4},
	},
	"resource":        {dir: "resources/poolkeeper_resource_pool", file: "resource.tf", workers: map[string]int{"web": 6}},
	"getting started": {dir: "resources/poolkeeper_resource_pool", file: "getting-started.tf", workers: map[string]int{"hello": 3}},
	"data source": {
		dir: "data-sources/poolkeeper_resource_pool", file: "data-source.tf",
		before:  func(w *workspace) { w.cli(w.document(), "pool", "apply", "-f", "-").succeeded() },
		workers: map[string]int{"web": 2},
		shows: func(w *workspace) {
			w.tf("output").succeeded().says(`"available" = 2 "state" = "active"`)
		},
		after: func(w *workspace) { w.cli("", "pool", "delete", "web").succeeded() },
	},
	"fleet": {
		dir: "fleet",
		variables: func(w *workspace) map[string]string {
			return map[string]string{"command": fmt.Sprintf("[%q]", w.worker)}
		},
		workers: map[string]int{"consumers-mail": 1, "consumers-orders": 3, "consumers-reports": 2},
	},
	"fleet from YAML": {
		dir:     "fleet-from-yaml",
		workers: map[string]int{"agents": 1, "pages": 2},
		shows: func(w *workspace) {
			w.write("pools/more.yaml", "name: more\nsize: 1\nworker: {command: [sleep, \"1000\"]}\ndrain: {deregister_delay: 0s}\n")
			w.apply().succeeded().says("1 added, 0 changed, 0 destroyed")
			require.Len(w.t, w.settled("more"), 1)
		},
	},
	"GitHub runners": {
		dir: "github-runners",
		variables: func(w *workspace) map[string]string {
			w.program("gh", `echo "token of $*"`)
			w.program("distribution/config.sh", `case "$1" in remove) touch "$HOME/asked" && ! [ -e job ] && rm registered ;; *) touch registered ;; esac`)
			w.program("distribution/run.sh", githubRunner)
			w.write("token", "s3cret")
			return map[string]string{"distribution": w.folder + "/distribution", "token_file": w.folder + "/token", "size": "2"}
		},
		workers: map[string]int{"github-runners": 2},
		shows:   aRunnerDoesOneJob,
	},
	"Celery workers": {
		dir: "celery-workers",
		variables: func(w *workspace) map[string]string {
			celery := w.program("celery", `case "$*" in *"--destination $POOLKEEPER_WORKER_ID@celery ping") exit 0 ;; *"worker "*) exec `+w.worker+` ;; *) exit 3 ;; esac`)
			return map[string]string{"celery": fmt.Sprintf(`[%q, "--app", "tasks"]`, celery), "directory": w.folder}
		},
		workers: map[string]int{"celery": 4},
		shows: func(w *workspace) {
			before := w.settled("celery")
			w.apply("-var", "release=next").succeeded().says("0 added, 1 changed, 0 destroyed")
			apart(w.t, before, w.settled("celery"))
		},
	},
	"inference server": {
		dir: "inference-server",
		variables: func(w *workspace) map[string]string {
			return map[string]string{"program": w.program("llama-server", "exec "+w.worker), "min_ready": "1s", "bake": "1s", "answer": "0s"}
		},
		workers: map[string]int{"inference": 2},
		shows: func(w *workspace) {
			before := w.settled("inference")
			w.apply("-var", "model=/var/lib/models/next.gguf").succeeded()
			apart(w.t, before, w.settled("inference"))
			require.Contains(w.t, w.cli("", "pool", "events", "inference").succeeded().text(), "canary")
		},
	},
}

// TestEveryExampleIsAppliedAndDestroyed: what it declares runs and is healthy, its plan is empty then, and it leaves
// nothing.
func TestEveryExampleIsAppliedAndDestroyed(t *testing.T) {
	for name, e := range examples {
		t.Run(name, func(t *testing.T) {
			w := newStage(t).keeper("d").asWritten()
			if e.file == "" {
				require.NoError(t, os.CopyFS(w.folder, os.DirFS(filepath.Join("../../examples", e.dir))))
			} else {
				w.write("main.tf", read(t, filepath.Join("../../examples", e.dir, e.file)))
			}
			w.more = append(w.more, "PATH="+w.folder+":"+os.Getenv("PATH"))
			if e.variables != nil {
				for variable, value := range e.variables(w) {
					w.more = append(w.more, "TF_VAR_"+variable+"="+value)
				}
			}
			if e.before != nil {
				e.before(w)
			}
			w.apply().succeeded()
			w.plan().ended(planEmpty)
			for name, size := range e.workers {
				require.Len(t, w.settled(name), size, name)
				require.Equal(t, pool.Healthy, w.pool(name).Status.Health, "%v", w.pool(name).Status)
			}
			if e.shows != nil {
				e.shows(w)
			}
			w.destroy().succeeded()
			if e.after != nil {
				e.after(w)
			}
			require.Empty(t, w.pools())
			for name := range e.workers {
				require.Empty(t, w.running(name))
			}
		})
	}
}

// TestEveryExampleThatCanBeIsApplied: a new one is to be in the table above.
func TestEveryExampleThatCanBeIsApplied(t *testing.T) {
	found, err := filepath.Glob("../../examples/*/*.tf")
	require.NoError(t, err)
	require.NotEmpty(t, found)
	for _, file := range found {
		dir := filepath.Base(filepath.Dir(file))
		applied := slices.ContainsFunc(slices.Collect(maps.Values(examples)), func(e example) bool { return e.dir == dir })
		require.True(t, applied || dir == "provider", "examples/%s: it reaches a manager that is not there, or is to be applied", dir)
	}
}

// programs are those of examples that are somebody's own.
var programs = regexp.MustCompile(`/usr/local/bin/[a-z-]+|/opt/runner/run`)

// TestEveryDocumentIsAppliedAndDeleted does with the pools that are written for the command line what is done above with
// those for Terraform.
func TestEveryDocumentIsAppliedAndDeleted(t *testing.T) {
	files, err := filepath.Glob("../../examples/pools/*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			w := newWorld(t)
			text := programs.ReplaceAllStringFunc(read(t, file), func(path string) string {
				script := "exec " + w.worker
				if strings.HasSuffix(path, "ctl") { // asks one that runs
					script = "exit 0"
				}
				return w.program(filepath.Base(path), script)
			})
			text = strings.NewReplacer("/var/lib/web", w.folder, "/opt/runner", w.folder).Replace(text)
			w.cli(text, "pool", "apply", "-f", "-").succeeded()
			w.cli(text, "pool", "plan", "-f", "-").succeeded().says("Action: none")
			require.Len(t, w.pools(), 1)
			v := w.pools()[0]
			require.Len(t, w.settled(v.Name), v.Status.Desired)
			require.Equal(t, pool.Healthy, v.Status.Health, "%v", v.Status)

			if v.Spec.DeletionProtection {
				w.cli("", "pool", "delete", v.Name).ended(4)
				w.cli("deletion_protection: false", "pool", "patch", v.Name, "-f", "-").succeeded()
			}
			w.cli("", "pool", "delete", v.Name).succeeded()
			require.Empty(t, w.pools())
			require.Empty(t, w.running(v.Name))
		})
	}
}

// program puts a script in the workspace's directory and returns its path.
func (w *workspace) program(name, script string) string {
	w.t.Helper()
	w.write(name, "#!/bin/sh\n"+script+"\n")
	path := filepath.Join(w.folder, name)
	require.NoError(w.t, os.Chmod(path, 0o700))
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// githubRunner stands for GitHub's: it takes one of the files in $HOME/jobs, works on it until there is a $HOME/done, and
// exits with 0. One that is told to end has its job canceled.
const githubRunner = `
trap 'test -e job && touch "$HOME/canceled"; exit 0' TERM
sleep 1.1
until mv "$HOME"/jobs/* job 2>/dev/null; do sleep 0.1; done
until [ -e "$HOME/done" ]; do sleep 0.1; done
rm job`

func aRunnerDoesOneJob(w *workspace) {
	const name = "github-runners"
	home := func(path string) string { return w.at("home", path) }
	queue := func() {
		require.NoError(w.t, os.MkdirAll(home("jobs"), 0o700))
		require.NoError(w.t, os.WriteFile(home("jobs/1"), nil, 0o600))
	}
	// who is the runner that works on the job.
	who := func() string {
		found, err := filepath.Glob(home("runners/*/job"))
		require.NoError(w.t, err)
		if len(found) != 1 {
			return ""
		}
		return filepath.Base(filepath.Dir(found[0]))
	}
	record := func(id string) pool.Worker {
		workers, err := w.client().Workers(w.t.Context(), name)
		require.NoError(w.t, err)
		at := slices.IndexFunc(workers, func(v pool.Worker) bool { return v.ID == id })
		require.GreaterOrEqual(w.t, at, 0, id)
		return workers[at]
	}
	finish := func(id string) {
		require.NoError(w.t, os.WriteFile(home("done"), nil, 0o600))
		await(w.t, "the end of the runner", func() bool { return record(id).State.Ended() })
		require.NoError(w.t, os.Remove(home("done")))
		require.NotNil(w.t, record(id).Exit)
		require.True(w.t, record(id).Exit.Clean(), "%+v", record(id))
		require.NoDirExists(w.t, home("runners/"+id))
	}

	queue()
	await(w.t, "a runner with a job", func() bool { return who() != "" })
	first := who()
	finish(first)
	await(w.t, "a successor", func() bool { return len(w.crew(name)) == 2 && w.pool(name).Status.Available == 2 })
	require.NotContains(w.t, w.crew(name), first)

	queue()
	await(w.t, "a runner with a job", func() bool { return who() != "" })
	busy := who()
	w.cli("", "worker", "drain", name, busy, "--no-wait").succeeded()
	await(w.t, "that it asks to be removed", func() bool { return exists(home("asked")) })
	pass(w.t, 3*lookEvery)
	require.NoFileExists(w.t, home("canceled"))
	finish(busy)
	require.NoFileExists(w.t, home("canceled"))
	await(w.t, "its successor", func() bool { return len(w.crew(name)) == 2 && w.pool(name).Status.Available == 2 })
}
