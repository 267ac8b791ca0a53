package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// One that never was active protects nothing: else a creation that failed could not be undone.
func TestAPoolIsProtectedOnceItHasBeenActive(t *testing.T) {
	protected := func(s *pool.Spec) { s.DeletionProtection = true }
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = launchesWarmUp(time.Hour)
		s.fails(s.create(spec(1, probed, protected, deadline(time.Minute))))
		s.succeeds(s.destroy("web"))

		s.world.habits = nil
		s.created(spec(1, probed, protected))
		_, err := s.m.Delete(t.Context(), asChange, "web", false)
		refused(t, err, api.ProblemProtected)
		s.world.habits = launchesWarmUp(time.Hour)
		s.change(spec(1, probed, protected, command("serve", "v2")))
		_, err = s.m.Delete(t.Context(), asChange, "web", true)
		refused(t, err, api.ProblemProtected)
	})
}

func TestADestroyDrainsSignalsAndLeavesATombstone(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{work: 3 * time.Second, leftovers: 1} }
		uid := s.created(spec(2)).Pool.UID
		s.succeeds(s.change(spec(2, describedAs("history"))))
		gone := ids(s.living("web"))

		began := time.Now()
		done := s.destroy("web")
		require.Equal(t, pool.PhaseDeleting, done.Pool.Phase)
		synctest.Wait()
		require.Equal(t, pool.StateDraining, s.view("web").Status.State)
		require.Equal(t, 0, s.view("web").Status.Desired)
		s.pass(3 * time.Second)
		require.Equal(t, pool.StateDestroying, s.view("web").Status.State, "none is draining any more")
		for _, w := range s.living("web") {
			require.Equal(t, pool.WorkerStopping, w.State)
			require.Equal(t, pool.DrainDestroy, w.DrainCause)
		}
		s.succeeds(done)
		require.Equal(t, 5*time.Second, time.Since(began), "2 s to be withdrawn, 3 s to finish")

		require.Empty(t, s.world.running())
		require.Empty(t, s.world.leftRunning())
		require.Empty(t, s.world.logged())
		for _, id := range gone {
			require.Equal(t, []string{"launch", "signal TERM"}, s.world.asked(id))
			require.Equal(t, pool.WorkerStopped, s.worker(id).State)
			require.Equal(t, "TERM", s.worker(id).Exit.Signal)
		}

		_, err := s.m.Pool(t.Context(), "web")
		refused(t, err, api.ProblemNotFound)
		v := s.view(uid)
		require.Equal(t, []any{pool.StateDestroyed, pool.PhaseDestroyed}, []any{v.Status.State, v.Phase})
		require.Equal(t, v.Generation, v.ConvergedGeneration)
		revisions, err := s.m.Revisions(t.Context(), uid, 0)
		require.NoError(t, err)
		require.Len(t, revisions, 2)
		told := s.told(uid)
		require.Equal(t, []pool.EventType{pool.EventWorkerStopped, pool.EventPoolDestroyed, pool.EventOperationEnded}, told[len(told)-3:])

		again := s.created(spec(1))
		require.NotEqual(t, uid, again.Pool.UID, "the name is free again")
		require.Equal(t, pool.StateDestroyed, s.view(uid).Status.State)
		same, err := s.m.Delete(t.Context(), lifecycle.Request{Author: author}, uid, false)
		require.NoError(t, err)
		require.False(t, same.Changed, "to destroy it once more is no change")
		require.Equal(t, done.Operation.ID, same.Operation.ID)
	})
}

func TestAnEmptyPoolIsDestroyedAtOnce(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(0))
		began := time.Now()
		s.succeeds(s.destroy("web"))
		require.Equal(t, began, time.Now())
	})
}

func TestAWorkerThatIgnoresItsSignalIsKilledAfterItsGrace(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{deaf: true, leftovers: 2} }
		s.created(spec(1, graced(7*time.Second)))
		id := s.living("web")[0].ID
		began := time.Now()
		s.succeeds(s.destroy("web"))
		require.Equal(t, 9*time.Second, time.Since(began))
		require.Equal(t, []string{"launch", "signal TERM", "kill"}, s.world.asked(id))
		require.Equal(t, "KILL", s.worker(id).Exit.Signal)
		require.Empty(t, s.world.leftRunning())
	})
}

func TestTheSignalIsTheSpecs(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		s.succeeds(s.change(spec(1, func(sp *pool.Spec) { sp.Drain.Signal = "USR1" })))
		id := s.living("web")[0].ID
		s.succeeds(s.destroy("web"))
		require.Equal(t, []string{"launch", "signal USR1"}, s.world.asked(id))
	})
}

func TestASignalAtTheStartOfTheDrainLeavesTheWorkerItsTimeout(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{work: 4 * time.Minute} }
		s.created(spec(1, func(sp *pool.Spec) { sp.Drain.SignalAt = pool.SignalStart }))
		id := s.living("web")[0].ID
		began := time.Now()
		s.succeeds(s.destroy("web"))
		require.Equal(t, 4*time.Minute+2*time.Second, time.Since(began))
		require.NotContains(t, s.world.asked(id), "kill")
	})
}

func TestForceEndsWorkersAtOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		habit habit
		first func(*stage)
	}{
		{"from the start", habit{deaf: true}, func(*stage) {}},
		{"during a graceful destroy", habit{deaf: true}, func(s *stage) { s.destroy("web"); s.pass(time.Second) }},
		{"after the signal", habit{work: time.Minute}, func(s *stage) { s.destroy("web"); s.pass(5 * time.Second) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.world.habits = func(runtime.Launch) habit { return c.habit }
				s.created(spec(2, graced(time.Hour)))
				c.first(s)
				began := time.Now()
				done := s.force("web")
				require.True(t, done.Operation.Force)
				s.succeeds(done)
				require.Equal(t, began, time.Now())
				require.Empty(t, s.world.running())
			})
		})
	}
}

func TestASecondDeleteIsAnsweredByTheFirst(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{work: time.Second} }
		s.created(spec(1))
		first := s.destroy("web")
		second, err := s.m.Delete(t.Context(), lifecycle.Request{Author: "user:bob"}, "web", false)
		require.NoError(t, err)
		require.Equal(t, []any{false, first.Operation.ID}, []any{second.Changed, second.Operation.ID})
		forced := s.force("web")
		require.NotEqual(t, first.Operation.ID, forced.Operation.ID)
		require.Equal(t, pool.OperationSuperseded, s.ends(first).Phase)
		s.succeeds(forced)
	})
}

func TestADestroyDuringACreation(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.launching = func(context.Context, runtime.Launch) error { <-time.After(5 * time.Second); return nil }
		creation := s.create(spec(3))
		s.pass(time.Second)
		done := s.destroy("web")
		require.Equal(t, pool.OperationSuperseded, s.ends(creation).Phase)
		s.succeeds(done)
		require.Empty(t, s.world.running())
		require.Empty(t, s.world.leftRunning())
	})
}

func TestADestroyOfAPoolThatFailed(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.launching = hopeless
		s.fails(s.create(spec(3, command("missing"))))
		s.succeeds(s.destroy("web"))
	})
}

func TestAProtectedPoolIsNotDestroyed(t *testing.T) {
	protected := func(on bool) func(*pool.Spec) { return func(sp *pool.Spec) { sp.DeletionProtection = on } }
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(1, protected(true))).Pool.UID
		for _, force := range []bool{false, true} {
			_, err := s.m.Delete(t.Context(), asChange, "web", force)
			r := refused(t, err, api.ProblemProtected)
			require.Equal(t, uid, r.UID)
		}
		require.Equal(t, pool.PhaseLive, s.view("web").Phase)
		s.change(spec(1, protected(false)))
		s.succeeds(s.destroy("web"))
	})
}

func TestNothingChangesAPoolThatIsBeingDestroyed(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{work: time.Second} }
		created := s.created(spec(1))
		done := s.destroy("web")
		stale := lifecycle.Request{Author: author, IfMatch: api.ETag(created.Pool)}
		for name, ask := range map[string]func() (lifecycle.Accepted, error){
			"put":              func() (lifecycle.Accepted, error) { return s.m.Put(t.Context(), asChange, spec(2)) },
			"put on its state": func() (lifecycle.Accepted, error) { return s.m.Put(t.Context(), stale, spec(2)) },
			"put of the same":  func() (lifecycle.Accepted, error) { return s.m.Put(t.Context(), asChange, spec(1)) },
			"create":           func() (lifecycle.Accepted, error) { return s.m.Put(t.Context(), asNew, spec(1)) },
			"patch": func() (lifecycle.Accepted, error) {
				return s.m.Patch(t.Context(), stale, "web", []byte(`{"size":2}`))
			},
			"restart": func() (lifecycle.Accepted, error) { return s.m.Restart(t.Context(), stale, "web") },
		} {
			_, err := ask()
			r := refused(t, err, api.ProblemDeleting)
			require.NotNil(t, r.Operation, name)
			require.Equal(t, done.Operation.ID, r.Operation.ID, name)
		}
		s.succeeds(done)
	})
}

func TestNothingIsToBeHadOfAPoolThatIsGone(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{work: time.Second} }
		uid := s.created(spec(1)).Pool.UID
		asks := map[string]func(ref string) error{
			"a lease": func(ref string) error {
				_, err := s.m.Acquire(t.Context(), lifecycle.Request{Author: author}, lifecycle.Want{Pool: ref}, time.Minute)
				return err
			},
			"another size": func(ref string) error {
				_, err := s.m.Patch(t.Context(), asChange, ref, []byte(`{"size":2}`))
				return err
			},
			"a restart": func(ref string) error {
				_, err := s.m.Restart(t.Context(), asChange, ref)
				return err
			},
		}
		refuses := func(ref, problem, says string) {
			t.Helper()
			for name, ask := range asks {
				require.Contains(t, refused(t, ask(ref), problem).Detail, says, name)
			}
		}
		refuses("other", api.ProblemNotFound, `there is no pool "other"`)
		refuses("p_999", api.ProblemNotFound, `there is no pool "p_999"`)

		done := s.destroy("web")
		for _, ref := range []string{"web", uid} {
			refuses(ref, api.ProblemDeleting, `pool "web" is being destroyed, and a destroy is final`)
		}
		s.succeeds(done)
		refuses("web", api.ProblemNotFound, `there is no pool "web"`)
		refuses(uid, api.ProblemNotFound, `pool "web" (`+uid+`) is destroyed, and only its history is left`)
		leases, err := s.m.Leases(t.Context(), uid, 10)
		require.NoError(t, err)
		require.Empty(t, leases)
	})
}

func TestAWorkerThatSurvivesItsKillIsNamedAndTheNextDeleteTriesAgain(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{deaf: true, immortal: true} }
		s.created(spec(2))
		stuck := s.living("web")[0]
		s.world.becomes(s.living("web")[1].ID, habit{})
		o := s.fails(s.destroy("web"))
		require.Contains(t, o.Reason, stuck.ID)
		require.Contains(t, o.Reason, fmt.Sprintf("(pid %d: cannot kill: process %[1]d does not end)", stuck.Instance.PID))
		v := s.view("web")
		require.Equal(t, []any{pool.StateDestroying, o.Reason}, []any{v.Status.State, v.Status.Reason})
		s.pass(2 * time.Minute)
		require.Len(t, s.world.running(), 1)
		s.world.becomes(stuck.ID, habit{deaf: true})
		again, err := s.m.Delete(t.Context(), lifecycle.Request{Author: author}, "web", false)
		require.NoError(t, err)
		s.succeeds(again)
		require.Empty(t, s.world.running())
	})
}

func TestAKillThatTakesItsTimeKeepsNobodyElseWaiting(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{deaf: true} }
		s.created(spec(12, graced(time.Second)))
		stuck := s.living("web")[0].ID
		var underWay, most atomic.Int64
		s.world.trouble = func(call, workerID string) error {
			if call == "kill" && workerID == stuck {
				most.Store(max(most.Load(), underWay.Add(1)))
				<-time.After(20 * time.Second)
				underWay.Add(-1)
			}
			return nil
		}
		done := s.change(spec(11, graced(time.Second)))
		_, err := s.m.Delete(t.Context(), asChange, "web", false)
		require.NoError(t, err)
		s.pass(4 * time.Second)
		require.Equal(t, []string{stuck}, s.world.running())
		require.Equal(t, pool.OperationSuperseded, s.ends(done).Phase)
		s.pass(time.Minute)
		require.Empty(t, s.world.running())
		require.Equal(t, int64(1), most.Load())
	})
}

func TestANewDeleteOfAWorkerThatCannotBeRemovedHasItsTime(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{deaf: true, immortal: true} }
		s.created(spec(1))
		for _, force := range []bool{false, true, false} {
			s.pass(2 * time.Minute)
			began := time.Now()
			done, err := s.m.Delete(t.Context(), asChange, "web", force)
			require.NoError(t, err)
			s.fails(done)
			require.GreaterOrEqual(t, time.Since(began), 30*time.Second)
		}
	})
}

func TestWhatADestroyCannotEndIsOnRecord(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(1)).Pool.UID
		id := s.living("web")[0].ID
		s.world.trouble = func(call, workerID string) error {
			if call == "sweep" && workerID == id {
				return errTest
			}
			return nil
		}
		s.world.crash(id)
		synctest.Wait()
		s.succeeds(s.change(spec(0)))
		s.succeeds(s.destroy("web"))
		events := s.events(uid)
		i := slices.IndexFunc(events, func(e pool.Event) bool { return e.Type == pool.EventPoolDestroyed })
		require.Contains(t, events[i].Message, "what worker "+id+" (pid ")
	})
}

func TestADestroyWaitsForTheEndOfWhatItsWorkersLeftRunning(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(s *stage, id string)
	}{
		{"stopped ones", func(*stage, string) {}},
		{"crashed ones", func(s *stage, id string) { s.world.crash(id) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.world.habits = func(runtime.Launch) habit { return habit{leftovers: 1} }
				s.created(spec(1))
				var mended atomic.Bool
				s.world.trouble = func(call, _ string) error {
					if call == "sweep" && !mended.Load() {
						return errors.New("the process table cannot be read")
					}
					return nil
				}
				c.end(s, s.living("web")[0].ID)
				synctest.Wait()
				done := s.destroy("web")
				s.pass(10 * time.Second)
				require.Equal(t, pool.OperationRunning, s.operation(done).Phase)
				mended.Store(true)
				s.succeeds(done)
				require.Empty(t, s.world.leftRunning())
			})
		})
	}
}

func TestAWorkerThatIsCondemnedBeforeItsStartIsNeverStarted(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		slow := make(chan struct{})
		s.world.launching = func(ctx context.Context, _ runtime.Launch) error {
			select {
			case <-slow:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		s.create(spec(30))
		synctest.Wait()
		destroy := s.destroy("web")
		synctest.Wait()
		close(slow)
		s.succeeds(destroy)
		require.Len(t, s.world.launched, 8, "those whose start was under way")
		require.Empty(t, s.world.running())
	})
}

func TestADestroySaysThatForeignInstancesRunOn(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(1)).Pool.UID
		s.world.forge(runtime.Found{WorkerID: "w_lost", PoolUID: uid, PoolName: "web", Identity: s.journal.Identity().String()})
		s.close()
		s.open()
		o := s.succeeds(s.destroy("web"))
		require.Regexp(t, `an instance that the store does not know runs on \(worker w_lost, pid \d+\)`, o.Reason)
		require.Equal(t, []string{"w_lost"}, s.world.running(), "nobody but a person stops it")
		require.Len(t, s.m.Foreign(t.Context()), 1)
		s.world.crash("w_lost")
		require.Empty(t, s.m.Foreign(t.Context()))
	})
}

// A hook that fails is run again until it succeeds, and says so once.
func TestADrainGoesOnWhenItsHookHasSucceeded(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(1, draining(time.Minute, pool.OnTimeoutTerminate), func(sp *pool.Spec) {
			sp.Drain.Hook = &pool.DrainHook{Exec: &pool.ExecProbe{Command: []string{"leave"}}}
		})).Pool.UID
		id := s.living("web")[0].ID
		s.world.sicken(id, "not yet")
		done := s.destroy("web")
		s.pass(20 * time.Second)
		require.Equal(t, pool.WorkerDraining, s.worker(id).State)
		require.Contains(t, s.worker(id).Reason, "cannot tell it that it drains: the command exited with code 1: not yet")
		s.world.sicken(id, "no, not yet")
		s.pass(10 * time.Second)
		require.Contains(t, s.worker(id).Reason, "no, not yet")
		s.world.sicken(id, "")
		s.pass(2 * time.Second)
		require.NotContains(t, s.world.running(), id)
		s.succeeds(done)
		troubles := 0
		for _, e := range s.events(uid) {
			if e.Type == pool.EventWorkerTrouble {
				troubles++
			}
		}
		require.Equal(t, 1, troubles)
	})
}

// As many workers as may be told or asked at once have no answer at their deadline, and keep no signal from being sent.
func TestWorkersThatNeverAnswerAreStoppedAtTheirDeadline(t *testing.T) {
	silence := func(ctx context.Context, target health.Target) error {
		select {
		case <-time.After(target.Check.Timeout.Std()):
		case <-ctx.Done():
		}
		return errors.New("no answer")
	}
	for name, unanswered := range map[string]func(*pool.Spec){
		"the hook":        func(sp *pool.Spec) { sp.Drain.Hook = &pool.DrainHook{HTTP: &pool.HTTPProbe{}} },
		"the active jobs": func(sp *pool.Spec) { sp.Drain.ActiveJobs = &pool.ActiveJobs{} },
	} {
		for _, size := range []int64{1, 300} {
			t.Run(fmt.Sprintf("%s of %d", name, size), func(t *testing.T) {
				play(t, func(t *testing.T, s *stage) {
					s.close()
					s.hook = silence
					s.jobs = func(ctx context.Context, target health.Target) (int64, error) { return 0, silence(ctx, target) }
					s.open()
					s.created(spec(size, probed, unanswered, draining(2*time.Minute, pool.OnTimeoutTerminate), func(sp *pool.Spec) {
						sp.Health.Timeout = pool.Duration(90 * time.Second)
					}))
					crew := ids(s.living("web"))
					began := time.Now()
					done := s.destroy("web")
					s.pass(2*time.Minute + time.Second)
					require.Len(t, s.world.running(), int(size), "they have their time")
					s.succeeds(done)
					require.Equal(t, 2*time.Minute+2*time.Second, time.Since(began))
					for _, id := range crew {
						require.Equal(t, []string{"launch", "signal TERM"}, s.world.asked(id))
					}
				})
			})
		}
	}
}

// One that failed late would else be told after its end, when its ports may be another's.
func TestAHookThatIsRunAgainEndsWithTheDrain(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.close()
		var tries, underWay atomic.Int64
		s.hook = func(ctx context.Context, target health.Target) error {
			underWay.Add(1)
			defer underWay.Add(-1)
			if tries.Add(1) == 1 {
				<-time.After(90 * time.Second)
				return errors.New("not yet")
			}
			<-ctx.Done()
			return ctx.Err()
		}
		s.open()
		s.created(spec(1, draining(2*time.Minute, pool.OnTimeoutTerminate), func(sp *pool.Spec) {
			sp.Drain.Hook = &pool.DrainHook{Exec: &pool.ExecProbe{Command: []string{"leave"}}}
		}))
		done := s.destroy("web")
		s.pass(2*time.Minute + time.Second)
		require.Equal(t, []int64{2, 1}, []int64{tries.Load(), underWay.Load()})
		s.succeeds(done)
		synctest.Wait()
		require.Equal(t, []int64{2, 0}, []int64{tries.Load(), underWay.Load()})
	})
}

// A worker that finishes on its signal and may not be killed for being busy has nothing else that would end it.
func TestASignalThatDoesNotReachAWorkerIsSentAgain(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.close()
		var mended atomic.Bool
		var tries atomic.Int64
		s.gate = func(call string) (before, after error) {
			if strings.HasPrefix(call, "signal") {
				if tries.Add(1); !mended.Load() {
					return errors.New("no way"), nil
				}
			}
			return nil, nil
		}
		s.open()
		with := []func(*pool.Spec){draining(time.Minute, pool.OnTimeoutFail), func(sp *pool.Spec) { sp.Drain.SignalAt = pool.SignalStart }}
		s.created(spec(1, with...))
		id := s.living("web")[0].ID
		s.change(spec(0, with...))
		s.pass(10 * time.Second)
		require.Contains(t, s.world.running(), id)
		require.Contains(t, s.worker(id).Reason, "cannot signal TERM: no way")
		require.InDelta(t, 9, tries.Load(), 2, "once a second")
		mended.Store(true)
		s.pass(2 * time.Second)
		require.NotContains(t, s.world.running(), id)
		sent := tries.Load()
		s.pass(time.Minute)
		require.Equal(t, sent, tries.Load())
	})
}
