package lifecycle_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// onlyOld has workers of a later template than the first never pass their probe.
func onlyOld(l runtime.Launch) habit {
	if len(l.Template.Command) > 1 {
		return habit{warmUp: time.Hour * 24}
	}
	return habit{}
}

func canary(c pool.Canary) func(*pool.Spec) {
	return func(s *pool.Spec) { s.Update.Canary = &c }
}

func onFailure(what string) func(*pool.Spec) {
	return func(s *pool.Spec) { s.Update.OnFailure = what }
}

// fresh counts the living workers of the newest template.
func (s *stage) fresh(name string) (n int) {
	target := s.view(name).Target()
	for _, w := range s.living(name) {
		if w.TemplateHash == target && !w.State.Leaving() {
			n++
		}
	}
	return n
}

func TestAFailedRolloutReturnsToTheLastGoodRevision(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = onlyOld
		s.created(spec(3, probed, update(1, 0), deadline(time.Minute)))
		before := s.world.running()
		s.succeeds(s.change(spec(3, probed, update(1, 0), deadline(time.Minute), describedAs("hot"))))

		bad := s.change(spec(4, probed, update(1, 0), deadline(time.Minute), describedAs("hot"), command("serve", "bad"), func(sp *pool.Spec) {
			sp.Labels, sp.Drain.Grace = map[string]string{"new": "label"}, pool.Duration(time.Second)
		}))
		o := s.reverts(bad)
		require.Contains(t, o.Reason, "no progress for 1m: 0 of 4 new workers are available, 3 old left")
		require.NotEmpty(t, o.LogTail)
		v := s.view("web")
		require.Equal(t, []string{"serve"}, v.Spec.Worker.Command, "the template is the good one")
		require.Equal(t, 10*time.Second, v.Spec.Drain.Grace.Std(), "and so is the contract")
		require.Equal(t, int64(4), *v.Spec.Size, "the size is the newest")
		require.Equal(t, map[string]string{"new": "label"}, v.Spec.Labels)
		require.Equal(t, pool.StateActive, v.Status.State)
		require.Equal(t, 4, v.Status.Available)
		require.Subset(t, s.world.running(), before, "no good worker was touched")
		require.Equal(t, v.Generation, v.ConvergedGeneration)

		revisions, err := s.m.Revisions(t.Context(), "web", 0)
		require.NoError(t, err)
		require.Equal(t, "system:controller", revisions[0].Author)
		require.Contains(t, revisions[0].Reason, "rollback: no progress")
		require.Equal(t, v.Revision, v.Good.Revision)
		require.True(t, v.UpdatedAt.After(bad.Pool.UpdatedAt), "the return is an update, too")

		_, err = s.m.Put(t.Context(), lifecycle.Request{Author: author, IfMatch: api.ETag(bad.Pool)}, spec(5, probed))
		refused(t, err, api.ProblemStale)
		s.reverts(s.change(spec(4, probed, update(1, 0), deadline(time.Minute), command("serve", "bad"))))
	})
}

func TestAFailedRestartReturnsToTheWorkersThatThereAre(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(2, probed, deadline(time.Minute)))
		before := s.world.running()
		s.world.habits = launchesWarmUp(time.Hour)
		s.reverts(s.restart("web"))
		s.pass(time.Minute)
		require.Equal(t, before, s.world.running())
	})
}

func TestAReturnThatFailsIsNotReturnedFrom(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(2, probed, update(0, 1), deadline(time.Minute)))
		s.world.habits = launchesWarmUp(time.Hour) // whatever is launched from now on is no good
		o := s.fails(s.change(spec(2, probed, update(0, 1), deadline(time.Minute), command("serve", "bad"))))
		require.Contains(t, o.Reason, "the return to the last good revision failed, too")
		require.Equal(t, pool.StateError, s.view("web").Status.State)
	})
}

func TestAFailedRolloutMayWaitForAPerson(t *testing.T) {
	patient := []func(*pool.Spec){probed, update(1, 0), deadline(time.Minute), onFailure(pool.OnFailurePause)}
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = onlyOld
		s.created(spec(2, patient...))
		done := s.change(spec(2, append(patient, command("serve", "bad"))...))
		o := s.settles(done)
		require.Equal(t, pool.OperationPaused, o.Phase)
		require.Contains(t, o.Reason, "0 of 2 new workers are available")
		s.pass(time.Hour)
		require.Equal(t, 2, s.view("web").Status.Available)

		s.world.crash(s.living("web")[0].ID)
		s.pass(time.Second)
		require.Equal(t, 2, s.view("web").Status.Available, "old places are filled with good workers")

		v, err := s.m.Abort(t.Context(), lifecycle.Request{Author: author, Comment: "no good"}, "web")
		require.NoError(t, err)
		require.Equal(t, []string{"serve"}, v.Spec.Worker.Command)
		o = s.ends(done)
		require.Equal(t, []any{pool.OperationCanceled, "aborted by user:ann: no good"}, []any{o.Phase, o.Reason})
		require.Equal(t, 2, s.view("web").Status.Available)
	})
}

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

func TestARolloutWaitsForItsWindow(t *testing.T) {
	nightly := func(s *pool.Spec) {
		s.Update.Windows = []pool.Window{{Cron: "0 2 * * *", Duration: pool.Duration(time.Hour), TimeZone: "UTC"}}
	}
	play(t, func(t *testing.T, s *stage) { // it is midnight
		s.created(spec(2, nightly, deadline(time.Minute)))
		began := time.Now()
		done := s.change(spec(2, nightly, deadline(time.Minute), command("serve", "v2")))
		s.pass(90 * time.Minute)
		require.Equal(t, 0, s.fresh("web"))
		require.Contains(t, s.operation(done).Reason, "waits for its window, which opens 2000-01-01T02:00:00Z")
		s.world.crash(s.living("web")[0].ID)
		s.pass(time.Minute)
		require.Equal(t, 2, s.view("web").Status.Available, "what is lost is replaced at any time")
		s.succeeds(done)
		require.InDelta(t, 2*time.Hour, time.Since(began), float64(time.Minute))
		require.Equal(t, 2, s.fresh("web"))
	})
}

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

func TestAPoolIsRevertedToAnyRevision(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(2))
		s.succeeds(s.change(spec(2, command("serve", "v2"))))
		s.succeeds(s.change(spec(4, command("serve", "v3"))))
		done, err := s.m.Revert(t.Context(), asChange, "web", 1)
		require.NoError(t, err)
		require.Equal(t, pool.OperationRevert, done.Operation.Kind)
		require.Equal(t, pool.ChangeRolling, done.Operation.Change)
		s.succeeds(done)
		v := s.view("web")
		require.Equal(t, []string{"serve"}, v.Spec.Worker.Command)
		require.Equal(t, int64(4), *v.Spec.Size)
		_, err = s.m.Revert(t.Context(), asChange, "web", 99)
		refused(t, err, api.ProblemNotFound)
	})
}

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

// While a rollout waits for a person or a window, whatever else is asked of the pool neither waits for it nor
// fails with it.
func TestOtherChangesDoNotWaitForAHeldRollout(t *testing.T) {
	closed := func(s *pool.Spec) {
		s.Update.Windows = []pool.Window{{Cron: "0 3 1 6 *", Duration: pool.Duration(time.Hour), TimeZone: "UTC"}}
	}
	manual := canary(pool.Canary{Promote: pool.PromoteManual})
	for name, holding := range map[string]func(*pool.Spec){"a canary": manual, "a window": closed} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				with := func(n int64, changes ...func(*pool.Spec)) pool.Spec {
					return spec(n, append([]func(*pool.Spec){probed, update(1, 0), deadline(time.Minute), holding}, changes...)...)
				}
				s.created(with(4))
				s.change(with(4, command("serve", "v2")))
				s.pass(5 * time.Minute)
				s.succeeds(s.change(with(6, command("serve", "v2"))))
				require.Equal(t, 6, s.view("web").Status.Available)
				s.succeeds(s.change(with(6, command("serve", "v2"), describedAs("news"))))
				s.succeeds(s.change(with(3, command("serve", "v2"), describedAs("news"))))
				require.Len(t, s.living("web"), 3)
				require.Equal(t, pool.StateUpdating, s.view("web").Status.State)
			})
		})
	}
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

// Nothing is wrong with a template whose workers are all available: only the one who is busy is still there.
func TestARolloutThatOnlyABusyWorkerKeepsFromItsEndFailsAndIsNotTakenBack(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		with := []func(*pool.Spec){probed, update(1, 0), draining(time.Minute, pool.OnTimeoutFail), deadline(time.Minute)}
		s.created(spec(2, with...))
		busy := s.leased("web", "a")
		done := s.change(spec(2, append(with, command("serve", "v2"))...))
		for range 10 {
			s.pass(20 * time.Second)
			s.renew(busy)
		}
		o := s.fails(done)
		require.Contains(t, o.Reason, `still busy at the drain deadline`)
		require.Equal(t, 2, s.fresh("web"))
		s.release(busy)
		s.pass(20 * time.Second)
		require.Equal(t, []string{"serve", "v2"}, s.view("web").Spec.Worker.Command)
		require.Len(t, s.world.running(), 2)
	})
}

func TestARolloutThatABusyWorkerEndsIsTakenBackAndSaysSo(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		with := []func(*pool.Spec){probed, update(1, 0), draining(time.Minute, pool.OnTimeoutFail)}
		s.created(spec(2, with...))
		busy := []api.LeaseView{s.leased("web", "a"), s.leased("web", "b")}
		done := s.change(spec(2, append(with, command("serve", "v2"))...))
		for range 4 {
			s.pass(20 * time.Second)
			for _, l := range busy {
				s.renew(l)
			}
		}
		require.Equal(t, pool.OperationReverting, s.operation(done).Phase, "the place of the busy one is all the surge that there is")
		for _, l := range busy {
			s.release(l)
		}
		o := s.reverts(done)
		require.Contains(t, o.Reason, "still busy at the drain deadline")
		require.Equal(t, []string{"serve"}, s.view("web").Spec.Worker.Command)
		s.pass(10 * time.Second)
		require.Len(t, s.world.running(), 2)
		require.Equal(t, pool.StateActive, s.view("web").Status.State)
	})
}
