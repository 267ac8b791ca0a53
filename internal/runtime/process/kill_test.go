//go:build linux

package process

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// offspring are shell lines that start one process each and write its pid.
var offspring = []struct{ name, shell string }{
	{"a child", "sleep 1000 & echo $!"},
	{"a child that ignores TERM and HUP", "(trap '' TERM HUP; exec sleep 1000) & echo $!"},
	{"a child in a session of its own", "setsid sh -c 'echo $$; exec sleep 1000' & wait_for_line"},
	{"a child of two forks in a session of its own", "(setsid sh -c 'echo $$; exec sleep 1000' &) ; wait_for_line"},
	{"a child without the variables", "env -i /bin/sleep 1000 & echo $!"},
}

// family is a worker that starts all offspring and waits.
func family(t *testing.T, id string) (launch []string) {
	t.Helper()
	script := "n=0; wait_for_line() { n=$((n+1)); while [ \"$(wc -l < \"$LOG\")\" -lt \"$LINES_NOW\" ]; do sleep 0.01; done; }\n"
	for i, o := range offspring {
		script += fmt.Sprintf("LINES_NOW=%d\n%s\n", i+1, o.shell)
	}
	return []string{"sh", "-c", "LOG=/proc/$$/fd/1; " + script + "echo done; wait"}
}

func TestKillEndsAWorkerAndAllThatItStarted(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	instance := launch(t, r, launchOf("w", family(t, "w")...))
	children := pids(t, r, "w")
	require.Len(t, children, len(offspring))
	bystander := launch(t, r, launchOf("bystander", "sleep", "1000"))

	require.NoError(t, r.Kill(t.Context(), "w", instance))
	require.False(t, lives(instance.PID))
	for i, pid := range children {
		require.False(t, lives(pid), "%s lives", offspring[i].name)
	}
	require.Equal(t, pool.Exit{Signal: "KILL"}, next(t, r).Exit)
	require.True(t, gone(instance.PID), "no zombie is left")
	require.True(t, lives(bystander.PID))
	require.NoError(t, r.Kill(t.Context(), "w", instance), "again")
}

func TestSweepEndsWhatAnEndedWorkerLeft(t *testing.T) {
	for _, c := range []struct {
		name string
		// adopt: the worker was adopted by another Runtime when it ended.
		adopt bool
	}{{"of a launched worker", false}, {"of an adopted worker", true}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			r := openRuntime(t, dir)
			instance := launch(t, r, launchOf("w", family(t, "w")...))
			children := pids(t, r, "w")
			if c.adopt {
				require.NoError(t, r.Close())
				r = openRuntime(t, dir)
				require.NoError(t, r.Adopt(t.Context(), testPool, "w", instance))
			}
			_, err := r.Sweep(t.Context(), "w", instance)
			require.ErrorContains(t, err, "it still runs")

			require.NoError(t, r.Signal(t.Context(), "w", instance, "KILL"))
			require.Equal(t, "w", next(t, r).WorkerID)
			for i, pid := range children {
				require.True(t, lives(pid), "%s should have been left", offspring[i].name)
			}
			n, err := r.Sweep(t.Context(), "w", instance)
			require.NoError(t, err)
			require.Equal(t, len(children), n)
			for i, pid := range children {
				require.False(t, lives(pid), "%s lives", offspring[i].name)
			}
			n, err = r.Sweep(t.Context(), "w", instance)
			require.NoError(t, err)
			require.Zero(t, n)
			require.Empty(t, r.past)
		})
	}
}

// A manager that was away when a worker ended has the variables as its only proof, and the session of
// what carries them.
func TestSweepByAManagerThatDidNotSeeTheEndFindsTheSessionByItsMembers(t *testing.T) {
	dir := t.TempDir()
	first := openRuntime(t, dir)
	instance := launch(t, first, launchOf("w", family(t, "w")...))
	children := pids(t, first, "w")
	require.NoError(t, first.Kill(t.Context(), "nobody", pool.Instance{}))
	require.NoError(t, first.Signal(t.Context(), "w", instance, "KILL"))
	next(t, first)

	second := openRuntime(t, dir)
	n, err := second.Sweep(t.Context(), "w", instance)
	require.NoError(t, err)
	require.Equal(t, len(children), n)
}

// bare waits until processes have dropped their environment.
func bare(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		eventually(t, "it has dropped its environment", func() bool {
			environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
			require.NoError(t, err)
			return len(environ) == 0
		})
	}
}

// If nothing carries the variables, the log is the proof, and of the session's other members too.
func TestSweepByAManagerThatDidNotSeeTheEndFindsTheSessionByItsLog(t *testing.T) {
	for _, c := range []struct {
		name, shell string
		proven      bool
	}{
		{"both outputs", "env -i /bin/sleep 1000 & echo $!", true},
		{"the standard error alone", "env -i /bin/sleep 1000 >/dev/null & echo $!", true},
		{"of none", "true", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			first := openRuntime(t, dir)
			instance := launch(t, first, launchOf("w", "sh", "-c", c.shell+"; env -i /bin/sleep 1000 >/dev/null 2>&1 & echo $!; echo done; wait"))
			children := pids(t, first, "w")
			bare(t, children...)
			require.NoError(t, first.Signal(t.Context(), "w", instance, "KILL"))
			next(t, first)

			second := openRuntime(t, dir)
			n, err := second.Sweep(t.Context(), "w", instance)
			require.NoError(t, err)
			for _, pid := range children {
				require.Equal(t, c.proven, !lives(pid))
			}
			if c.proven {
				require.Equal(t, len(children), n)
			}
		})
	}
}

func TestKillAndSweepSpareWhatIsNotVerifiablyTheWorkers(t *testing.T) {
	dir := t.TempDir()
	r := openRuntime(t, dir)
	start := func(env []string, attr *unix.SysProcAttr, args ...string) int {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env, cmd.SysProcAttr = env, attr
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		return cmd.Process.Pid
	}
	manager, anotherManager := "POOLKEEPER_MANAGER="+r.identity, "POOLKEEPER_MANAGER="+r.managerID+"1/i1"
	spared := map[string]int{
		"a process of nobody":                        start(os.Environ(), nil, "sleep", "1000"),
		"a process with another worker's id":         start([]string{"POOLKEEPER_WORKER_ID=w2", manager}, nil, "/bin/sleep", "1000"),
		"a process with a longer id":                 start([]string{"POOLKEEPER_WORKER_ID=ww", manager}, nil, "/bin/sleep", "1000"),
		"another manager's worker of the same id":    start([]string{"POOLKEEPER_WORKER_ID=w", anotherManager}, &unix.SysProcAttr{Setsid: true}, "/bin/sleep", "1000"),
		"a process that only mentions the id":        start([]string{"NOTE=POOLKEEPER_WORKER_ID=w", manager}, nil, "/bin/sleep", "1000"),
		"a worker":                                   launch(t, r, launchOf("w2", "sleep", "1000")).PID,
		"what left the session and the variables":    0,
		"what has the pid of the instance by now":    0,
		"what is in the session of that other there": 0,
	}
	instance := launch(t, r, launchOf("w", "sh", "-c", "env -i setsid sh -c 'echo $$; exec sleep 1000 >/dev/null 2>&1' & while [ ! -s /proc/$$/fd/1 ]; do sleep 0.01; done; echo done; exit 0"))
	spared["what left the session and the variables"] = pids(t, r, "w")[0]
	next(t, r)

	// The session number of an instance that ended long ago, used again by somebody who has ended too.
	again := launch(t, r, launchOf("again", "sh", "-c", "env -i /bin/sleep 1000 & echo $!; echo done; wait"))
	heir := pids(t, r, "again")[0]
	spared["what has the pid of the instance by now"] = again.PID
	spared["what is in the session of that other there"] = heir
	ancient := again
	ancient.StartTime -= 100

	var wait sync.WaitGroup
	for i := range 10 {
		wait.Go(func() {
			for _, dead := range []pool.Instance{instance, ancient, {}} {
				if i%2 == 0 {
					if err := r.Kill(t.Context(), "w", dead); err != nil {
						t.Error(err)
					}
					continue
				}
				n, err := r.Sweep(t.Context(), "w", dead)
				if err != nil || n != 0 {
					t.Error(n, err)
				}
			}
		})
	}
	wait.Wait()
	for name, pid := range spared {
		require.True(t, lives(pid), name)
	}

	require.NoError(t, r.Signal(t.Context(), "again", again, "KILL"))
	require.Equal(t, "again", next(t, r).WorkerID)
	n, err := r.Sweep(t.Context(), "w", ancient)
	require.NoError(t, err)
	require.Zero(t, n)
	require.True(t, lives(heir), "a session without its leader is nobody's unless something proves it")
}

func TestSweepOfAnEarlierInstanceSparesTheOneThatRunsNow(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	first := launch(t, r, launchOf("w", "sh", "-c", "sleep 1000 & echo $!; echo done; exit 1"))
	left := pids(t, r, "w")[0]
	next(t, r)
	second := launch(t, r, launchOf("w", "sleep", "1000"))
	n, err := r.Sweep(t.Context(), "w", first)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.False(t, lives(left))
	require.True(t, lives(second.PID))
}

func TestKillKeepsUpWithAWorkerThatForksOnAndOn(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	instance := launch(t, r, launchOf("w", "sh", "-c", "f() { while :; do setsid sleep 1000 & sleep 0.02; done; }; f & f & f & echo done; wait"))
	output(t, r, "w")
	require.NoError(t, r.Kill(t.Context(), "w", instance))
	for _, p := range carriers(t, r.managerID) {
		require.NotEqual(t, "w", p.marks.worker, "process %d is left", p.pid)
	}
}
