//go:build linux

package acceptance

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// TestAManagerThatIsKilledAtAnyMomentLosesNothing kills it with -9 while Terraform creates, rolls and destroys a
// pool, at moments that each seed chooses.
func TestAManagerThatIsKilledAtAnyMomentLosesNothing(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			moments := rand.New(rand.NewPCG(seed, 0))
			w := newWorld(t)
			declared := func(greeting string) object {
				return w.web(set("size", 4), set("worker.env", object{"GREETING": greeting}), w.args("-start-delay", "300ms"),
					set("update.max_surge", "50%"), set("drain.deregister_delay", "300ms"))
			}
			w.declare(declared("hello"))
			creating := w.beginApply()
			w.awaitAccepted(0)
			alive := w.killAt(moments, creating, "hello")
			w.endsRight(creating)
			created := w.pool("web")
			w.isTheOnlyPool(created.UID)
			w.kept(alive)

			w.declare(declared("good day"))
			rolling := w.beginApply()
			w.awaitAccepted(created.Generation)
			alive = w.killAt(moments, rolling, "good day")
			w.endsRight(rolling)
			w.isTheOnlyPool(created.UID)
			w.kept(alive)
			w.plan().ended(planEmpty)

			destroying := w.beginDestroy()
			await(t, "an accepted destroy", func() bool {
				view, found := w.poolIf("web")
				return found && view.Phase == pool.PhaseDeleting || !destroying.underway()
			})
			w.killAt(moments, destroying, "")
			if destroying.wait().code != 0 {
				w.destroy().succeeded()
			}
			w.wake()
			require.Empty(t, w.running("web"))
			require.Empty(t, w.pools())
			_, kept := w.state()
			require.False(t, kept)
		})
	}
}

// awaitAccepted returns once the pool has a newer generation.
func (k *keeper) awaitAccepted(than int64) {
	k.t.Helper()
	await(k.t, "an accepted change", func() bool {
		view, found := k.poolIf("web")
		return found && view.Generation > than
	})
}

// killAt kills the manager one to three times while Terraform waits for it, and returns the workers with a
// greeting that lived then.
func (w *workspace) killAt(moments *rand.Rand, waiting *started, greeting string) crew {
	w.t.Helper()
	alive := crew{}
	for range 1 + moments.IntN(3) {
		pass(w.t, time.Duration(moments.IntN(1000))*time.Millisecond)
		pid := w.pid()
		if pid == 0 || !waiting.underway() {
			continue
		}
		maps.Copy(alive, w.greeting(greeting))
		require.NoError(w.t, syscall.Kill(pid, syscall.SIGKILL))
		await(w.t, "the end of the killed manager", func() bool { return w.pid() != pid })
	}
	return alive
}

// greeting are the running workers with a greeting in their environment.
func (k *keeper) greeting(text string) crew {
	k.t.Helper()
	all, err := processesOf(k.dir)
	require.NoError(k.t, err)
	c := crew{}
	for _, p := range all {
		if p.variable("GREETING") == text && p.leads() {
			c[p.variable("POOLKEEPER_WORKER_ID")] = p.pid
		}
	}
	return c
}

// endsRight requires that the apply, or else the next one, succeeds.
func (w *workspace) endsRight(applying *started) {
	w.t.Helper()
	if o := applying.wait(); o.code != 0 {
		w.t.Logf("the apply that lost its manager: %s", o)
		w.apply().succeeded()
	}
	w.wake()
}

// kept requires that workers which were alive are in the pool still, as the same processes.
func (w *workspace) kept(alive crew) {
	w.t.Helper()
	now := w.settled("web")
	require.Len(w.t, now, 4)
	for id, pid := range alive {
		require.Equal(w.t, pid, now[id], "worker %s", id)
	}
}
