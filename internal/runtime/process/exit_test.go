//go:build linux

package process

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

func TestTheEndOfAWorkerIsReportedWithItsStatusAndLeavesNoZombie(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	for i, c := range []struct {
		shell string
		exit  pool.Exit
	}{
		{"exit 0", pool.Exit{}},
		{"exit 3", pool.Exit{Code: 3}},
		{"exit 255", pool.Exit{Code: 255}},
		{"kill -KILL $$", pool.Exit{Signal: "KILL"}},
		{"kill -TERM $$", pool.Exit{Signal: "TERM"}},
		{"kill -SEGV $$", pool.Exit{Signal: "SEGV"}},
		{"kill -40 $$", pool.Exit{Signal: "40"}},
		{"sleep 1000 & exit 4", pool.Exit{Code: 4}},
	} {
		t.Run(c.shell, func(t *testing.T) {
			id := fmt.Sprint("w", i)
			instance := launch(t, r, launchOf(id, "sh", "-c", c.shell))
			e := next(t, r)
			require.Equal(t, id, e.WorkerID)
			require.Equal(t, testPool, e.PoolUID)
			require.Equal(t, c.exit, e.Exit)
			require.False(t, e.At.IsZero())
			require.True(t, gone(instance.PID), "a zombie is left")
			_, err := r.Sweep(t.Context(), id, instance)
			require.NoError(t, err)
		})
	}
}

func TestEndsThatNobodyReadsAreKeptAndHoldUpNothing(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	const count = 60
	for i := range count {
		launch(t, r, launchOf(fmt.Sprint("w", i), "true"))
	}
	eventually(t, "all have been reaped", func() bool { return len(r.living()) == 0 })
	seen := map[string]int{}
	for range count {
		seen[next(t, r).WorkerID]++
	}
	require.Len(t, seen, count)
	select {
	case e := <-r.Ended():
		require.Fail(t, "reported twice", "%+v", e)
	default:
	}
}

func TestSignalsReachTheMainProcess(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	for i, c := range []struct {
		name string
		exit pool.Exit
	}{
		{"TERM", pool.Exit{Code: 10}},
		{"INT", pool.Exit{Code: 11}},
		{"QUIT", pool.Exit{Code: 12}},
		{"HUP", pool.Exit{Code: 13}},
		{"USR1", pool.Exit{Code: 14}},
		{"USR2", pool.Exit{Code: 15}},
		{"KILL", pool.Exit{Signal: "KILL"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := fmt.Sprint("w", i)
			instance := launch(t, r, launchOf(id, "sh", "-c",
				"trap 'exit 10' TERM; trap 'exit 11' INT; trap 'exit 12' QUIT; trap 'exit 13' HUP; trap 'exit 14' USR1; trap 'exit 15' USR2; echo done; while :; do sleep 0.02; done"))
			output(t, r, id)
			require.NoError(t, r.Signal(t.Context(), id, instance, c.name))
			require.Equal(t, c.exit, next(t, r).Exit)
			require.ErrorIs(t, r.Signal(t.Context(), id, instance, c.name), runtime.ErrGone)
		})
	}
	t.Run("a name that is none", func(t *testing.T) {
		err := r.Signal(t.Context(), "w", pool.Instance{}, "STOP")
		require.ErrorContains(t, err, `"STOP" is not one of HUP, INT, KILL, QUIT, TERM, USR1, USR2`)
	})
}

// A pid that belongs to another process by now is told from the instance by its boot and its start.
func TestAnInstanceWhosePidIsAnothersIsGoneAndNothingIsTouched(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	victim := launch(t, r, launchOf("victim", "sleep", "1000"))
	for _, c := range []struct {
		name  string
		forge func(*pool.Instance)
	}{
		{"another start time", func(i *pool.Instance) { i.StartTime-- }},
		{"another boot", func(i *pool.Instance) { i.BootID = "65a4becd-0000-0000-0000-000000000000" }},
		{"no instance", func(i *pool.Instance) { *i = pool.Instance{} }},
		{"a pid that nobody has", func(i *pool.Instance) { i.PID = 1 << 30 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			forged := victim
			c.forge(&forged)
			require.ErrorIs(t, r.Signal(t.Context(), "ghost", forged, "KILL"), runtime.ErrGone)
			require.ErrorIs(t, r.Signal(t.Context(), "victim", forged, "KILL"), runtime.ErrGone)
			require.ErrorIs(t, r.Adopt(t.Context(), testPool, "ghost", forged), runtime.ErrGone)
			require.NoError(t, r.Kill(t.Context(), "ghost", forged))
			n, err := r.Sweep(t.Context(), "ghost", forged)
			require.NoError(t, err)
			require.Zero(t, n)
			require.True(t, lives(victim.PID))
		})
	}
	require.Error(t, r.Adopt(t.Context(), testPool, "victim", pool.Instance{BootID: victim.BootID, PID: 1, StartTime: 1}), "it runs as another process")
	require.NoError(t, r.Adopt(t.Context(), testPool, "victim", victim), "it is watched already")
	require.NoError(t, unix.Kill(victim.PID, unix.SIGKILL))
	require.Equal(t, "victim", next(t, r).WorkerID)
}

func TestAClosedRuntimeEndsNoWorkerAndRefusesCalls(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	instance := launch(t, r, launchOf("w", "sleep", "1000"))
	require.NoError(t, r.Close())
	require.NoError(t, r.Close(), "again")
	_, ok := <-r.Ended()
	require.False(t, ok)
	require.True(t, lives(instance.PID))
	_, err := r.Launch(t.Context(), launchOf("w2", "true"))
	require.ErrorIs(t, err, errClosed)
	require.ErrorIs(t, r.Signal(t.Context(), "w", instance, "TERM"), errClosed)
	require.ErrorIs(t, r.Kill(t.Context(), "w", instance), errClosed)
	_, err = r.List(t.Context())
	require.ErrorIs(t, err, errClosed)
	require.True(t, lives(instance.PID))
}
