package lifecycle_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

var errTest = errors.New("a test made it fail")

// write changes the store behind the manager's back, as an earlier manager would have left it.
func (s *stage) write(change func(store.Writer) error) {
	s.t.Helper()
	require.NoError(s.t, s.journal.Store.Update(s.t.Context(), change))
}

func TestWorkersOutliveTheirManager(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(3, probed))
		before, running := s.living("web"), s.world.running()
		s.close()
		s.pass(24 * time.Hour)
		require.Equal(t, running, s.world.running())

		s.open()
		s.pass(time.Minute)
		require.Equal(t, before, s.living("web"), "adopted as they are")
		require.Equal(t, running, s.world.running())
		require.Len(t, s.world.starts(), 3)
		require.Equal(t, pool.StateActive, s.view("web").Status.State)

		s.world.crash(before[0].ID)
		s.pass(time.Second)
		require.Len(t, s.world.running(), 3, "the end of an adopted one is noticed")
		s.world.sicken(before[1].ID, "status 500")
		s.pass(time.Minute)
		require.NotContains(t, s.world.running(), before[1].ID, "and its health")
	})
}

func TestAWorkerThatRecoveredWhileTheManagerWasAwayIsHealthyAgain(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1, probed, func(sp *pool.Spec) { sp.Remediation.Enabled = false }))
		id := s.living("web")[0].ID
		s.world.sicken(id, "status 500")
		s.pass(10 * time.Second)
		require.Equal(t, pool.Unhealthy, s.worker(id).Health)
		s.close()
		s.world.sicken(id, "")
		s.open()
		s.pass(time.Minute)
		require.Equal(t, pool.Healthy, s.worker(id).Health)
	})
}

func TestAWorkerThatEndedWhileTheManagerWasAwayIsReplaced(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{leftovers: 1} }
		s.created(spec(2))
		victim := s.living("web")[0].ID
		s.close()
		s.world.crash(victim)
		s.open()
		s.pass(time.Second)
		w := s.worker(victim)
		require.Equal(t, []any{pool.WorkerFailed, true}, []any{w.State, w.Exit.Unknown})
		require.Len(t, s.world.running(), 2)
		require.NotContains(t, s.world.running(), victim)
		require.Empty(t, s.world.leftRunning(), "what it left running is ended")
	})
}

func TestAJournaledLaunchIsMadeUpFor(t *testing.T) {
	for _, c := range []struct {
		name   string
		runs   bool // the earlier manager got as far as starting it
		change func(*pool.Spec)
	}{
		{"that was not begun", false, func(*pool.Spec) {}},
		{"whose instance runs", true, func(*pool.Spec) {}},
		{"of an old template", false, command("serve", "v2")},
		{"of an old template whose instance runs", true, command("serve", "v2")},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				creation := s.create(spec(0))
				s.ends(creation)
				s.close()
				target := creation.Pool.Target()
				var resized pool.Pool
				s.write(func(tx store.Writer) (err error) {
					if resized, err = tx.Pool(creation.Pool.UID); err != nil {
						return err
					}
					resized.Spec = spec(1, c.change)
					resized.Generation++
					return errors.Join(tx.UpdatePool(resized), tx.PutWorkers(pool.Worker{
						ID: "w_journaled", PoolUID: resized.UID, State: pool.WorkerPending, Revision: 1, TemplateHash: target, CreatedAt: time.Now(),
					}))
				})
				if c.runs {
					_, err := s.runtime.Launch(t.Context(), runtime.Launch{WorkerID: "w_journaled", PoolUID: resized.UID, PoolName: "web"})
					require.NoError(t, err)
				}
				s.open()
				s.pass(time.Minute)
				living := s.living("web")
				require.Len(t, living, 1)
				require.Equal(t, pool.WorkerReady, living[0].State)
				require.Equal(t, resized.Target(), living[0].TemplateHash)
				require.Equal(t, ids(living), s.world.running(), "none is doubled, none is left over")
				if resized.Target() == target {
					require.Equal(t, "w_journaled", living[0].ID)
				}
			})
		})
	}
}

func TestStoppingIsResumed(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{deaf: true} }
		s.created(spec(1, graced(time.Minute)))
		id := s.living("web")[0].ID
		done := s.destroy("web")
		s.pass(5 * time.Second)
		require.Equal(t, []string{"launch", "signal TERM"}, s.world.asked(id))
		s.close()
		s.pass(time.Hour)
		s.open()
		synctest.Wait()
		require.Equal(t, []string{"launch", "signal TERM", "signal TERM"}, s.world.asked(id), "nobody knows whether the first one arrived")
		s.pass(59 * time.Second)
		require.Equal(t, []string{id}, s.world.running(), "it has its grace once more")
		s.succeeds(done)
		require.Equal(t, []string{"launch", "signal TERM", "signal TERM", "kill"}, s.world.asked(id))
	})
}

func TestAnOutageCostsNoOperationItsTimeAndNoWorkerItsLife(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = launchesWarmUp(30 * time.Second)
		done := s.create(spec(2, probed, deadline(time.Minute)))
		s.pass(10 * time.Second)
		before := s.world.running()
		s.close()
		s.pass(time.Hour)
		s.open()
		s.succeeds(done)
		require.Equal(t, before, s.world.running())
	})
}

func TestALostGraceIsMadeUpFor(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{work: 8 * time.Second} }
		s.created(spec(1))
		id := s.living("web")[0].ID
		s.world.trouble = func(call, _ string) error {
			if call == "signal TERM" {
				return errTest
			}
			return nil
		}
		done := s.destroy("web")
		s.pass(3 * time.Second) // condemned, but its signal was not sent
		s.close()
		s.world.trouble = nil
		s.pass(time.Hour)
		s.open()
		s.succeeds(done)
		require.NotContains(t, s.world.asked(id), "kill")
	})
}

func TestAForeignInstanceIsReportedAndLeftAlone(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(1)).Pool.UID
		s.close()
		identity := s.journal.Identity().String()
		s.world.forge(runtime.Found{WorkerID: "w_lost_row", PoolUID: uid, PoolName: "web", Identity: identity})
		s.world.forge(runtime.Found{WorkerID: "w_lost_pool", PoolUID: "p_lost", PoolName: "lost", Identity: identity})
		s.world.forge(runtime.Found{WorkerID: "w_restored", PoolUID: uid, PoolName: "web", Identity: otherStore})
		s.open()
		var found []string
		for _, f := range s.m.Foreign(t.Context()) {
			found = append(found, f.WorkerID)
		}
		require.ElementsMatch(t, []string{"w_lost_row", "w_lost_pool", "w_restored"}, found)
		require.Len(t, s.living("web"), 1, "it is nobody's worker")

		s.succeeds(s.change(spec(0)))
		s.succeeds(s.destroy("web"))
		s.pass(time.Hour)
		require.Equal(t, []string{"w_lost_pool", "w_lost_row", "w_restored"}, s.world.running())
		for _, id := range found {
			require.Empty(t, s.world.asked(id))
		}
	})
}

func TestAnInstanceOfAClosedWorkerIsRemoved(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		first := s.created(spec(1))
		s.succeeds(s.change(spec(1, command("serve", "v2"))))
		closed := s.world.starts()[0]
		s.succeeds(s.destroy("web"))
		s.created(spec(1))
		living := s.world.running()
		s.close()
		s.world.forge(runtime.Found{WorkerID: closed, PoolUID: first.Pool.UID, PoolName: "web", Identity: s.journal.Identity().String()})
		s.open()
		s.pass(time.Second)
		require.Equal(t, living, s.world.running())
		require.Empty(t, s.m.Foreign(t.Context()))
	})
}

func TestARestoredStoreKillsNothing(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		first := s.created(spec(1))
		s.succeeds(s.change(spec(1, command("serve", "v2"))))
		closed := s.world.starts()[0]
		s.close()
		s.world.forge(runtime.Found{WorkerID: closed, PoolUID: first.Pool.UID, PoolName: "web", Identity: otherStore})
		s.open()
		s.pass(time.Minute)
		require.Contains(t, s.world.running(), closed, "its row is closed in this store, but it is of another incarnation")
		require.Equal(t, closed, s.m.Foreign(t.Context())[0].WorkerID)
	})
}

func TestCrashLoopsAreRememberedOverARestartOfTheManager(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		for range 5 {
			s.world.crash(s.world.running()[0])
			for len(s.world.running()) == 0 {
				s.pass(time.Second)
			}
		}
		s.world.crash(s.world.running()[0])
		synctest.Wait()
		s.close()
		s.open()
		s.pass(15 * time.Second)
		require.Empty(t, s.world.running(), "16 s are not over")
		s.pass(2 * time.Second)
		require.Len(t, s.world.running(), 1)
	})
}

func TestWhatAFailedWorkerLeftRunningIsEndedAfterARestart(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{leftovers: 1} }
		s.created(spec(1))
		s.world.trouble = func(call, _ string) error {
			if call == "sweep" {
				return errTest
			}
			return nil
		}
		s.world.crash(s.living("web")[0].ID)
		synctest.Wait()
		s.close()
		s.world.trouble = nil
		require.Len(t, s.world.leftRunning(), 1)
		s.open()
		s.pass(time.Second)
		require.Empty(t, s.world.leftRunning())
	})
}

func TestClosingWaitsForTheEffectsUnderWay(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		under := make(chan struct{})
		s.world.launching = func(ctx context.Context, _ runtime.Launch) error {
			close(under)
			<-ctx.Done()
			return ctx.Err()
		}
		done := s.create(spec(1))
		<-under
		s.close()
		require.Empty(t, s.world.running())
		require.Equal(t, pool.WorkerPending, s.worker(s.living("web")[0].ID).State, "it is no failure of the launch")
		s.world.launching = nil
		s.open()
		s.succeeds(done)
		require.Len(t, s.world.starts(), 1)
	})
}

func TestWhatALaunchBeforeARestartLeftRunningIsEndedWhenTheNextOneIsHopeless(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{leftovers: 1} }
		var dead atomic.Bool
		gate := func(call string) (before, after error) {
			switch {
			case dead.Load():
				return errCrashed, nil
			case call == "launch":
				dead.Store(true)
				return nil, errCrashed
			}
			return nil, nil
		}
		s.journal.through(gate)
		s.runtime.gate = gate
		s.create(spec(1))
		synctest.Wait()
		s.close()
		s.world.crash(s.world.running()[0])
		require.Len(t, s.world.leftRunning(), 1)

		dead.Store(false)
		s.world.launching = func(context.Context, runtime.Launch) error {
			return &runtime.SpecError{Fault: pool.Fault{Path: "worker.command[0]", Reason: "does not exist"}}
		}
		s.open()
		s.pass(time.Minute)
		require.Empty(t, s.world.leftRunning())
	})
}

func TestAnotherManagersInstanceIsNobodysWhateverItsWorkerIsCalled(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(0)).Pool.UID
		s.close()
		s.write(func(tx store.Writer) error {
			return tx.PutWorkers(pool.Worker{ID: "w_both", PoolUID: uid, State: pool.WorkerPending, Revision: 1, TemplateHash: "old", CreatedAt: time.Now()})
		})
		s.world.forge(runtime.Found{WorkerID: "w_both", PoolUID: uid, PoolName: "web", Identity: otherStore})
		s.open()
		s.pass(time.Minute)
		require.Empty(t, s.living("web"), "the launch that was journaled has failed")
		require.Len(t, s.m.Foreign(t.Context()), 1)
		require.Empty(t, s.world.asked("w_both"))
	})
}

func TestWhatAnUnknownInstanceLeftIsEndedAndReplaced(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		created := s.created(spec(1))
		s.close()
		s.world.forge(runtime.Found{WorkerID: "w_unknown", PoolUID: created.Pool.UID, PoolName: "web", Identity: s.journal.Identity().String()})
		s.world.instances["w_unknown"].found.Instance = pool.Instance{}
		s.write(func(tx store.Writer) error {
			p, err := tx.Pool(created.Pool.UID)
			if err != nil {
				return err
			}
			p.Spec = spec(2)
			p.Generation++
			return errors.Join(tx.UpdatePool(p), tx.PutWorkers(pool.Worker{
				ID: "w_unknown", PoolUID: p.UID, State: pool.WorkerPending, Revision: 1, TemplateHash: p.Target(), CreatedAt: time.Now(),
			}))
		})
		s.open()
		s.pass(time.Minute)
		require.Equal(t, pool.WorkerFailed, s.worker("w_unknown").State)
		require.NotContains(t, s.world.running(), "w_unknown", "it is swept")
		require.Len(t, s.living("web"), 2)
	})
}

func TestAnOldWorkerKeepsItsContractAlsoWhenTheTemplateChangesBeforeTheFirstStepOfAManager(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		patient := func(s *pool.Spec) { s.Drain.DeregisterDelay = pool.Duration(5 * time.Second) }
		hasty := func(s *pool.Spec) { s.Drain.DeregisterDelay = 0 }
		s.created(spec(2, patient))
		old := s.living("web")
		s.close()
		s.world.crash(old[0].ID) // so that the first step has something to record
		var failed atomic.Bool
		s.journal.through(func(call string) (before, after error) {
			if call == "update" && failed.CompareAndSwap(false, true) {
				return errTest, nil
			}
			return nil, nil
		})
		s.open()
		synctest.Wait()
		require.True(t, failed.Load())
		s.succeeds(s.change(spec(2, hasty, command("serve", "v2"))))
		w := s.worker(old[1].ID)
		require.Equal(t, 5*time.Second, w.StoppingAt.Sub(w.DrainingAt))
	})
}

// A worker that finishes on its signal is in its drain, and has the whole of it after a break.
func TestAWorkerThatFinishesOnItsSignalOutlivesABreak(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{work: 5 * time.Hour} }
		with := []func(*pool.Spec){draining(time.Hour, pool.OnTimeoutTerminate), func(sp *pool.Spec) { sp.Drain.SignalAt = pool.SignalStart }}
		s.created(spec(1, with...))
		id := s.living("web")[0].ID
		s.change(spec(0, with...))
		s.pass(30 * time.Minute)
		s.away(40 * time.Minute)
		s.pass(59 * time.Minute)
		require.Contains(t, s.world.running(), id, "it works, and its drain is not over")
		s.pass(2 * time.Minute)
		require.NotContains(t, s.world.running(), id)
	})
}

// A destroy may be accepted before a launch that an earlier manager journaled is made up for.
func TestALaunchOfAnEarlierManagerIsNotMadeUpForWhenItIsNotWantedAnyMore(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(1)).Pool.UID
		s.close()
		s.write(func(tx store.Writer) error {
			p, err := tx.Pool(uid)
			require.NoError(t, err)
			require.NoError(t, tx.PutWorkers(pool.Worker{
				ID: "w_journaled", PoolUID: uid, State: pool.WorkerPending, Health: pool.HealthUnknown, Revision: 1,
				TemplateHash: p.Target(), CreatedAt: time.Now(),
			}))
			o := pool.Operation{
				ID: "op_destroy", PoolUID: uid, PoolName: "web", Kind: pool.OperationDelete, Phase: pool.OperationRunning,
				Generation: p.Generation + 1, Author: author, CreatedAt: time.Now(),
			}
			p.Phase, p.OperationID, p.Generation = pool.PhaseDeleting, o.ID, o.Generation
			return errors.Join(tx.UpdatePool(p), tx.PutOperation(o))
		})
		var launched atomic.Bool
		s.gate = func(call string) (before, after error) {
			if call == "launch" {
				launched.Store(true)
			}
			return nil, nil
		}
		s.open()
		s.pass(time.Minute)
		require.False(t, launched.Load())
		require.Empty(t, s.world.running())
		require.True(t, s.worker("w_journaled").State.Ended())
	})
}

// The manager's time runs by itself: the machine's may be hours ahead of it.
func TestAManagerWhoseTimeIsBehindTheMachinesHealsAndCreates(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.close()
		s.now = func() time.Time { return time.Now().Add(-time.Hour) }
		s.open()
		s.created(spec(2, probed, deadline(time.Minute)))
		s.world.crash(s.living("web")[0].ID)
		s.pass(5 * time.Second)
		require.Equal(t, 2, s.view("web").Status.Available)
	})
}

// A host may boot with a clock that is a day wrong. Nothing that the manager waits for takes a day longer for that,
// and nothing ends early.
func TestADeadlineIsKeptByAManagerThatStartsWithAWrongClock(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"right": 0, "a day behind": -24 * time.Hour, "a day ahead": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				contract := draining(time.Minute, pool.OnTimeoutTerminate)
				settled := func(s *pool.Spec) { s.Name, s.Update.MinReady = "steady", pool.Duration(20*time.Second) }
				s.created(spec(1, contract))
				s.created(spec(1, settled))
				drained, kept := s.leased("web", "a"), s.leased("steady", "b")
				done := s.change(spec(0, contract))
				s.close()
				s.now = func() time.Time { return time.Now().Add(wrong) }
				s.open()

				s.pass(50 * time.Second)
				require.Equal(t, 1, s.view("steady").Status.Available, "its worker has been ready for long enough")
				s.renew(drained)
				s.pass(9 * time.Second)
				require.Contains(t, s.world.running(), drained.WorkerID, "its drain has a minute from the restart on")
				require.Equal(t, pool.LeaseHeld, s.lease(kept.ID).State, "and the lease as well")
				s.pass(10 * time.Second)
				s.over(drained, pool.LeaseRevoked, "drain deadline")
				s.over(kept, pool.LeaseExpired, "")
				s.succeeds(done)
			})
		})
	}
}
