//go:build linux

package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// patience bounds waits for what should take milliseconds.
const patience = 30 * time.Second

// The test binary also is the programs that the tests need as processes of their own.
const (
	roleVariable = "PROCESS_TEST_ROLE"
	dirVariable  = "PROCESS_TEST_DIR"
	countVar     = "PROCESS_TEST_COUNT"
	linesVar     = "PROCESS_TEST_LINES" // a command or an environment, one entry a line

	roleManager  = "manager"  // launches workers, tells of them on its output and waits to be killed
	roleBlocked  = "blocked"  // the same, started with USR1 blocked
	roleErrand   = "errand"   // launches a worker, runs the command beside it and waits to be killed
	roleHeadless = "headless" // a worker whose first thread ends while others run on
	roleAgain    = "again"    // a worker that executes itself again and again, from any of its threads
	roleLimbo    = "limbo"    // stands between fork and exec until USR1, and then becomes its arguments
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(roleVariable) {
	case "":
		os.Exit(m.Run())
	case roleManager:
		err = beManager()
	case roleErrand:
		err = beErrand()
	case roleBlocked:
		err = beBlocked()
	case roleHeadless:
		beHeadless()
	case roleAgain:
		failed := make(chan error)
		go func() { failed <- syscall.Exec("/proc/self/exe", os.Args, os.Environ()) }() // seldom the first thread
		err = <-failed
	case roleLimbo:
		err = beLimbo()
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func beManager() error {
	r, err := Open(testConfig(os.Getenv(dirVariable)))
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(os.Getenv(countVar))
	if err != nil {
		return err
	}
	for i := range count {
		l := launchOf(fmt.Sprintf("w%d", i), strings.Split(os.Getenv(linesVar), "\n")...)
		l.Template.Ports = []pool.Port{{Name: "http"}, {Name: "side-car"}}
		instance, err := r.Launch(context.Background(), l)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(instance); err != nil {
			return err
		}
	}
	for range r.Ended() { // until it is killed
	}
	return nil
}

func beErrand() error {
	r, err := Open(testConfig(os.Getenv(dirVariable)))
	if err != nil {
		return err
	}
	l := launchOf("w0", "sleep", "1000")
	instance, err := r.Launch(context.Background(), l)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(instance); err != nil {
		return err
	}
	_, err = r.Exec(context.Background(), l, instance, checking(strings.Split(os.Getenv(linesVar), "\n")...))
	return fmt.Errorf("the command beside the worker has ended: %w", err)
}

func beBlocked() error {
	goruntime.LockOSThread()
	mask := unix.Sigset_t{}
	mask.Val[0] = 1 << (unix.SIGUSR1 - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &mask, nil); err != nil {
		return err
	}
	if err := os.Setenv(roleVariable, roleManager); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

func beHeadless() {
	for range 1000 { // until one of them has the first thread
		go func() {
			goruntime.LockOSThread()
			if unix.Gettid() == unix.Getpid() {
				_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
			}
			select {}
		}()
		if p, err := readStat(os.Getpid()); err == nil && p.image.headless {
			break
		}
	}
	fmt.Println("done")
	<-time.After(time.Hour)
}

func beLimbo() error {
	proceed := make(chan os.Signal, 1)
	signal.Notify(proceed, unix.SIGUSR1)
	if err := os.WriteFile(filepath.Join(os.Getenv(dirVariable), "limbo"), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	<-proceed
	return syscall.Exec("/bin/sleep", []string{"sleep", "1000"}, strings.Split(os.Getenv(linesVar), "\n"))
}

const testPool = "p1"

// testConfig gives every data directory a manager of its own, so that tests do not see each other's
// workers.
func testConfig(dir string) Config {
	id := "m" + strings.ReplaceAll(dir, "/", "-")
	return Config{DataDir: dir, Identity: id + "/i1", ManagerID: id, Host: "here"}
}

// openRuntime opens a Runtime that is closed at the end of the test; then nothing that carries its
// manager's id is left.
func openRuntime(t testing.TB, dir string) *Runtime {
	t.Helper()
	r, err := Open(testConfig(dir))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, r.Close())
		for _, p := range carriers(t, r.managerID) {
			_ = unix.Kill(p.pid, unix.SIGKILL)
		}
	})
	return r
}

// carriers are the processes that carry a manager's id.
func carriers(t testing.TB, managerID string) (found []proc) {
	t.Helper()
	survey, err := newSurveyor("/nowhere")
	require.NoError(t, err)
	ids, err := processIDs()
	require.NoError(t, err)
	for _, id := range ids {
		if p, err := survey.look(id); err == nil && p.marks.worker != "" && p.marks.manager() == managerID {
			found = append(found, p)
		}
	}
	return found
}

func launchOf(id string, command ...string) runtime.Launch {
	return runtime.Launch{WorkerID: id, PoolUID: testPool, PoolName: "fleet", Template: pool.WorkerTemplate{Command: command}}
}

// launch starts a worker that is removed at the end of the test.
func launch(t testing.TB, r *Runtime, l runtime.Launch) pool.Instance {
	t.Helper()
	instance, err := r.Launch(context.Background(), l)
	require.NoError(t, err)
	removeAtEnd(t, instance.PID)
	return instance
}

// removeAtEnd kills a process and its session, if they are still there at the end of the test.
func removeAtEnd(t testing.TB, pid int) {
	p, err := look(pid)
	if err != nil {
		return
	}
	t.Cleanup(func() {
		ids, err := processIDs()
		require.NoError(t, err)
		for _, id := range ids {
			if m, err := look(id); err == nil && m.session == pid && !m.zombie && m.start >= p.start {
				_ = unix.Kill(id, unix.SIGKILL)
			}
		}
	})
}

// next is the next end that is reported.
func next(t testing.TB, r *Runtime) runtime.Ended {
	t.Helper()
	select {
	case e, ok := <-r.Ended():
		require.True(t, ok, "the channel was closed")
		return e
	case <-time.After(patience):
		require.Fail(t, "no end was reported")
		return runtime.Ended{}
	}
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, patience, 5*time.Millisecond, what)
}

// lives says that a process is there and has not ended.
func lives(pid int) bool {
	p, err := look(pid)
	return err == nil && !p.zombie
}

func gone(pid int) bool {
	_, err := look(pid)
	return errors.Is(err, fs.ErrNotExist)
}

// output waits until the worker's log ends with a line that begins with "done", and returns what is before.
func output(t testing.TB, r *Runtime, worker string) []string {
	t.Helper()
	var lines []string
	eventually(t, "the worker's output is complete", func() bool {
		text, err := r.Logs(t.Context(), testPool, worker, 1<<20)
		require.NoError(t, err)
		before, complete := strings.CutSuffix(string(text), "done\n")
		lines = strings.Split(strings.TrimSuffix(before, "\n"), "\n")
		return complete
	})
	return lines
}

// pids reads the process ids that a worker has written, one a line.
func pids(t testing.TB, r *Runtime, worker string) []int {
	t.Helper()
	var ids []int
	for _, line := range output(t, r, worker) {
		id, err := strconv.Atoi(line)
		require.NoError(t, err)
		removeAtEnd(t, id)
		ids = append(ids, id)
	}
	return ids
}

// startManager runs a manager in a process of its own and returns it with its workers' instances. prefix
// is a command that runs the manager's, like "nohup".
func startManager(t *testing.T, dir, role string, prefix []string, count int, command ...string) (*exec.Cmd, []pool.Instance) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	args := append(slices.Clone(prefix), self)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, dirVariable+"="+dir, linesVar+"="+strings.Join(command, "\n"), countVar+"="+strconv.Itoa(count))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var instances []pool.Instance
	lines := bufio.NewScanner(out)
	for len(instances) < count && lines.Scan() {
		var instance pool.Instance
		require.NoError(t, json.Unmarshal(lines.Bytes(), &instance), lines.Text())
		removeAtEnd(t, instance.PID)
		instances = append(instances, instance)
	}
	require.Len(t, instances, count, "the manager told of fewer workers")
	return cmd, instances
}

// crash ends a manager as kill -9 does.
func crash(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
}
