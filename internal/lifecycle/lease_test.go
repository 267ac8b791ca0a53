package lifecycle_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

var byScheduler = lifecycle.Request{Author: "user:scheduler"}

// ask claims a slot of a pool without waiting for one.
func (s *stage) ask(ref, holder string) api.LeaseView {
	s.t.Helper()
	l, err := s.m.Acquire(s.t.Context(), byScheduler, lifecycle.Want{Pool: ref, Holder: holder}, 0)
	require.NoError(s.t, err)
	return l
}

// leased is a lease that is held.
func (s *stage) leased(ref, holder string) api.LeaseView {
	s.t.Helper()
	l := s.ask(ref, holder)
	require.Equal(s.t, pool.LeaseHeld, l.State, "no slot is free")
	return l
}

func (s *stage) renew(l api.LeaseView) api.LeaseView {
	s.t.Helper()
	renewed, err := s.m.Renew(s.t.Context(), l.ID)
	require.NoError(s.t, err)
	return renewed
}

func (s *stage) release(l api.LeaseView) {
	s.t.Helper()
	released, err := s.m.Release(s.t.Context(), l.ID)
	require.NoError(s.t, err)
	require.Equal(s.t, pool.LeaseReleased, released.State)
}

// lease reads a lease, ended or not.
func (s *stage) lease(id string) (l pool.Lease) {
	s.t.Helper()
	require.NoError(s.t, s.journal.Store.View(s.t.Context(), func(r store.Reader) (err error) {
		l, err = r.Lease(id)
		return err
	}))
	return l
}

// over expects a lease to have ended, as its holder is told.
func (s *stage) over(l api.LeaseView, how pool.LeaseState, why string) {
	s.t.Helper()
	_, err := s.m.Renew(s.t.Context(), l.ID)
	refused(s.t, err, api.ProblemLeaseEnded)
	require.ErrorContains(s.t, err, string(how))
	require.ErrorContains(s.t, err, why)
}

func slots(n int64) func(*pool.Spec) { return func(s *pool.Spec) { s.Leases.Slots = n } }
func draining(timeout time.Duration, onTimeout string) func(*pool.Spec) {
	return func(s *pool.Spec) { s.Drain.Timeout, s.Drain.OnTimeout = pool.Duration(timeout), onTimeout }
}

func TestALeaseIsHeldUntilItsHolderGivesItBack(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		w := s.living("web")[0]
		l := s.leased("web", "job 1")
		require.Equal(t, w.ID, l.WorkerID)
		require.Equal(t, &api.LeasedWorker{State: pool.WorkerReady, Health: pool.Healthy, Host: testHost}, l.Worker)
		require.Equal(t, time.Minute, time.Until(l.ExpiresAt))
		require.Equal(t, 1, s.worker(w.ID).Leased)

		s.pass(50 * time.Second)
		require.Equal(t, time.Minute, time.Until(s.renew(l).ExpiresAt))
		s.pass(50 * time.Second)
		s.release(l)
		require.Equal(t, 0, s.worker(w.ID).Leased)
		s.release(l) // a second time is fine
		s.over(l, pool.LeaseReleased, "given back")
	})
}

func TestALeaseThatIsNotRenewedExpiresAndItsSlotGoesToTheNext(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(1)).Pool.UID
		l := s.leased("web", "job 1")
		next := s.ask("web", "job 2")
		require.Equal(t, pool.LeaseWaiting, next.State)
		s.pass(59 * time.Second)
		require.Equal(t, pool.LeaseWaiting, s.renew(next).State)
		require.Equal(t, pool.LeaseHeld, s.lease(l.ID).State)
		s.pass(time.Second)
		s.over(l, pool.LeaseExpired, "not renewed within 1m")
		require.Equal(t, pool.LeaseHeld, s.lease(next.ID).State)
		require.Contains(t, s.told(uid), pool.EventLeaseExpired)
	})
}

func TestTheQueueIsServedInItsOrder(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1, slots(2), func(sp *pool.Spec) { sp.Labels = map[string]string{"os": "linux"} }))
		first, second := s.leased("web", "a"), s.leased("web", "b")
		third := s.ask("web", "c")
		open, err := s.m.Acquire(t.Context(), byScheduler, lifecycle.Want{Selector: map[string]string{"os": "linux"}, Holder: "d"}, 0)
		require.NoError(t, err)
		require.Equal(t, pool.LeaseWaiting, open.State)
		fifth := s.ask("web", "e")

		got := make(chan api.LeaseView, 1)
		go func() {
			l, err := s.m.Lease(t.Context(), fifth.ID, time.Minute)
			if err != nil {
				t.Error(err)
			}
			got <- l
		}()
		synctest.Wait()
		s.release(second)
		require.Equal(t, pool.LeaseHeld, s.lease(third.ID).State)
		require.Equal(t, pool.LeaseWaiting, s.lease(open.ID).State)
		s.release(first)
		require.Equal(t, pool.LeaseHeld, s.lease(open.ID).State)
		require.Equal(t, "web", s.lease(open.ID).PoolName, "a selector's lease knows its pool once it has one")
		require.Empty(t, got)
		s.release(third)
		synctest.Wait()
		require.Equal(t, pool.LeaseHeld, (<-got).State, "one who waits is told at once")
	})
}

func TestAPlaceInTheQueueSurvivesARestartAndIsGivenUpWhenNobodyAsks(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		held, waits, forgotten := s.leased("web", "a"), s.ask("web", "b"), s.ask("web", "c")
		s.close()
		s.open()
		s.pass(59 * time.Second)
		require.Equal(t, pool.LeaseWaiting, s.renew(waits).State)
		s.renew(held)
		s.pass(2 * time.Second)
		s.over(forgotten, pool.LeaseExpired, "nobody asked for it any more")
		s.release(held)
		require.Equal(t, pool.LeaseHeld, s.renew(waits).State)
	})
}

func TestARepeatedClaimIsAnsweredWithTheSameLease(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(2))
		by := lifecycle.Request{Author: "user:scheduler", Key: "k", Fingerprint: "f"}
		first, err := s.m.Acquire(t.Context(), by, lifecycle.Want{Pool: "web"}, 0)
		require.NoError(t, err)
		again, err := s.m.Acquire(t.Context(), by, lifecycle.Want{Pool: "web"}, 0)
		require.NoError(t, err)
		require.Equal(t, first.ID, again.ID)
		by.Fingerprint = "other"
		_, err = s.m.Acquire(t.Context(), by, lifecycle.Want{Pool: "web", Holder: "x"}, 0)
		refused(t, err, api.ProblemKeyReused)
		held, err := s.m.Leases(t.Context(), "web", 0)
		require.NoError(t, err)
		require.Len(t, held, 1)
	})
}

func TestADeadWorkersLeasesAreLostAtOnce(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(2)).Pool.UID
		l := s.leased("web", "job 1")
		s.world.crash(l.WorkerID)
		synctest.Wait()
		s.over(l, pool.LeaseLost, "exited with code 3")
		require.Contains(t, s.told(uid), pool.EventLeaseLost)
		require.Equal(t, 0, s.worker(l.WorkerID).Leased)
	})
}

func TestABusyWorkerIsDrainedUntilItsLeaseIsReleased(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(3))
		l := s.leased("web", "job 1")
		resized := s.change(spec(2))
		s.succeeds(resized)
		require.Contains(t, ids(s.living("web")), l.WorkerID, "idle workers go first")
		s.renew(l)

		gone := s.change(spec(0))
		synctest.Wait()
		told := s.renew(l)
		require.Equal(t, pool.WorkerDraining, told.Worker.State, "holders learn of the drain")
		require.Equal(t, 5*time.Minute+2*time.Second, time.Until(told.Worker.DrainBy))
		for range 4 {
			s.pass(50 * time.Second)
			s.renew(l)
		}
		require.Equal(t, []string{l.WorkerID}, s.world.running())
		require.Equal(t, []string{"launch"}, s.world.asked(l.WorkerID), "it was never signalled")
		_, err := s.m.Acquire(t.Context(), byScheduler, lifecycle.Want{Pool: "web"}, 0)
		require.NoError(t, err)
		require.Equal(t, 1, s.worker(l.WorkerID).Leased, "a draining worker takes no lease")
		s.release(l)
		s.succeeds(gone)
		require.Empty(t, s.world.running())
	})
}

func TestAtTheDrainDeadlineTheLeaseIsRevokedAndTheWorkerStopped(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(1, draining(time.Minute, pool.OnTimeoutTerminate))).Pool.UID
		l := s.leased("web", "job 1")
		done := s.change(spec(0, draining(time.Minute, pool.OnTimeoutTerminate)))
		s.pass(50 * time.Second)
		s.renew(l)
		s.pass(11 * time.Second)
		require.Equal(t, pool.LeaseHeld, s.lease(l.ID).State)
		s.pass(time.Second)
		s.over(l, pool.LeaseRevoked, `still busy at its drain deadline: held by "job 1"`)
		s.succeeds(done)
		require.Contains(t, s.told(uid), pool.EventLeaseRevoked)
	})
}

func TestADrainThatMayNotEndABusyWorkerFailsAndNamesItsHolder(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		patient := draining(time.Minute, pool.OnTimeoutFail)
		s.created(spec(1, patient))
		l := s.leased("web", "job 1")
		began := time.Now()
		renew := func() {
			for time.Since(began) < 5*time.Minute {
				s.pass(30 * time.Second)
				s.renew(l)
			}
		}
		done := s.change(spec(0, patient))
		renew()
		o := s.fails(done)
		require.Equal(t, 62*time.Second, o.EndedAt.Sub(o.CreatedAt))
		require.Contains(t, o.Reason, fmt.Sprintf(`worker %s (held by "job 1" (%s))`, l.WorkerID, l.ID))
		require.Equal(t, pool.StateError, s.view("web").Status.State)
		require.Equal(t, pool.WorkerDraining, s.worker(l.WorkerID).State)
		s.release(l)
		s.pass(time.Second)
		require.Empty(t, s.world.running(), "it goes when its work ends")
		status := s.view("web").Status
		require.Equal(t, []any{pool.StateActive, ""}, []any{status.State, status.Reason}, "and then what was asked for is reached")
	})
}

func TestOnlyForceTakesABusyWorkerAtOnce(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		l := s.leased("web", "job 1")
		waits := s.ask("web", "job 2")
		s.destroy("web")
		s.over(waits, pool.LeaseRevoked, "the pool is being destroyed")
		s.pass(10 * time.Second)
		require.Equal(t, pool.LeaseHeld, s.lease(l.ID).State)
		s.succeeds(s.force("web"))
		s.over(l, pool.LeaseRevoked, "forced")
		_, err := s.m.Acquire(t.Context(), byScheduler, lifecycle.Want{Pool: "web"}, 0)
		refused(t, err, api.ProblemNotFound)
	})
}

func TestNewWorkersAreLeasedFirst(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(2, probed))
		old := ids(s.living("web"))
		busy := []api.LeaseView{s.leased("web", "a"), s.leased("web", "b")}
		done := s.change(spec(2, probed, command("serve", "v2")))
		s.pass(3 * time.Second)
		for _, l := range busy {
			s.renew(l)
		}
		l := s.leased("web", "c")
		require.NotContains(t, old, l.WorkerID)
		s.release(busy[0])
		s.release(busy[1])
		s.release(l)
		s.succeeds(done)
	})
}

func TestAChangedContractChangesTheSlotsOfLivingWorkers(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		s.leased("web", "a")
		waits := s.ask("web", "b")
		s.succeeds(s.change(spec(1, slots(2))))
		require.Equal(t, pool.LeaseHeld, s.lease(waits.ID).State)
		require.Equal(t, pool.LeaseWaiting, s.ask("web", "c").State)
	})
}

func TestAfterABreakEveryLeaseHasItsWholeTimeAgain(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		l := s.leased("web", "job 1")
		s.close()
		s.pass(time.Hour)
		s.open()
		s.pass(59 * time.Second)
		require.Equal(t, pool.LeaseHeld, s.lease(l.ID).State, "nobody could have renewed it")
		s.pass(time.Second)
		s.over(l, pool.LeaseExpired, "not renewed")
	})
}

func TestWhileTheStoreCannotBeWrittenNoLeaseExpires(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		l := s.leased("web", "job 1")
		s.journal.fail(store.ErrUnwritable)
		for range 10 {
			s.pass(20 * time.Second)
			_, err := s.m.Renew(t.Context(), l.ID)
			require.ErrorIs(t, err, store.ErrUnwritable)
		}
		s.journal.fail(nil)
		s.pass(30 * time.Second)
		require.Equal(t, pool.LeaseHeld, s.renew(l).State)
	})
}

func TestAWorkerThatGetsALeaseWhileItIsChosenAsIdleIsNotTheVictim(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(2))
		var l api.LeaseView
		updates := 0
		s.journal.through(func(call string) (before, after error) {
			if call == "update" {
				if updates++; updates == 2 { // the controller has chosen its victim
					l = s.leased("web", "job 1")
				}
			}
			return nil, nil
		})
		s.succeeds(s.change(spec(1)))
		require.Equal(t, []string{l.WorkerID}, s.world.running())
		require.True(t, slices.Contains(ids(s.living("web")), l.WorkerID))
	})
}

func TestAClaimThatNobodyAsksForGetsNoSlotOfALeaseThatEndsAtTheSameTime(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		held, forgotten := s.leased("web", "a"), s.ask("web", "b")
		s.pass(time.Minute)
		s.over(held, pool.LeaseExpired, "not renewed")
		s.over(forgotten, pool.LeaseExpired, "nobody asked for it any more")
		require.Equal(t, 0, s.worker(held.WorkerID).Leased)
		s.leased("web", "c")
	})
}

func TestAClaimThatIsAskedForAgainKeepsItsPlace(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(0, func(sp *pool.Spec) { sp.Leases.TTL = pool.Duration(5 * time.Second) }))
		request := lifecycle.Request{Author: "user:scheduler", Key: "k", Fingerprint: "f"}
		ask := func() (l api.LeaseView) {
			ctx, leave := context.WithTimeout(t.Context(), 28*time.Second) // the connection is lost
			defer leave()
			_, err := s.m.Acquire(ctx, request, lifecycle.Want{Pool: "web"}, 30*time.Second)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			return l
		}
		for range 5 {
			ask()
		}
		l, err := s.m.Acquire(t.Context(), request, lifecycle.Want{Pool: "web"}, 0)
		require.NoError(t, err)
		require.Equal(t, pool.LeaseWaiting, l.State)
	})
}

func TestLeasesThatEndedAreForgottenAlsoWhenNoneExpires(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		l := s.leased("web", "a")
		s.release(l)
		s.pass(leaseMemory + 15*time.Minute)
		_, err := s.m.Renew(t.Context(), l.ID)
		refused(t, err, api.ProblemNotFound)
	})
}

// leaseMemory is how long a manager remembers how a lease ended.
const leaseMemory = time.Hour
