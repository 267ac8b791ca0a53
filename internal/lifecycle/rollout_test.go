package lifecycle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
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

		s.succeeds(s.destroy("web"))
		o, err = s.m.Operation(t.Context(), o.ID, 0)
		require.NoError(t, err)
		require.Contains(t, o.Reason, "no progress", "a tombstone keeps the history")
		require.Empty(t, o.LogTail, "and no logs")
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
