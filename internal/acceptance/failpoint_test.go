//go:build linux

package acceptance

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/failpoint"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// TestAManagerThatIsKilledAtEachOfItsFailpointsLosesNothing lives a pool's whole life once for each place at which
// the manager has done something and not yet recorded it, or recorded it and not yet done it. It is killed there,
// and another one goes on.
func TestAManagerThatIsKilledAtEachOfItsFailpointsLosesNothing(t *testing.T) {
	for _, point := range failpoint.All {
		t.Run(string(point), func(t *testing.T) {
			k := newStage(t).keeper("data")
			reached := k.killedAt(point)
			c, err := client.New(client.Config{Endpoint: k.data.Endpoint(), Program: "test", Patience: patience})
			require.NoError(t, err)
			by := client.Change{Reason: "a story"}
			done := func(accepted api.Accepted, err error) {
				t.Helper()
				require.NoError(t, err)
				o, err := c.Wait(t.Context(), accepted.Operation.ID, nil)
				require.NoError(t, err)
				require.Equal(t, pool.OperationSucceeded, o.Phase, o.Reason)
			}
			spec := func(size int64, greeting string, args ...string) pool.Spec {
				s := pool.Default()
				s.Name, s.Size, s.Worker.Command = "web", &size, append([]string{k.worker}, args...)
				s.Worker.Env, s.Worker.Ports = map[string]string{"GREETING": greeting}, []pool.Port{{Name: "http"}}
				s.Health.HTTP, s.Health.Interval = &pool.HTTPProbe{Path: "/healthz"}, pool.Duration(200*time.Millisecond)
				s.Update.MaxSurge = pool.Amount{Value: 100, Percent: true}
				s.Drain.DeregisterDelay, s.Drain.Grace = 0, pool.Duration(500*time.Millisecond)
				return s
			}

			done(c.Create(t.Context(), spec(3, "hello"), by))
			first := k.settled("web")
			require.Len(t, first, 3)

			l, err := c.Acquire(t.Context(), api.LeaseRequest{Pool: "web", Holder: "a job"})
			require.NoError(t, err)
			require.Equal(t, pool.LeaseHeld, l.State)
			leases, err := c.Leases(t.Context(), "web")
			require.NoError(t, err)
			require.Len(t, leases, 1, "one claim is one lease, however often it had to be made")
			_, err = c.Release(t.Context(), l.ID)
			require.NoError(t, err)

			victim := slices.Sorted(maps.Keys(first))[0]
			marked, err := c.Cordon(t.Context(), "web", victim, by)
			require.NoError(t, err)
			require.True(t, marked.Cordoned)
			marked, err = c.Uncordon(t.Context(), "web", victim, by)
			require.NoError(t, err)
			require.False(t, marked.Cordoned)
			steered, err := c.Pause(t.Context(), "web", by)
			require.NoError(t, err)
			require.True(t, steered.Paused)
			steered, err = c.Resume(t.Context(), "web", by)
			require.NoError(t, err)
			require.False(t, steered.Paused)
			told, err := c.Events(t.Context(), "web", 0)
			require.NoError(t, err)
			for _, kind := range []pool.EventType{pool.EventWorkerCordoned, pool.EventWorkerUncordoned, pool.EventPoolPaused, pool.EventPoolResumed} {
				others := slices.DeleteFunc(slices.Clone(told.Events), func(e pool.Event) bool { return e.Type == kind })
				require.Len(t, others, len(told.Events)-1, "what was done once is told once, however often it had to be asked for: %s", kind)
			}

			require.NoError(t, syscall.Kill(first[victim], syscall.SIGKILL))
			await(t, "a replacement", func() bool {
				crew := k.crew("web")
				return len(crew) == 3 && crew[victim] == 0 && k.pool("web").Status.Available == 3
			})
			healed := k.settled("web")
			for id, pid := range first {
				require.True(t, id == victim || healed[id] == pid, "worker %s was left alone", id)
			}

			done(c.Update(t.Context(), spec(3, "good day", "-ignore-term"), by)) // these have to be killed
			rolled := k.settled("web")
			apart(t, healed, rolled)
			done(c.Resize(t.Context(), "web", 1, by))
			for id, pid := range k.settled("web") {
				require.Equal(t, rolled[id], pid)
			}
			done(c.Delete(t.Context(), "web", false, by))
			require.Empty(t, k.running("web"))
			pools, err := c.Pools(t.Context())
			require.NoError(t, err)
			require.Empty(t, pools)
			require.True(t, reached(), "the story comes by %s", point)
		})
	}
}

// killedAt runs managers, one after the other, until the test ends: the first that reaches the point is killed
// there. It says whether one was.
func (k *keeper) killedAt(point failpoint.Point) (reached func() bool) {
	k.t.Helper()
	killed := k.at("killed")
	ctx, end := context.WithCancel(context.Background())
	var guard sync.WaitGroup
	k.t.Cleanup(func() { // before the keeper's own
		end()
		guard.Wait()
	})
	guard.Go(func() {
		for ctx.Err() == nil {
			cmd := exec.CommandContext(ctx, k.provider(failing), "manager", "run", "--data-dir", string(k.data))
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
			cmd.Env = k.environment("POOLKEEPER_FAILPOINT="+string(point), "POOLKEEPER_FAILPOINT_FILE="+killed)
			_ = cmd.Run() // it is killed, or told to end
		}
	})
	return func() bool {
		_, err := os.Stat(killed)
		return err == nil
	}
}

// TestAManagerThatStoodStillStopsNoBusyWorker: it stands still for longer than any lease lives and any drain
// lasts. Nobody could renew meanwhile, so nothing is over when it goes on.
func TestAManagerThatStoodStillStopsNoBusyWorker(t *testing.T) {
	const drain, standstill = 6 * time.Second, 10 * time.Second
	for name, then := range map[string]struct {
		size     int
		greeting string
	}{
		"that drains for a roll":     {2, "good day"},
		"that drains for a scale-in": {0, "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			config := func(size int, greeting string) object {
				return w.web(set("size", size), set("leases", object{"slots": 1, "ttl": "8s"}), set("worker.env", object{"GREETING": greeting}),
					set("drain", object{"timeout": drain.String(), "deregister_delay": "0s", "grace": "1s"}))
			}
			w.reaches(config(2, "hello"))
			c := w.client()
			var held []api.LeaseView
			for range 2 {
				l, err := c.Acquire(t.Context(), api.LeaseRequest{Pool: "web", Holder: "a long job"})
				require.NoError(t, err)
				held = append(held, l)
			}
			before := w.settled("web")
			w.declare(config(then.size, then.greeting))
			applying := w.beginApply()
			await(t, "two draining workers", func() bool {
				for _, l := range held {
					_, err := c.Renew(t.Context(), l.ID)
					require.NoError(t, err)
				}
				return w.pool("web").Status.Draining == 2
			})

			manager := w.pid()
			require.NoError(t, syscall.Kill(manager, syscall.SIGSTOP))
			pass(t, standstill)
			goesOn := time.Now()
			require.NoError(t, syscall.Kill(manager, syscall.SIGCONT))
			for i, l := range held {
				still, err := c.Renew(t.Context(), l.ID)
				require.NoError(t, err)
				require.Equal(t, pool.WorkerDraining, still.Worker.State)
				require.True(t, still.Worker.DrainBy.After(goesOn.Add(drain-time.Second)), "it has its whole drain again, until %s", still.Worker.DrainBy)
				require.True(t, alive(before[l.WorkerID]))
				held[i] = still
			}
			done, goingOn := held[0], held[1]
			released, err := c.Release(t.Context(), done.ID)
			require.NoError(t, err)
			require.Equal(t, pool.LeaseReleased, released.State)
			var over *client.Problem
			await(t, "the end of a job that goes on for too long", func() bool {
				_, err := c.Renew(t.Context(), goingOn.ID)
				return errors.As(err, &over) && over.Lease != nil
			})
			require.Equal(t, pool.LeaseRevoked, over.Lease.State)
			require.False(t, over.Lease.EndedAt.Before(goingOn.Worker.DrainBy), "it had its worker for its whole drain, until %s", over.Lease.EndedAt)
			applying.wait().succeeded()
			after := w.settled("web")
			require.Len(t, after, then.size)
			apart(t, before, after)
		})
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
