package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

func TestACordonedWorkerGetsNoNewLeases(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(1, slots(2))).Pool.UID
		id := s.living("web")[0].ID
		held := s.leased("web", "a")
		w, err := s.m.Cordon(t.Context(), asChange, "web", id, true)
		require.NoError(t, err)
		require.True(t, w.Cordoned)
		waits := s.ask("web", "b")
		require.Equal(t, pool.LeaseWaiting, waits.State)
		s.renew(held)
		r, err := s.m.Registry(t.Context())
		require.NoError(t, err)
		require.Empty(t, r.Pools[0].Endpoints)
		require.Equal(t, 1, r.Pools[0].Waiting)

		_, err = s.m.Cordon(t.Context(), asChange, "web", id, false)
		require.NoError(t, err)
		require.Equal(t, pool.LeaseHeld, s.lease(waits.ID).State, "who waits is served at once")
		require.Subset(t, s.told(uid), []pool.EventType{pool.EventWorkerCordoned, pool.EventWorkerUncordoned})
		_, err = s.m.Cordon(t.Context(), asChange, "web", "w_none", true)
		refused(t, err, api.ProblemNotFound)
	})
}

func TestARunningDrainCanBeExtended(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		short := draining(time.Minute, pool.OnTimeoutTerminate)
		s.created(spec(1, short))
		l := s.leased("web", "long job")
		_, err := s.m.ExtendDrain(t.Context(), asChange, "web", l.WorkerID, time.Hour)
		refused(t, err, api.ProblemWorkerState)
		done := s.change(spec(0, short))
		s.pass(30 * time.Second)
		_, err = s.m.ExtendDrain(t.Context(), asChange, "web", l.WorkerID, 10*time.Minute)
		require.NoError(t, err)
		s.renew(l)
		for range 10 {
			s.pass(time.Minute - time.Second)
			require.Equal(t, pool.WorkerDraining, s.renew(l).Worker.State)
		}
		s.pass(time.Minute + 10*time.Second)
		s.over(l, pool.LeaseRevoked, "still busy at its drain deadline")
		s.succeeds(done)
	})
}

// An answer may be lost, and the request come again: also when the worker has ended meanwhile.
func TestARepeatedMarkIsAnsweredLikeTheFirst(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		short := draining(time.Minute, pool.OnTimeoutTerminate)
		s.created(spec(1, short))
		l := s.leased("web", "long job")
		done := s.change(spec(0, short))
		s.pass(30 * time.Second)
		request := lifecycle.Request{Author: author, Key: "k", Fingerprint: "10m more"}
		first, err := s.m.ExtendDrain(t.Context(), request, "web", l.WorkerID, 10*time.Minute)
		require.NoError(t, err)
		again, err := s.m.ExtendDrain(t.Context(), request, "web", l.WorkerID, 10*time.Minute)
		require.NoError(t, err)
		require.Equal(t, first, again)
		s.release(l)
		s.succeeds(done)
		again, err = s.m.ExtendDrain(t.Context(), request, "web", l.WorkerID, 10*time.Minute)
		require.NoError(t, err)
		require.Equal(t, pool.WorkerStopped, again.State)
		_, err = s.m.ExtendDrain(t.Context(), asChange, "web", l.WorkerID, 10*time.Minute)
		refused(t, err, api.ProblemWorkerState)
		request.Fingerprint = "20m more"
		_, err = s.m.ExtendDrain(t.Context(), request, "web", l.WorkerID, 20*time.Minute)
		refused(t, err, api.ProblemKeyReused)
	})
}

// After a break a drain has its whole time again, also one that was extended, and an extension counts from there.
func TestAnExtendedDrainOutlivesABreak(t *testing.T) {
	for name, c := range map[string]struct {
		timeout, away time.Duration
		before, after time.Duration // extensions; 0: none
		lasts         time.Duration // from the manager's return on
	}{
		"extended before":          {5 * time.Minute, time.Hour, 30 * time.Minute, 0, 5 * time.Minute},
		"extended after":           {time.Hour, 56 * time.Minute, 0, 5 * time.Minute, 65 * time.Minute},
		"extended beyond anything": {5 * time.Minute, time.Minute, time.Hour, 0, 64 * time.Minute},
	} {
		for signalAt, ways := range map[string]struct {
			state pool.WorkerState // during the drain
			how   pool.LeaseState  // the lease ends
			why   string
		}{
			pool.SignalAfter: {pool.WorkerDraining, pool.LeaseRevoked, "still busy at its drain deadline"},
			pool.SignalStart: {pool.WorkerStopping, pool.LeaseLost, "drained"},
		} {
			t.Run(name+", signal_at "+signalAt, func(t *testing.T) {
				play(t, func(t *testing.T, s *stage) {
					s.world.habits = func(runtime.Launch) habit { return habit{deaf: true} }
					short := []func(*pool.Spec){draining(c.timeout, pool.OnTimeoutTerminate), signalledAt(signalAt)}
					s.created(spec(1, short...))
					l := s.leased("web", "long job")
					extend := func(by time.Duration) {
						if by > 0 {
							_, err := s.m.ExtendDrain(t.Context(), asChange, "web", l.WorkerID, by)
							require.NoError(t, err)
						}
					}
					s.change(spec(0, short...))
					s.pass(3 * time.Second)
					extend(c.before)
					s.away(c.away)
					extend(c.after)
					for lasted := 30 * time.Second; lasted < c.lasts; lasted += 30 * time.Second {
						s.renew(l)
						s.pass(30 * time.Second)
						require.Equal(t, ways.state, s.worker(l.WorkerID).State, lasted)
					}
					s.renew(l)
					s.pass(time.Minute)
					s.over(l, ways.how, ways.why)
				})
			})
		}
	}
}

func signalledAt(when string) func(*pool.Spec) {
	return func(s *pool.Spec) { s.Drain.SignalAt = when }
}

func TestAWorkerThatWorksOnAfterItsSignalCanBeGivenMoreTime(t *testing.T) {
	none, renewed := []func(*pool.Spec){sized(0)}, []func(*pool.Spec){command("serve", "v2"), signalledAt(pool.SignalAfter)}
	for name, c := range map[string]struct {
		onTimeout string
		work      time.Duration
		change    []func(*pool.Spec) // that it has to go for
		lasts     time.Duration      // from its signal on
		signal    string             // that ended it
		phase     pool.OperationPhase
	}{
		"and ends within it":                        {pool.OnTimeoutTerminate, 40 * time.Minute, none, 40 * time.Minute, "TERM", pool.OperationSucceeded},
		"and is killed when that is over":           {pool.OnTimeoutTerminate, 5 * time.Hour, none, 70*time.Minute + 10*time.Second, "KILL", pool.OperationSucceeded},
		"and so can the operation that waits":       {pool.OnTimeoutFail, 40 * time.Minute, none, 40 * time.Minute, "TERM", pool.OperationSucceeded},
		"and its operation fails when that is over": {pool.OnTimeoutFail, 5 * time.Hour, none, 5 * time.Hour, "TERM", pool.OperationFailed},
		"whatever its successors do":                {pool.OnTimeoutTerminate, 40 * time.Minute, renewed, 40 * time.Minute, "TERM", pool.OperationSucceeded},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.world.habits = func(runtime.Launch) habit { return habit{work: c.work} }
				with := []func(*pool.Spec){draining(10*time.Minute, c.onTimeout), signalledAt(pool.SignalStart)}
				s.created(spec(1, with...))
				id := s.living("web")[0].ID
				done := s.change(spec(1, append(with, c.change...)...))
				s.pass(5 * time.Minute)
				w, err := s.m.ExtendDrain(t.Context(), asChange, "web", id, time.Hour)
				require.NoError(t, err)
				require.Equal(t, pool.WorkerStopping, w.State)
				require.Equal(t, w.DrainBy.Add(time.Hour), w.ExtendedTo)
				require.Equal(t, c.phase, s.ends(done).Phase)
				if c.phase == pool.OperationFailed {
					s.pass(time.Minute)
					_, err := s.m.ExtendDrain(t.Context(), asChange, "web", id, time.Hour)
					require.NoError(t, err, "it may work on as long as it likes, and a next attempt waits for it")
				}
				s.pass(c.work)
				w = s.worker(id)
				require.Equal(t, c.signal, w.Exit.Signal)
				require.InDelta(t, c.lasts, w.EndedAt.Sub(w.StoppingAt), float64(3*time.Second))
			})
		})
	}
}

func TestAStopThatIsNoDrainCannotBeExtended(t *testing.T) {
	for name, c := range map[string]struct {
		signalAt string
		habit    habit
		stop     func(*stage)
	}{
		"after the drain":  {pool.SignalAfter, habit{deaf: true}, func(s *stage) { s.destroy("web"); s.pass(5 * time.Second) }},
		"by force":         {pool.SignalStart, habit{deaf: true, immortal: true}, func(s *stage) { s.destroy("web"); s.pass(5 * time.Second); s.force("web"); s.pass(time.Second) }},
		"past its time":    {pool.SignalStart, habit{deaf: true, immortal: true}, func(s *stage) { s.destroy("web"); s.pass(6 * time.Minute) }},
		"when it is swept": {pool.SignalStart, habit{leftovers: 1}, func(s *stage) { s.destroy("web"); s.pass(5 * time.Second) }},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.world.habits = func(runtime.Launch) habit { return c.habit }
				s.world.trouble = func(call, _ string) error {
					if call == "sweep" {
						return errors.New("not yet")
					}
					return nil
				}
				s.created(spec(1, signalledAt(c.signalAt)))
				id := s.living("web")[0].ID
				c.stop(s)
				require.Equal(t, pool.WorkerStopping, s.worker(id).State)
				_, err := s.m.ExtendDrain(t.Context(), asChange, "web", id, time.Hour)
				refused(t, err, api.ProblemWorkerState)
			})
		})
	}
}

// Its kill may be planned already when a person gives a worker more time. Either the kill is called off, or the person
// is told that it is too late.
func TestAnExtensionIsNotLostToAKill(t *testing.T) {
	begin := func(s *stage) (id string) {
		s.world.habits = func(runtime.Launch) habit { return habit{work: 5 * time.Hour} }
		with := []func(*pool.Spec){draining(10*time.Minute, pool.OnTimeoutTerminate), signalledAt(pool.SignalStart)}
		s.created(spec(1, with...))
		id = s.living("web")[0].ID
		s.change(spec(0, with...))
		return id
	}
	t.Run("a moment before the kill", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			s.close()
			var slow atomic.Int64 // by how much the manager's time is behind
			s.now = func() time.Time { return time.Now().Add(-time.Duration(slow.Load())) }
			var extend atomic.Pointer[func()]
			s.plan = func(w planner.World) planner.Result {
				r := planner.Plan(w)
				for _, a := range r.Actions {
					if f := extend.Load(); a.Kind == planner.Kill && f != nil && extend.CompareAndSwap(f, nil) {
						(*f)()
					}
				}
				return r
			}
			s.open()
			id := begin(s)
			extend.Store(new(func() {
				slow.Store(int64(time.Second))
				_, err := s.m.ExtendDrain(context.Background(), asChange, "web", id, time.Hour)
				require.NoError(t, err)
				slow.Store(0)
			}))
			s.pass(69 * time.Minute)
			require.Nil(t, extend.Load())
			require.Contains(t, s.world.running(), id)
			s.pass(2 * time.Minute)
			require.NotContains(t, s.world.running(), id)
		})
	})
	t.Run("a moment after it was decided", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			var tried atomic.Bool
			s.world.trouble = func(call, workerID string) error {
				if call == "kill" && tried.CompareAndSwap(false, true) {
					_, err := s.m.ExtendDrain(context.Background(), asChange, "web", workerID, time.Hour)
					refused(t, err, api.ProblemWorkerState)
				}
				return nil
			}
			id := begin(s)
			s.pass(11 * time.Minute)
			require.True(t, tried.Load())
			require.NotContains(t, s.world.running(), id)
		})
	})
}

// A person may give a worker more time while the controller is about to stop it.
func TestAnExtensionIsNotLostToAStop(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.close()
		var interrupt atomic.Pointer[func()]
		s.plan = func(w planner.World) planner.Result {
			r := planner.Plan(w)
			for _, a := range r.Actions {
				if a.Kind == planner.Stop {
					if f := interrupt.Swap(nil); f != nil {
						(*f)()
					}
				}
			}
			return r
		}
		s.open()
		short := draining(time.Minute, pool.OnTimeoutTerminate)
		s.created(spec(1, short))
		l := s.leased("web", "long job")
		interrupt.Store(new(func() {
			_, err := s.m.ExtendDrain(context.Background(), asChange, "web", l.WorkerID, time.Hour)
			require.NoError(t, err)
		}))
		s.change(spec(0, short))
		for range 120 {
			s.renew(l)
			s.pass(30 * time.Second)
			require.Equal(t, pool.WorkerDraining, s.worker(l.WorkerID).State)
		}
		require.Nil(t, interrupt.Load())
	})
}

// Two persons each choose a worker: both go.
func TestWhoeverIsChosenToGoGoes(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(4))
		var busy []api.LeaseView
		for _, holder := range []string{"a", "b", "c", "d"} {
			busy = append(busy, s.leased("web", holder))
		}
		_, err := s.m.Pause(t.Context(), asChange, "web", true)
		require.NoError(t, err)
		for _, l := range busy[1:3] {
			_, err := s.m.DrainWorker(t.Context(), asChange, "web", l.WorkerID, false)
			require.NoError(t, err)
		}
		_, err = s.m.Pause(t.Context(), asChange, "web", false)
		require.NoError(t, err)
		s.pass(time.Second)
		for i, want := range []pool.WorkerState{pool.WorkerReady, pool.WorkerDraining, pool.WorkerDraining, pool.WorkerReady} {
			require.Equal(t, want, s.worker(busy[i].WorkerID).State, i)
		}
	})
}

// The size may be reached before the chosen worker has gone, without it.
func TestWhoeverIsChosenGoesAlsoWhenTheSizeIsReachedOtherwise(t *testing.T) {
	closed := func(s *pool.Spec) {
		s.Update.Windows = []pool.Window{{Cron: "0 3 1 6 *", Duration: pool.Duration(time.Hour), TimeZone: "UTC"}}
	}
	for name, c := range map[string]struct {
		newest    pool.Spec // when it is chosen
		meanwhile func(s *stage, another string)
		size      int
	}{
		"another has failed":        {spec(3), func(s *stage, another string) { s.world.crash(another) }, 2},
		"the size was raised again": {spec(3), func(s *stage, _ string) { s.change(spec(3)) }, 3},
		"another has failed, and a rollout waits for its window": {
			spec(3, closed, command("serve", "v2")), func(s *stage, another string) { s.world.crash(another) }, 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.created(spec(3))
				s.change(c.newest)
				before := ids(s.living("web"))
				_, err := s.m.Pause(t.Context(), asChange, "web", true)
				require.NoError(t, err)
				done, err := s.m.DrainWorker(t.Context(), asChange, "web", before[1], false)
				require.NoError(t, err)
				c.meanwhile(s, before[0])
				_, err = s.m.Pause(t.Context(), asChange, "web", false)
				require.NoError(t, err)
				s.succeeds(done)
				require.NotContains(t, s.world.running(), before[1])
				s.pass(time.Minute)
				require.Len(t, s.world.running(), c.size)
			})
		})
	}
}

func TestOneWorkerIsDrainedByHand(t *testing.T) {
	t.Run("and replaced, its successor first", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			created := s.created(spec(3, probed, update(1, 0)))
			s.journal.watch(withinBudget(created.Pool.UID, time.Now()))
			before := ids(s.living("web"))
			done, err := s.m.DrainWorker(t.Context(), asChange, "web", before[1], true)
			require.NoError(t, err)
			s.succeeds(done)
			require.NotContains(t, s.world.running(), before[1])
			require.Len(t, s.world.running(), 3)
			require.Subset(t, s.world.running(), []string{before[0], before[2]})
			require.Contains(t, s.worker(before[1]).Reason, "drained")
		})
	})
	t.Run("and replaced by nobody", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			s.created(spec(3))
			busy := s.leased("web", "a job")
			done, err := s.m.DrainWorker(t.Context(), asChange, "web", busy.WorkerID, false)
			require.NoError(t, err)
			s.pass(10 * time.Second)
			require.Equal(t, pool.WorkerDraining, s.renew(busy).Worker.State, "this very worker, although it is busy")
			s.release(busy)
			s.succeeds(done)
			require.NotContains(t, s.world.running(), busy.WorkerID)
			require.Equal(t, int64(2), *s.view("web").Spec.Size)
		})
	})
}

func TestAWatchOfTheRegistryTellsWhatMoves(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		blue := map[string]string{"team": "blue"}
		s.created(spec(2, probed, func(sp *pool.Spec) { sp.Labels = blue }))
		ctx, leave := context.WithCancel(t.Context())
		var mu sync.Mutex
		var told []string
		ended := make(chan error, 1)
		go func() {
			ended <- s.m.WatchRegistry(ctx, func(news any) error {
				mu.Lock()
				defer mu.Unlock()
				switch n := news.(type) {
				case api.RegisteredPool:
					leased := 0
					for _, e := range n.Endpoints {
						leased += e.Leased
					}
					told = append(told, fmt.Sprintf("%s %d endpoints %d leased %d waiting", n.Name, len(n.Endpoints), leased, n.Waiting))
				case api.WaitingByLabels:
					told = append(told, fmt.Sprintf("%d waiting by labels", n.Waiting))
				case api.PoolGone:
					told = append(told, n.Name+" is gone")
				default:
					told = append(told, fmt.Sprintf("%T", news))
				}
				return nil
			})
		}()
		news := func() (taken []string) {
			s.pass(time.Second)
			mu.Lock()
			defer mu.Unlock()
			taken, told = told, nil
			return taken
		}
		require.Equal(t, []string{"web 2 endpoints 0 leased 0 waiting", "0 waiting by labels", "api.RegistryComplete"}, news())
		first, second := s.leased("web", "a"), s.leased("web", "b")
		require.Contains(t, news(), "web 2 endpoints 2 leased 0 waiting")
		waiting := s.ask("web", "c")
		require.Equal(t, []string{"web 2 endpoints 2 leased 1 waiting"}, news())
		s.release(waiting)
		require.Equal(t, []string{"web 2 endpoints 2 leased 0 waiting"}, news())
		waiting, err := s.m.Acquire(t.Context(), byScheduler, lifecycle.Want{Selector: blue}, 0)
		require.NoError(t, err)
		require.Equal(t, []string{"1 waiting by labels"}, news())
		r, err := s.m.Registry(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int{1, 0}, []int{r.Waiting, r.Pools[0].Waiting})
		s.release(waiting)
		require.Equal(t, []string{"0 waiting by labels"}, news())
		_, err = s.m.Cordon(t.Context(), asChange, "web", first.WorkerID, true)
		require.NoError(t, err)
		require.Equal(t, []string{"web 1 endpoints 1 leased 0 waiting"}, news())
		s.release(first)
		s.release(second)
		require.Equal(t, []string{"web 1 endpoints 0 leased 0 waiting"}, news())
		s.pass(15 * time.Second)
		require.Equal(t, []string{"api.StillThere"}, news(), "nothing else happened")
		s.destroy("web")
		require.Equal(t, []string{"web is gone"}, news())
		leave()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}
