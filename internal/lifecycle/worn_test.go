package lifecycle_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestWorkersAreReplacedWhenTheyAreWorn(t *testing.T) {
	t.Run("by age", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			age := pool.Duration(time.Hour)
			s.created(spec(3, update(1, 0), func(sp *pool.Spec) { sp.WorkerLimits.MaxAge = &age }))
			before := s.world.running()
			s.pass(59 * time.Minute)
			require.Equal(t, before, s.world.running())
			s.pass(2 * time.Minute)
			require.Len(t, s.world.running(), 3)
			require.NotSubset(t, before, s.world.running())
			require.Contains(t, s.worker(before[0]).Reason, "drained")
		})
	})
	t.Run("by leases", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			most := int64(2)
			s.created(spec(1, update(1, 0), slots(1), func(sp *pool.Spec) { sp.WorkerLimits.MaxLeases = &most }))
			first := s.leased("web", "a")
			s.release(first)
			second := s.leased("web", "b")
			require.Equal(t, first.WorkerID, second.WorkerID)
			third := s.ask("web", "c")
			for range 20 { // longer than a drain may take
				s.pass(30 * time.Second)
				s.renew(second)
				s.renew(third)
			}
			require.Equal(t, pool.WorkerReady, s.worker(first.WorkerID).State, "its last job has all the time that it needs")
			s.release(second)
			s.pass(5 * time.Second)
			require.NotContains(t, s.world.running(), first.WorkerID)
			require.Equal(t, pool.LeaseHeld, s.lease(third.ID).State)
			require.NotEqual(t, first.WorkerID, s.lease(third.ID).WorkerID, "its successor has taken over")
		})
	})
}

func TestAWorkerThatHasDoneItsWorkIsReplacedAtOnceEachTime(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(1)).Pool.UID
		for range 5 {
			s.pass(10 * time.Second)
			w := s.living("web")[0]
			s.world.exit(w.ID, pool.Exit{})
			synctest.Wait()
			require.Len(t, s.world.running(), 1, "no backoff")
			require.Equal(t, pool.WorkerStopped, s.worker(w.ID).State)
			require.Contains(t, s.worker(w.ID).Reason, "finished")
		}
		require.NotContains(t, s.told(uid), pool.EventWorkerFailed)
		s.pass(500 * time.Millisecond)
		s.world.exit(s.living("web")[0].ID, pool.Exit{})
		synctest.Wait()
		require.Contains(t, s.told(uid), pool.EventWorkerFailed, "one that ends at once has done nothing")
	})
	t.Run("unless it is said to be a crash", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			s.created(spec(1, func(sp *pool.Spec) { sp.Worker.OnExitZero = pool.ExitZeroCrash }))
			s.pass(10 * time.Second)
			id := s.living("web")[0].ID
			s.world.exit(id, pool.Exit{})
			synctest.Wait()
			require.Equal(t, pool.WorkerFailed, s.worker(id).State)
		})
	})
}

// What waits for a person or a window is the new template: workers of the old one that are worn, or that a person
// drains, are replaced by others of the old one meanwhile.
func TestWornWorkersAreReplacedWhileARolloutIsHeld(t *testing.T) {
	closed := func(s *pool.Spec) {
		s.Update.Windows = []pool.Window{{Cron: "0 3 1 6 *", Duration: pool.Duration(time.Hour), TimeZone: "UTC"}}
	}
	for name, c := range map[string]struct {
		holding, surge func(*pool.Spec)
		fresh          int
	}{
		"by a canary":                {canary(pool.Canary{Promote: pool.PromoteManual}), update(1, 0), 1},
		"by a canary, without surge": {canary(pool.Canary{Promote: pool.PromoteManual}), update(0, 1), 1},
		"by a window":                {closed, update(1, 0), 0},
		"by a window, without surge": {closed, update(0, 1), 0},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				one := int64(1)
				with := []func(*pool.Spec){probed, c.surge, deadline(time.Minute), c.holding, func(sp *pool.Spec) { sp.WorkerLimits.MaxLeases = &one }}
				s.created(spec(3, with...))
				done := s.change(spec(3, append(with, command("serve", "v2"))...))
				for range 5 {
					s.pass(30 * time.Second)
					require.Equal(t, c.fresh, s.fresh("web"))
					before := ids(s.living("web"))
					for _, l := range []api.LeaseView{s.leased("web", "a"), s.leased("web", "b"), s.leased("web", "c")} {
						s.release(l)
					}
					s.pass(30 * time.Second)
					require.Equal(t, 3, s.view("web").Status.Available)
					for _, w := range s.living("web") {
						require.NotContains(t, before, w.ID)
					}
				}
				for _, w := range s.living("web") {
					drained, err := s.m.DrainWorker(t.Context(), asChange, "web", w.ID, true)
					require.NoError(t, err)
					s.succeeds(drained)
				}
				require.Equal(t, c.fresh, s.fresh("web"))
				require.False(t, s.operation(done).Phase.Ended())
			})
		})
	}
}
