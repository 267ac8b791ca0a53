package lifecycle_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestACanaryGoesFirstBakesAndIsFollowed(t *testing.T) {
	bake := pool.Duration(10 * time.Minute)
	count := int64(2)
	with := []func(*pool.Spec){probed, update(1, 0), deadline(time.Minute), canary(pool.Canary{Count: &count, Bake: &bake})}
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(5, with...)).Pool.UID
		done := s.change(spec(5, append(with, command("serve", "v2"))...))
		s.pass(time.Minute)
		require.Equal(t, 2, s.fresh("web"))
		require.Len(t, s.living("web"), 5)
		require.Contains(t, s.operation(done).Reason, "canary: bakes until")
		s.pass(8 * time.Minute)
		require.Equal(t, 2, s.fresh("web"))

		for _, w := range s.living("web") {
			if w.TemplateHash != s.view("web").Target() {
				s.world.crash(w.ID)
				break
			}
		}
		s.pass(10 * time.Second)
		require.Equal(t, 2, s.fresh("web"), "a lost old worker is replaced by a good one, not by a third canary")
		require.Equal(t, 5, s.view("web").Status.Available)

		s.succeeds(done)
		require.Equal(t, 5, s.fresh("web"))
		require.Contains(t, s.told(uid), pool.EventRolloutPromoted)
	})
}

// Workers may live no longer than a canary bakes: that is no fault of theirs.
func TestACanaryBakesOnWhenItsWorkersAreWorn(t *testing.T) {
	age := pool.Duration(5 * time.Minute)
	for name, surge := range map[string]func(*pool.Spec){"with a surge": update(1, 0), "without": update(0, 1)} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				with := []func(*pool.Spec){
					probed, surge, deadline(time.Minute), canary(pool.Canary{Bake: new(pool.Duration(12 * time.Minute))}),
					func(sp *pool.Spec) { sp.WorkerLimits.MaxAge = &age },
				}
				s.created(spec(3, with...))
				began := time.Now()
				done := s.change(spec(3, append(with, command("serve", "v2"))...))
				s.pass(11 * time.Minute)
				require.Equal(t, 1, s.fresh("web"))
				s.succeeds(done)
				require.InDelta(t, 12*time.Minute, time.Since(began), float64(time.Minute))
			})
		})
	}
}

func TestACanaryBakesAnewWhenItFails(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		with := []func(*pool.Spec){probed, update(1, 0), deadline(time.Minute), canary(pool.Canary{Bake: new(pool.Duration(10 * time.Minute))})}
		s.created(spec(3, with...))
		done := s.change(spec(3, append(with, command("serve", "v2"))...))
		s.pass(9 * time.Minute)
		for _, w := range s.living("web") {
			if w.TemplateHash == s.view("web").Target() {
				s.world.crash(w.ID)
			}
		}
		failed := time.Now()
		s.pass(9 * time.Minute)
		require.Equal(t, 1, s.fresh("web"))
		s.succeeds(done)
		require.InDelta(t, 10*time.Minute, time.Since(failed), float64(time.Minute))
	})
}

// A person may decide while the controller is about to note how far the canary is.
func TestAPromotionIsNotLostToTheControllersOwnNote(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.close()
		var interrupt atomic.Pointer[func()]
		s.plan = func(w planner.World) planner.Result {
			r := planner.Plan(w)
			if len(r.Turns) > 0 && r.Turns[0].Phase == pool.OperationAwaiting {
				if f := interrupt.Swap(nil); f != nil {
					(*f)()
				}
			}
			return r
		}
		s.open()
		with := []func(*pool.Spec){probed, update(1, 0), deadline(time.Minute), canary(pool.Canary{Promote: pool.PromoteManual})}
		s.created(spec(3, with...))
		interrupt.Store(new(func() {
			_, err := s.m.Promote(context.Background(), asChange, "web")
			require.NoError(t, err)
		}))
		s.succeeds(s.change(spec(3, append(with, command("serve", "v2"))...)))
		require.Nil(t, interrupt.Load())
	})
}

func TestACanaryThatFailsTakesNobodyWithIt(t *testing.T) {
	with := []func(*pool.Spec){probed, update(0, 1), deadline(time.Minute), canary(pool.Canary{})}
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = onlyOld
		s.created(spec(4, with...))
		before := s.world.running()
		o := s.reverts(s.change(spec(4, append(with, command("serve", "bad"))...)))
		require.Contains(t, o.Reason, "0 of 4 new workers are available, 3 old left")
		kept := 0
		for _, id := range s.world.running() {
			for _, b := range before {
				if id == b {
					kept++
				}
			}
		}
		require.Equal(t, 3, kept)
		require.Equal(t, 4, s.view("web").Status.Available)
	})
}

func TestAPersonPromotesACanaryOrAbortsIt(t *testing.T) {
	with := []func(*pool.Spec){probed, update(1, 0), deadline(time.Minute), canary(pool.Canary{Promote: pool.PromoteManual})}
	for name, c := range map[string]struct {
		decide func(*stage) error
		phase  pool.OperationPhase
		fresh  int
	}{
		"promotes": {func(s *stage) error { _, err := s.m.Promote(s.t.Context(), asChange, "web"); return err }, pool.OperationSucceeded, 3},
		"aborts":   {func(s *stage) error { _, err := s.m.Abort(s.t.Context(), asChange, "web"); return err }, pool.OperationCanceled, 3},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.created(spec(3, with...))
				_, err := s.m.Promote(t.Context(), asChange, "web")
				refused(t, err, api.ProblemNoRollout)
				done := s.change(spec(3, append(with, command("serve", "v2"))...))
				o := s.settles(done)
				require.Equal(t, pool.OperationAwaiting, o.Phase)
				s.pass(24 * time.Hour)
				require.Equal(t, 1, s.fresh("web"))
				require.NoError(t, c.decide(s))
				require.Equal(t, c.phase, s.ends(done).Phase)
				require.Equal(t, c.fresh, s.fresh("web"))
			})
		})
	}
}

// An answer may be lost, and the request come again.
func TestARepeatedPromotionIsAnsweredLikeTheFirst(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		with := []func(*pool.Spec){probed, update(1, 0), deadline(time.Minute), canary(pool.Canary{Promote: pool.PromoteManual})}
		s.created(spec(3, with...))
		done := s.change(spec(3, append(with, command("serve", "v2"))...))
		s.settles(done)
		request := lifecycle.Request{Author: author, Key: "k", Fingerprint: "promote"}
		for range 2 {
			_, err := s.m.Promote(t.Context(), request, "web")
			require.NoError(t, err)
		}
		s.succeeds(done)
		_, err := s.m.Promote(t.Context(), request, "web")
		require.NoError(t, err)
		request.Fingerprint = "abort"
		_, err = s.m.Abort(t.Context(), request, "web")
		refused(t, err, api.ProblemKeyReused)
	})
}
