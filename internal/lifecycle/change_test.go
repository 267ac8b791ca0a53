package lifecycle_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

func TestAChangeThatTouchesNoWorkerKeepsThemAll(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*pool.Spec)
		kind   pool.Change
	}{
		{"hot", describedAs("better"), pool.ChangeHot},
		{"contract of the drain", graced(3 * time.Second), pool.ChangeContract},
		{"contract of the check", func(s *pool.Spec) { s.Health.Interval = pool.Duration(5 * time.Second) }, pool.ChangeContract},
		{"recorded only", func(s *pool.Spec) { s.Initialization = pool.Empty }, pool.ChangeCreation},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				created := s.created(spec(3, probed))
				before := s.living("web")
				done, err := s.m.Put(t.Context(), lifecycle.Request{Author: "user:bob", Comment: "it is due", IfMatch: "*"}, spec(3, probed, c.change))
				require.NoError(t, err)
				o := s.succeeds(done)
				require.Equal(t, pool.OperationUpdate, o.Kind)
				require.Equal(t, c.kind, o.Change)
				require.Equal(t, o.CreatedAt, o.EndedAt, "nobody has to be waited for")

				v := s.view("web")
				require.Equal(t, []int64{2, 2, 2}, []int64{v.Revision, v.Generation, v.ConvergedGeneration})
				require.Equal(t, before, s.living("web"))
				require.Equal(t, pool.StateActive, v.Status.State)
				require.Equal(t, created.Pool.Target(), v.Target())

				events := s.events(v.UID)
				updated := events[slices.IndexFunc(events, func(e pool.Event) bool { return e.Type == pool.EventPoolUpdated })]
				require.Equal(t, []string{"user:bob", "it is due", o.ID}, []string{updated.Author, updated.Comment, updated.OperationID})
				revisions, err := s.m.Revisions(t.Context(), "web", 0)
				require.NoError(t, err)
				require.Equal(t, []int64{2, 1}, []int64{revisions[0].Number, revisions[1].Number})
				require.Equal(t, "user:bob", revisions[0].Author)
				require.Equal(t, spec(3, probed), revisions[1].Spec, "a revision is never rewritten")
			})
		})
	}
}

func TestLogBoundsFollowTheSpecAtOnce(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(1)).Pool.UID
		s.succeeds(s.change(spec(1, func(sp *pool.Spec) { sp.Logs.MaxSize = 1 << 20 })))
		s.succeeds(s.change(spec(1, func(sp *pool.Spec) { sp.Logs.MaxSize = 1 << 20 }, describedAs("x"))))
		require.Equal(t, []string{"keep 10MiB of", "keep 1MiB of"}, s.world.asked(uid))
	})
}

// withinBudget complains of any committed step at which a rollout has too few workers available or too many
// live ones.
func withinBudget(poolUID string, from time.Time) func(store.Reader) error {
	return budgetWatch(poolUID, from, true, 0)
}

// withinBudgetAndOne is for replacements: they may exceed the surge by one. What is not available because it
// is sick is nobody's plan.
func withinBudgetAndOne(poolUID string) func(store.Reader) error {
	return budgetWatch(poolUID, time.Now(), false, 1)
}

func budgetWatch(poolUID string, from time.Time, floored bool, more int) func(store.Reader) error {
	return func(r store.Reader) error {
		p, err := r.Pool(poolUID)
		if err != nil || p.Phase != pool.PhaseLive {
			return err
		}
		workers, err := r.Workers(poolUID)
		if err != nil {
			return err
		}
		now, available, live := time.Now(), 0, 0
		for _, w := range workers {
			if planner.Available(p.Spec, w, now) {
				available++
			}
			if w.DrainCause != pool.DrainScaleIn {
				live++
			}
		}
		desired, u := p.Desired(), p.Spec.Update
		if floor := desired - u.MaxUnavailable.RoundDown(desired); floored && available < floor {
			return fmt.Errorf("%s: %d available, fewer than %d", now.Sub(from), available, floor)
		}
		if room := desired + u.MaxSurge.RoundUp(desired) + more; live > room {
			return fmt.Errorf("%s: %d live, more than %d", now.Sub(from), live, room)
		}
		return nil
	}
}

func TestARollingChangeReplacesAllWorkersWithinItsBudgets(t *testing.T) {
	for _, c := range []struct {
		name   string
		budget func(*pool.Spec)
	}{
		{"surge", update(1, 0)},
		{"unavailable", update(0, 2)},
		{"both", update(2, 1)},
		{"default", func(*pool.Spec) {}},
		{"min_ready", func(s *pool.Spec) { s.Update.MinReady = pool.Duration(20 * time.Second) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.world.habits = func(runtime.Launch) habit { return habit{warmUp: 2 * time.Second, work: time.Second} }
				created := s.created(spec(5, probed, c.budget))
				before := s.living("web")
				s.journal.watch(withinBudget(created.Pool.UID, time.Now()))

				done := s.change(spec(5, probed, c.budget, command("serve", "v2")))
				synctest.Wait()
				require.Equal(t, pool.StateUpdating, s.view("web").Status.State)
				o := s.succeeds(done)
				require.Equal(t, pool.ChangeRolling, o.Change)

				after := s.living("web")
				require.Len(t, after, 5)
				require.ElementsMatch(t, ids(after), s.world.running())
				for _, w := range after {
					require.NotContains(t, ids(before), w.ID)
					require.Equal(t, done.Pool.Target(), w.TemplateHash)
					require.Equal(t, int64(2), w.Revision)
				}
				for _, w := range before {
					w := s.worker(w.ID)
					require.Equal(t, pool.WorkerStopped, w.State)
					require.Equal(t, pool.DrainRollout, w.DrainCause)
					require.GreaterOrEqual(t, w.StoppingAt.Sub(w.DrainingAt), 2*time.Second, "its deregister_delay")
					require.Equal(t, []string{"launch", "signal TERM"}, s.world.asked(w.ID))
				}
				require.Len(t, s.world.starts(), 10)
				v := s.view("web")
				require.Equal(t, []int64{2, 2, 2}, []int64{v.Revision, v.Generation, v.ConvergedGeneration})
				require.Equal(t, pool.StateActive, v.Status.State)
			})
		})
	}
}

func TestARestartReplacesAllWorkersAndMakesNoRevision(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		created := s.created(spec(2))
		before := ids(s.living("web"))
		done := s.restart("web")
		o := s.succeeds(done)
		require.Equal(t, pool.OperationRestart, o.Kind)
		v := s.view("web")
		require.Equal(t, []int64{1, 2, 2, 1}, []int64{v.Revision, v.Generation, v.ConvergedGeneration, v.Restarts})
		after := ids(s.living("web"))
		require.Len(t, after, 2)
		require.NotSubset(t, before, after)
		require.Equal(t, created.Pool.Spec, v.Spec)
		require.Contains(t, s.told(v.UID), pool.EventPoolRestarted)

		s.succeeds(s.change(spec(2, describedAs("hot"))))
		require.Equal(t, after, ids(s.living("web")), "a hot change after a restart keeps the workers")
	})
}

func TestResizing(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{warmUp: time.Second} }
		created := s.created(spec(2, probed))
		first := ids(s.living("web"))

		done := s.change(spec(4, probed))
		synctest.Wait()
		require.Equal(t, pool.StateScaling, s.view("web").Status.State)
		o := s.succeeds(done)
		require.Equal(t, []any{pool.OperationResize, pool.ChangeHot}, []any{o.Kind, o.Change})
		grown := ids(s.living("web"))
		require.Len(t, grown, 4)
		require.Subset(t, grown, first)

		done = s.change(spec(1, probed))
		synctest.Wait()
		v := s.view("web")
		require.Equal(t, []int{1, 4, 1, 3}, []int{v.Status.Desired, v.Status.Current, v.Status.Available, v.Status.Draining})
		s.succeeds(done)
		shrunk := ids(s.living("web"))
		require.Len(t, shrunk, 1)
		require.Subset(t, grown, shrunk)
		require.Len(t, s.world.starts(), 4, "nobody was restarted")

		done, err := s.m.Patch(t.Context(), asChange, created.Pool.UID, []byte(`{"size": 0}`))
		require.NoError(t, err)
		require.Equal(t, pool.OperationResize, done.Operation.Kind)
		s.succeeds(done)
		require.Empty(t, s.world.running())
		require.Equal(t, pool.StateActive, s.view("web").Status.State)
		require.Equal(t, []pool.EventType{pool.EventPoolResized}, slices.Compact(only(s.told(created.Pool.UID), pool.EventPoolUpdated, pool.EventPoolResized)))
	})
}

func only(types []pool.EventType, kept ...pool.EventType) []pool.EventType {
	return slices.DeleteFunc(types, func(e pool.EventType) bool { return !slices.Contains(kept, e) })
}

func TestAResizeDuringARolloutLetsBothSucceed(t *testing.T) {
	for _, size := range []int64{2, 7} {
		t.Run(fmt.Sprint("to ", size), func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.created(spec(4, update(1, 0)))
				rollout := s.change(spec(4, update(1, 0), command("serve", "v2")))
				s.pass(3 * time.Second) // one is replaced
				require.Equal(t, pool.OperationRunning, s.operation(rollout).Phase)
				resize := s.change(spec(size, update(1, 0), command("serve", "v2")))
				require.Equal(t, resize.Operation.ID, s.view("web").OperationID)
				require.Equal(t, pool.OperationRunning, s.operation(rollout).Phase, "it goes on")
				s.succeeds(rollout)
				s.succeeds(resize)
				v := s.view("web")
				require.Equal(t, []int{int(size), int(size), 0}, []int{v.Status.Current, v.Status.Available, v.Status.Old})
				require.Equal(t, int64(3), v.ConvergedGeneration)
			})
		})
	}
}

// operation reads an operation without waiting for it.
func (s *stage) operation(done lifecycle.Accepted) pool.Operation {
	s.t.Helper()
	o, err := s.m.Operation(s.t.Context(), done.Operation.ID, 0)
	require.NoError(s.t, err)
	return o
}

func TestAResizeGivesARolloutItsFullTimeAgain(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		slow := false
		s.world.habits = func(runtime.Launch) habit {
			if slow {
				return habit{warmUp: 50 * time.Second}
			}
			return habit{}
		}
		budget := func(sp *pool.Spec) { update(1, 0)(sp); deadline(time.Minute)(sp) }
		s.created(spec(2, probed, budget))
		slow = true
		rollout := s.change(spec(2, probed, budget, command("serve", "v2")))
		s.pass(100 * time.Second) // one is replaced, the other about to be
		s.change(spec(12, probed, budget, command("serve", "v2")))
		o := s.ends(rollout)
		require.Equal(t, pool.OperationSucceeded, o.Phase, o.Reason)
	})
}

func TestANewerTemplateSupersedesARolloutAtOnceAndItsWaitersAreTold(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(4, update(1, 0)))
		first := s.change(spec(4, update(1, 0), command("serve", "v2")))
		outcome := make(chan pool.Operation, 1)
		go func() { outcome <- s.ends(first) }()
		s.pass(3 * time.Second)
		require.Empty(t, outcome)

		before := time.Now()
		second := s.change(spec(4, update(1, 0), command("serve", "v3")))
		o := <-outcome
		require.Equal(t, before, time.Now(), "told at once")
		require.Equal(t, pool.OperationSuperseded, o.Phase)
		require.Equal(t, second.Operation.ID, o.SupersededBy)
		require.Contains(t, o.Reason, author)

		s.succeeds(second)
		for _, w := range s.living("web") {
			require.Equal(t, second.Pool.Target(), w.TemplateHash)
		}
	})
}

func TestWhatSupersedesWhat(t *testing.T) {
	size := func(n int64) func(*stage) lifecycle.Accepted {
		return func(s *stage) lifecycle.Accepted {
			sp := s.view("web").Spec
			return s.change(spec(n, func(to *pool.Spec) { *to = sp; sized(n)(to) }))
		}
	}
	edit := func(change func(*pool.Spec)) func(*stage) lifecycle.Accepted {
		return func(s *stage) lifecycle.Accepted {
			sp := s.view("web").Spec
			change(&sp)
			return s.change(sp)
		}
	}
	rolling, hot := edit(command("serve", "v9")), edit(describedAs("news"))
	destroy := func(s *stage) lifecycle.Accepted { return s.destroy("web") }
	restart := func(s *stage) lifecycle.Accepted { return s.restart("web") }
	for _, c := range []struct {
		name          string
		first, second func(*stage) lifecycle.Accepted
		superseded    bool
	}{
		{"a rollout by a resize", rolling, size(3), false},
		{"a rollout by a hot change", rolling, hot, false},
		{"a rollout by a restart", rolling, restart, true},
		{"a rollout by a destroy", rolling, destroy, true},
		{"a restart by a resize", restart, size(3), false},
		{"a restart by a rollout", restart, rolling, true},
		{"a resize by a resize", size(4), size(3), true},
		{"a resize by a hot change", size(4), hot, false},
		{"a hot change by a resize", hot, size(4), false},
		{"a resize by a rollout", size(4), rolling, true},
		{"a resize by a destroy", size(4), destroy, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.world.habits = func(runtime.Launch) habit { return habit{warmUp: time.Second} }
				s.created(spec(2, probed))
				first := c.first(s)
				second := c.second(s)
				o := s.ends(first)
				if !c.superseded {
					require.Equal(t, pool.OperationSucceeded, o.Phase, o.Reason)
				} else {
					require.Equal(t, []any{pool.OperationSuperseded, second.Operation.ID}, []any{o.Phase, o.SupersededBy})
				}
				s.succeeds(second)
			})
		})
	}
}

func TestChangesDuringACreation(t *testing.T) {
	for _, c := range []struct {
		name   string
		second func(*pool.Spec)
		phase  pool.OperationPhase
	}{
		{"resize", sized(3), pool.OperationSucceeded},
		{"hot", describedAs("x"), pool.OperationSucceeded},
		{"rolling", command("serve", "v2"), pool.OperationSuperseded},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.world.launching = func(context.Context, runtime.Launch) error { <-time.After(time.Second); return nil }
				first := s.create(spec(2))
				second := s.change(spec(2, c.second))
				require.Equal(t, c.phase, s.ends(first).Phase)
				s.succeeds(second)
				v := s.view("web")
				require.Equal(t, []int{v.Status.Desired, 0}, []int{v.Status.Available, v.Status.Old})
				require.Equal(t, pool.PhaseLive, v.Phase)
			})
		})
	}
}
