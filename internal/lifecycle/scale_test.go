package lifecycle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func autoscaled(least, most int64, idle time.Duration, initialization string) func(*pool.Spec) {
	timeout := pool.Duration(idle)
	return func(s *pool.Spec) {
		s.Size, s.Autoscaling = nil, &pool.Autoscaling{Min: &least, Max: &most, IdleTimeout: &timeout}
		s.Initialization = initialization
	}
}

// waits asks for a lease, and waits for it.
func (s *stage) waits(want lifecycle.Want) api.LeaseView {
	s.t.Helper()
	l, err := s.m.Acquire(s.t.Context(), byScheduler, want, 50*time.Second)
	require.NoError(s.t, err)
	require.Equal(s.t, pool.LeaseHeld, l.State)
	return l
}

func TestADynamicPoolGrowsWhenALeaseWaitsAndShrinksWhenNobodyNeedsIt(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		created := s.created(spec(0, probed, autoscaled(0, 3, time.Minute, pool.Dynamic)))
		uid := created.Pool.UID
		require.Empty(t, s.world.running())
		require.Equal(t, pool.StateActive, s.view("web").Status.State)

		first := s.waits(lifecycle.Want{Pool: "web"})
		require.Len(t, s.world.running(), 1)
		second, third := s.waits(lifecycle.Want{Pool: "web"}), s.waits(lifecycle.Want{Pool: "web"})
		require.Len(t, s.world.running(), 3)
		fourth := s.ask("web", "d")
		require.Equal(t, pool.LeaseWaiting, fourth.State, "no more than the most")
		s.release(first)
		require.Equal(t, pool.LeaseHeld, s.lease(fourth.ID).State)
		v := s.view("web")
		require.Equal(t, []int64{3, 1, 1}, []int64{v.Count, v.Generation, v.Revision}, "what it decides is nobody's change")

		for range 4 { // one of three is needed
			s.pass(20 * time.Second)
			for _, l := range []api.LeaseView{second, third, fourth} {
				s.renew(l)
			}
		}
		require.Len(t, s.world.running(), 3)
		s.release(second)
		s.release(third)
		s.pass(50 * time.Second)
		require.Len(t, s.world.running(), 3, "the idle timeout is not over")
		s.renew(fourth)
		s.pass(20 * time.Second)
		require.Equal(t, []string{s.lease(fourth.ID).WorkerID}, s.world.running(), "the busy one stays")
		fourth = s.renew(fourth)
		s.release(fourth)
		s.pass(75 * time.Second)
		require.Empty(t, s.world.running())
		require.Equal(t, pool.StateActive, s.view("web").Status.State)
		scaled := 0
		for _, e := range s.events(uid) {
			if e.Type == pool.EventPoolScaled {
				require.Equal(t, "system:autoscaler", e.Author)
				scaled++
			}
		}
		require.Equal(t, 5, scaled, "0 -> 1 -> 2 -> 3 -> 1 -> 0")
	})
}

func TestHowAnAutoscaledPoolStarts(t *testing.T) {
	for name, c := range map[string]struct {
		how  func(*pool.Spec)
		want int
	}{
		"dynamic, with the least":   {autoscaled(2, 9, time.Hour, pool.Dynamic), 2},
		"empty":                     {autoscaled(0, 9, time.Hour, pool.Empty), 0},
		"prewarmed, with the least": {autoscaled(2, 9, time.Hour, pool.Prewarmed), 2},
		"prewarmed, with more": {func(s *pool.Spec) {
			autoscaled(2, 9, time.Hour, pool.Prewarmed)(s)
			s.Autoscaling.Initial = new(int64(5))
		}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.created(spec(0, probed, c.how))
				require.Len(t, s.world.running(), c.want)
			})
		})
	}
}

func TestSizeAndAutoscalingTakeOverFromEachOther(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(4))
		before := s.world.running()
		s.succeeds(s.change(spec(0, autoscaled(1, 9, time.Hour, pool.Prewarmed))))
		require.Equal(t, before, s.world.running(), "it keeps the count")
		_, err := s.m.Resize(t.Context(), asChange, "web", 7)
		refused(t, err, api.ProblemAutoscaled)
		require.ErrorContains(t, err, "from autoscaling.min 1 to autoscaling.max 9")
		_, err = s.m.DrainWorker(t.Context(), asChange, "web", before[0], false)
		refused(t, err, api.ProblemAutoscaled)

		s.succeeds(s.change(spec(0, autoscaled(6, 9, time.Hour, pool.Prewarmed))))
		require.Len(t, s.world.running(), 6, "the least was raised above the count")
		s.succeeds(s.change(spec(0, autoscaled(1, 2, time.Hour, pool.Prewarmed))))
		s.pass(time.Minute)
		require.Len(t, s.world.running(), 2)
		s.succeeds(s.change(spec(3)))
		require.Len(t, s.world.running(), 3)
		require.Zero(t, s.view("web").Count)
		done, err := s.m.Resize(t.Context(), asChange, "web", 1)
		require.NoError(t, err)
		s.succeeds(done)
	})
}

// A claim by labels grows one pool: the first that may.
func TestAClaimByLabelsGrowsOnePool(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		labelled := func(name string) func(*pool.Spec) {
			return func(sp *pool.Spec) { sp.Name, sp.Labels = name, map[string]string{"team": "core"} }
		}
		for _, name := range []string{"a", "b"} {
			s.created(spec(0, autoscaled(0, 1, time.Hour, pool.Dynamic), labelled(name)))
		}
		core := lifecycle.Want{Selector: map[string]string{"team": "core"}}
		require.Equal(t, "a", s.waits(core).PoolName)
		require.Len(t, s.world.running(), 1)
		require.Equal(t, "b", s.waits(core).PoolName, "the first can grow no more")
		require.Len(t, s.world.running(), 2)
	})
	t.Run("and the next when that one cannot", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			for name, most := range map[string]int64{"a": 1, "b": 5} {
				s.created(spec(0, autoscaled(0, most, time.Hour, pool.Dynamic), func(sp *pool.Spec) {
					sp.Name, sp.Labels = name, map[string]string{"team": "core"}
				}))
			}
			var claims []string
			for range 4 { // all at once
				l, err := s.m.Acquire(t.Context(), byScheduler, lifecycle.Want{Selector: map[string]string{"team": "core"}}, 0)
				require.NoError(t, err)
				claims = append(claims, l.ID)
			}
			s.pass(10 * time.Second)
			for _, id := range claims {
				require.Equal(t, pool.LeaseHeld, s.lease(id).State)
			}
			require.Len(t, s.world.running(), 4)
		})
	})
}

// The manager does not know what was needed while it was away.
func TestAfterABreakNobodyIsTakenAwayBeforeTheIdleTimeout(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(0, autoscaled(0, 3, 10*time.Minute, pool.Dynamic)))
		s.release(s.waits(lifecycle.Want{Pool: "web"}))
		s.pass(9 * time.Minute)
		s.away(time.Hour)
		s.pass(9 * time.Minute)
		require.Len(t, s.world.running(), 1)
		s.pass(2 * time.Minute)
		require.Empty(t, s.world.running())
	})
}

func TestAPausedPoolDoesNotScale(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(0, autoscaled(0, 3, time.Minute, pool.Dynamic)))
		_, err := s.m.Pause(t.Context(), asChange, "web", true)
		require.NoError(t, err)
		require.Equal(t, pool.LeaseWaiting, s.ask("web", "a").State)
		s.pass(time.Second)
		require.Zero(t, s.view("web").Status.Desired)
		_, err = s.m.Pause(t.Context(), asChange, "web", false)
		require.NoError(t, err)
		s.pass(10 * time.Second)
		require.Len(t, s.world.running(), 1)
	})
}
