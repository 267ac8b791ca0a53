package lifecycle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

func TestAPausedPoolIsLeftAlone(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(3, probed, deadline(time.Minute))).Pool.UID
		v, err := s.m.Pause(t.Context(), lifecycle.Request{Author: author, Comment: "maintenance"}, "web", true)
		require.NoError(t, err)
		require.True(t, v.Paused)
		before := s.world.running()
		s.world.crash(before[0])
		done := s.change(spec(5, probed, deadline(time.Minute), command("serve", "v2")))
		require.Equal(t, pool.OperationPaused, s.settles(done).Phase)
		s.pass(time.Hour)
		require.Equal(t, before[1:], s.world.running())
		l := s.leased("web", "leases go on")
		s.release(l)

		_, err = s.m.Pause(t.Context(), asChange, "web", false)
		require.NoError(t, err)
		s.succeeds(done)
		require.Equal(t, 5, s.fresh("web"))
		require.Subset(t, s.told(uid), []pool.EventType{pool.EventPoolPaused, pool.EventPoolResumed})
	})
	t.Run("and can be destroyed", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			s.created(spec(2))
			_, err := s.m.Pause(t.Context(), asChange, "web", true)
			require.NoError(t, err)
			s.succeeds(s.destroy("web"))
		})
	})
}

// While a pool is paused no time runs, of its way back neither.
func TestAPauseDoesNotFailTheWayBack(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		with := []func(*pool.Spec){probed, update(1, 0), deadline(time.Minute), canary(pool.Canary{Promote: pool.PromoteManual})}
		s.created(spec(3, with...))
		done := s.change(spec(3, append(with, command("serve", "v2"))...))
		s.settles(done)
		s.world.habits = func(runtime.Launch) habit { return habit{warmUp: 20 * time.Second} }
		_, err := s.m.Abort(t.Context(), asChange, "web")
		require.NoError(t, err)
		s.pass(time.Second)
		_, err = s.m.Pause(t.Context(), asChange, "web", true)
		require.NoError(t, err)
		s.pass(time.Hour)
		_, err = s.m.Pause(t.Context(), asChange, "web", false)
		require.NoError(t, err)
		require.Equal(t, pool.OperationCanceled, s.ends(done).Phase)
	})
}

func TestASecondPauseChangesNothing(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = onlyOld
		with := []func(*pool.Spec){probed, deadline(time.Minute), onFailure(pool.OnFailurePause)}
		uid := s.created(spec(2, with...)).Pool.UID
		done := s.change(spec(2, append(with, command("serve", "bad"))...))
		failed := s.settles(done)
		require.Contains(t, failed.Reason, "no progress")
		for range 2 {
			_, err := s.m.Pause(t.Context(), lifecycle.Request{Author: author, Comment: "maintenance"}, "web", true)
			require.NoError(t, err)
		}
		require.Equal(t, failed.Reason, s.operation(done).Reason, "why it waits is still said")
		pauses := 0
		for _, e := range s.events(uid) {
			if e.Type == pool.EventPoolPaused {
				pauses++
			}
		}
		require.Equal(t, 1, pauses)
	})
}
