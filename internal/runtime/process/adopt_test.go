//go:build linux

package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

func TestWorkersOutliveAKilledManagerAndAreAdopted(t *testing.T) {
	dir := t.TempDir()
	manager, instances := startManager(t, dir, roleManager, nil, 5, "sh", "-c", "trap 'exit 7' TERM; echo done; while :; do sleep 0.02; done")
	crash(t, manager)

	r := openRuntime(t, dir)
	for i, instance := range instances {
		require.True(t, lives(instance.PID), "worker %d", i)
		output(t, r, fmt.Sprint("w", i)) // its trap is set
	}
	found, err := r.List(t.Context())
	require.NoError(t, err)
	require.Len(t, found, len(instances))
	byID := map[string]runtime.Found{}
	for _, f := range found {
		byID[f.WorkerID] = f
	}
	for i, instance := range instances {
		id := fmt.Sprint("w", i)
		require.Equal(t, runtime.Found{WorkerID: id, PoolUID: testPool, PoolName: "fleet", Identity: r.identity, Instance: instance}, byID[id])
		require.NoError(t, r.Adopt(t.Context(), testPool, id, byID[id].Instance))
		for _, port := range instance.Ports {
			require.Equal(t, id, r.ports.held[port], "an adopted worker keeps its ports")
		}
	}
	for i, instance := range instances {
		again, err := r.Launch(t.Context(), launchOf(fmt.Sprint("w", i), "sleep", "1000"))
		require.NoError(t, err)
		require.Equal(t, instance, again, "a launch of an adopted worker is answered with it")
	}
	for i, instance := range instances {
		id := fmt.Sprint("w", i)
		signal, want := "TERM", pool.Exit{Code: 7}
		if i%2 == 1 {
			signal, want = "KILL", pool.Exit{Signal: "KILL"}
		}
		require.NoError(t, r.Signal(t.Context(), id, instance, signal))
		e := next(t, r)
		require.Equal(t, id, e.WorkerID)
		if !tellsExitsOfStrangers(t) && e.Exit.Unknown {
			want = pool.Exit{Unknown: true}
		}
		require.Equal(t, want, e.Exit)
		require.ErrorIs(t, r.Adopt(t.Context(), testPool, id, instance), runtime.ErrGone)
	}
	require.Empty(t, r.ports.held)
}

// tellsExitsOfStrangers: since Linux 6.15 a pidfd tells the status of any process that has been reaped.
func tellsExitsOfStrangers(t *testing.T) bool {
	var name unix.Utsname
	require.NoError(t, unix.Uname(&name))
	var major, minor int
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	require.NoError(t, err)
	return major > 6 || major == 6 && minor >= 15
}

func TestASecondRuntimeAdoptsWhatAClosedOneLaunched(t *testing.T) {
	dir := t.TempDir()
	first := openRuntime(t, dir)
	lasting := launch(t, first, launchOf("lasting", "sleep", "1000"))
	stray := launch(t, first, launchOf("stray", "sleep", "1000"))
	brief := launch(t, first, launchOf("brief", "sleep", "1000"))
	require.NoError(t, first.Close())
	require.NoError(t, unix.Kill(brief.PID, unix.SIGKILL))
	eventually(t, "it has ended", func() bool { return !lives(brief.PID) })

	second := openRuntime(t, dir)
	require.NoError(t, second.Adopt(t.Context(), testPool, "lasting", lasting))
	require.ErrorIs(t, second.Adopt(t.Context(), testPool, "brief", brief), runtime.ErrGone)
	require.True(t, gone(brief.PID), "no zombie is left")
	require.NoError(t, second.Kill(t.Context(), "stray", stray), "it was not even adopted")
	require.True(t, gone(stray.PID), "no zombie is left")
	require.NoError(t, second.Signal(t.Context(), "lasting", lasting, "TERM"))
	require.Equal(t, pool.Exit{Signal: "TERM"}, next(t, second).Exit)
}

func TestListFindsTheInstancesOfThisManagersWorkersOnly(t *testing.T) {
	dir := t.TempDir()
	r := openRuntime(t, dir)
	want := map[string]pool.Instance{}
	with := func(id string, l runtime.Launch) { want[id] = launch(t, r, l) }
	with("plain", launchOf("plain", "sleep", "1000"))
	with("children", launchOf("children", "sh", "-c", "sleep 1000 & setsid sleep 1000 & echo done; wait"))
	output(t, r, "children")
	ported := launchOf("ported", "sleep", "1000")
	ported.Template.Ports = []pool.Port{{Name: "http"}, {Name: "side-car"}}
	with("ported", ported)
	// What has dropped the variables is known by its log.
	with("bare", launchOf("bare", "sh", "-c", "echo done; exec env -i sleep 1000"))
	eventually(t, "it has dropped its environment", func() bool {
		environ, err := os.ReadFile("/proc/" + strconv.Itoa(want["bare"].PID) + "/environ")
		require.NoError(t, err)
		return len(environ) == 0 && lives(want["bare"].PID)
	})
	// An earlier incarnation of this manager, and another manager, of which the second is not ours.
	earlier, err := Open(Config{DataDir: dir, Identity: r.managerID + "/i0", ManagerID: r.managerID})
	require.NoError(t, err)
	want["earlier"] = launch(t, earlier, launchOf("earlier", "sleep", "1000"))
	require.NoError(t, earlier.Close())
	other, err := Open(Config{DataDir: t.TempDir(), Identity: r.managerID + "1/i1", ManagerID: r.managerID + "1"})
	require.NoError(t, err)
	launch(t, other, launchOf("other", "sleep", "1000"))
	require.NoError(t, other.Close())
	ended := launch(t, r, launchOf("ended", "sh", "-c", "sleep 1000 & exit 0"))
	require.Equal(t, "ended", next(t, r).WorkerID)
	require.True(t, gone(ended.PID))
	want["ended"] = ended // for a sweep of what it left
	over := launch(t, r, launchOf("over", "true"))
	require.Equal(t, "over", next(t, r).WorkerID)
	require.True(t, gone(over.PID))

	// A Runtime that has launched nothing itself must find the same.
	fresh := openRuntime(t, dir)
	for name, lister := range map[string]*Runtime{"the one that launched them": r, "a new one": fresh} {
		t.Run(name, func(t *testing.T) {
			found, err := lister.List(t.Context())
			require.NoError(t, err)
			got := map[string]pool.Instance{}
			identities := map[string]string{}
			for _, f := range found {
				require.Equal(t, testPool, f.PoolUID)
				got[f.WorkerID] = f.Instance
				identities[f.WorkerID] = f.Identity
			}
			require.Equal(t, want, got)
			require.Equal(t, r.managerID+"/i0", identities["earlier"])
			require.Equal(t, r.identity, identities["plain"])
		})
	}
	found, err := fresh.List(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(found, func(f runtime.Found) bool { return f.WorkerID == "bare" })
	require.Equal(t, r.managerID+"/", found[i].Identity, "the incarnation is not known")
}

func TestNoWorkerIsMissedInTheMiddleOfAnExec(t *testing.T) {
	script := filepath.Join(t.TempDir(), "again")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\nexec \"$0\"\n"), 0o700))
	self, err := os.Executable()
	require.NoError(t, err)
	for _, c := range []struct{ name, program, role string }{
		{"of one thread", script, ""},
		{"of many threads", self, roleAgain},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			r := openRuntime(t, dir)
			l := launchOf("w", c.program)
			l.Template.Env = map[string]string{roleVariable: c.role}
			instance := launch(t, r, l)
			fresh := openRuntime(t, dir)
			for i := range 60 {
				found, err := fresh.List(t.Context())
				require.NoError(t, err)
				require.Equal(t, []runtime.Found{{WorkerID: "w", PoolUID: testPool, PoolName: "fleet", Identity: r.identity, Instance: instance}}, found, "time %d", i)
				for range 100 {
					h, err := fresh.open("w", instance)
					require.NoError(t, err, "time %d", i)
					h.close()
				}
			}
		})
	}
}

func TestAWorkerWhoseFirstThreadHasEndedLives(t *testing.T) {
	dir := t.TempDir()
	r := openRuntime(t, dir)
	self, err := os.Executable()
	require.NoError(t, err)
	l := launchOf("w", self)
	l.Template.Env = map[string]string{roleVariable: roleHeadless}
	instance := launch(t, r, l)
	output(t, r, "w")
	s, err := readStat(instance.PID)
	require.NoError(t, err)
	require.True(t, s.image.headless, "its first thread lives")

	fresh := openRuntime(t, dir)
	found, err := fresh.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []runtime.Found{{WorkerID: "w", PoolUID: testPool, PoolName: "fleet", Identity: r.identity, Instance: instance}}, found)
	require.NoError(t, fresh.Adopt(t.Context(), testPool, "w", instance))
	require.NoError(t, fresh.Kill(t.Context(), "w", instance))
	require.Equal(t, "w", next(t, fresh).WorkerID)
}

func TestTheStatusOfAProcessThatAnotherReapedIsToldWhereTheKernelKnowsIt(t *testing.T) {
	cmd := exec.Command("sh", "-c", "read line; exit 5")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	h, err := openHandle(cmd.Process.Pid)
	require.NoError(t, err)
	defer h.close()
	p, err := look(cmd.Process.Pid)
	require.NoError(t, err)
	require.NoError(t, in.Close())
	require.Error(t, cmd.Wait())
	want := pool.Exit{Unknown: true}
	if tellsExitsOfStrangers(t) {
		want = pool.Exit{Code: 5}
	}
	require.Equal(t, ending{over: true, exit: want}, h.exit(p.pid, p.start))
}

// startLimbo starts what a manager leaves that was killed between fork and exec: a session leader that has
// the manager's name and environment and holds a worker's log, and becomes that worker on USR1.
func startLimbo(t *testing.T, r *Runtime, worker string) (pid int) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	log := filepath.Join(r.logs.dir, testPool, worker+logSuffix)
	require.NoError(t, os.MkdirAll(filepath.Dir(log), 0o700))
	dir := t.TempDir()
	null, err := os.OpenFile(os.DevNull, stdinFlags, 0)
	require.NoError(t, err)
	defer null.Close()
	cmd := exec.Command("sh", "-c", `setsid "$0" 9>>"$1" <&3 3<&- &`, self, log)
	cmd.ExtraFiles = []*os.File{null}
	environ := newEnvironment(launchOf(worker), r.identity, r.base, nil).variables
	cmd.Env = append(os.Environ(), roleVariable+"="+roleLimbo, dirVariable+"="+dir, linesVar+"="+strings.Join(environ, "\n"))
	require.NoError(t, cmd.Run())
	eventually(t, "it stands there", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "limbo"))
		if err != nil {
			return false
		}
		pid, err = strconv.Atoi(string(text))
		return err == nil
	})
	removeAtEnd(t, pid)
	return pid
}

func TestListWaitsForWhatAKilledManagerLeftBetweenForkAndExec(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	pid := startLimbo(t, r, "late")
	proceed := time.AfterFunc(100*time.Millisecond, func() { _ = unix.Kill(pid, unix.SIGUSR1) })
	defer proceed.Stop()
	found, err := r.List(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "late", found[0].WorkerID)
	require.Equal(t, pid, found[0].Instance.PID)
	require.NoError(t, r.Adopt(t.Context(), testPool, "late", found[0].Instance))
}

func TestListKnowsNothingWhileAProcessStaysBetweenForkAndExec(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	pid := startLimbo(t, r, "stuck")
	_, err := r.List(t.Context())
	require.ErrorContains(t, err, fmt.Sprintf("processes [%d] are about to become workers and do not get to it", pid))
}

func TestAWalkIsSharedByAllWhoAskWhileAnotherIsUnderWay(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	r.census.mu.Lock() // holds up the walks
	walks := make(chan table, 50)
	for range cap(walks) {
		go func() {
			found, _ := r.census.take(context.Background())
			walks <- found
		}()
	}
	r.census.mu.Unlock()
	distinct := map[*proc]bool{} // by the first entry of the shared answer
	for range cap(walks) {
		found := <-walks
		require.NotEmpty(t, found.procs)
		distinct[&found.procs[0]] = true
	}
	require.Less(t, len(distinct), cap(walks)/2, "%d walks for %d who asked", len(distinct), cap(walks))
}
