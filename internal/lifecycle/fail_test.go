package lifecycle_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// hopeless launches fail for good as long as the command is "missing".
func hopeless(_ context.Context, l runtime.Launch) error {
	if l.Template.Command[0] != "missing" {
		return nil
	}
	fault := pool.Fault{Path: "worker.command[0]", Value: `"missing"`, Reason: "does not exist", Valid: "a program"}
	return runtime.LaunchError(l.WorkerID, &runtime.SpecError{Fault: fault})
}

func TestALaunchThatIsHopelessFailsTheCreationAtOnceWithItsReason(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.launching = hopeless
		began := time.Now()
		first := s.create(spec(2, command("missing")))
		o := s.fails(first)
		require.Equal(t, began, time.Now())
		require.Contains(t, o.Reason, `worker.command[0]: does not exist (got "missing"); valid: a program`)
		v := s.view("web")
		require.Equal(t, pool.StateError, v.Status.State)
		require.Equal(t, o.Reason, v.Status.Reason)
		require.Contains(t, s.told(v.UID), pool.EventOperationFailed)

		tried := len(s.events(v.UID))
		s.pass(20 * time.Minute)
		require.Greater(t, len(s.events(v.UID)), tried, "it is tried again")
		require.Less(t, len(s.events(v.UID)), 150, "but seldom")

		second := s.change(spec(2, command("missing")))
		require.True(t, second.Changed, "the same spec is another attempt")
		require.NotEqual(t, first.Operation.ID, second.Operation.ID)
		require.Equal(t, []int64{1, 2}, []int64{second.Pool.Revision, second.Pool.Generation})
		require.Equal(t, pool.OperationRunning, s.operation(second).Phase)
		require.Contains(t, s.fails(second).Reason, "does not exist")

		third := s.change(spec(2, command("serve")))
		began = time.Now()
		s.succeeds(third)
		require.Equal(t, began, time.Now(), "a fixed spec starts without a past")
		v = s.view("web")
		require.Equal(t, pool.StateActive, v.Status.State)
		require.Empty(t, v.Status.Reason)
	})
}

func TestACauseThatWasMendedOnTheHostLetsTheNextAttemptSucceed(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.launching = hopeless
		s.fails(s.create(spec(1, command("missing"))))
		s.pass(40 * time.Second) // 31 s after the first failure was the sixth
		s.world.mu.Lock()
		s.world.launching = nil
		s.world.mu.Unlock()
		again := s.change(spec(1, command("missing")))
		require.True(t, again.Changed)
		s.succeeds(again) // it does not fail for what was before it
		require.Equal(t, pool.StateActive, s.view("web").Status.State)
	})
}

func TestAHopelessRolloutLeavesTheOldWorkersInService(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.launching = hopeless
		s.created(spec(2))
		before := s.world.running()
		s.fails(s.change(spec(2, command("missing"))))
		s.pass(10 * time.Minute)
		require.Equal(t, before, s.world.running())
		require.Equal(t, pool.StateError, s.view("web").Status.State)
		s.succeeds(s.change(spec(2)))
		require.Equal(t, before, s.world.running(), "back to the template that they have")
	})
}

func TestWorkersThatNeverGetReadyFailTheOperationAtItsDeadline(t *testing.T) {
	late := func(l runtime.Launch) habit {
		if l.Template.Command[0] == "late" {
			return habit{warmUp: time.Hour, work: 5 * time.Second}
		}
		return habit{}
	}
	t.Run("create", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			s.world.habits = late
			began := time.Now()
			o := s.fails(s.create(spec(2, probed, command("late"), deadline(time.Minute))))
			require.Equal(t, time.Minute, time.Since(began))
			first := s.world.starts()[0]
			require.Contains(t, o.Reason, "no progress for 1m: 0 of 2 workers are available")
			require.Contains(t, o.Reason, "worker "+first+" is not ready: connection refused")
			require.Contains(t, o.LogTail, fmt.Sprintf("worker %s:\n%s says hello\n", first, first))
			require.Equal(t, pool.StateError, s.view("web").Status.State)

			s.succeeds(s.change(spec(2, probed, command("serve"), deadline(time.Minute))))
			require.Equal(t, pool.StateActive, s.view("web").Status.State)
			require.Equal(t, pool.PhaseLive, s.view("web").Phase)
		})
	})
	t.Run("rollout", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			s.world.habits = late
			created := s.created(spec(2, probed, deadline(time.Minute)))
			before := s.world.running()
			s.journal.watch(withinBudget(created.Pool.UID, time.Now()))
			began := time.Now()
			o := s.fails(s.change(spec(2, probed, command("late"), deadline(time.Minute))))
			require.Equal(t, time.Minute, time.Since(began))
			require.Contains(t, o.Reason, "2 old ones are left")
			require.NotEmpty(t, o.LogTail)
			s.pass(10 * time.Minute)
			require.Subset(t, s.world.running(), before, "the old ones serve on")
		})
	})
	t.Run("those that crash", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			s.world.habits = func(l runtime.Launch) habit {
				time.AfterFunc(time.Second, func() { s.world.crash(l.WorkerID) })
				return habit{warmUp: time.Hour}
			}
			began := time.Now()
			o := s.fails(s.create(spec(1, probed, deadline(time.Minute))))
			require.Equal(t, time.Minute, time.Since(began))
			require.Contains(t, o.Reason, "exited with code 3")
			require.NotEmpty(t, o.LogTail)
		})
	})
}

func TestProgressGivesAnOperationItsTimeAgain(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{warmUp: 40 * time.Second} }
		began := time.Now()
		s.created(spec(1, probed))
		s.succeeds(s.change(spec(1, probed, update(1, 0), deadline(time.Minute))))
		s.succeeds(s.change(spec(3, probed, update(1, 0), deadline(time.Minute))))
		s.succeeds(s.restart("web"))
		require.Greater(t, time.Since(began), 2*time.Minute)
	})
}

func TestAStallAfterSomeProgressIsNoticed(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(3, probed, update(1, 0), deadline(time.Minute)))
		warm := 30 * time.Second
		s.world.habits = func(runtime.Launch) habit {
			defer func() { warm = time.Hour }()
			return habit{warmUp: warm}
		}
		began := time.Now()
		o := s.fails(s.change(spec(3, probed, update(1, 0), deadline(time.Minute), command("serve", "v2"))))
		require.Contains(t, o.Reason, "1 of 3 workers are available, 2 old ones are left")
		require.InDelta(t, 92, time.Since(began).Seconds(), 3, "30 s to the first, 2 s to withdraw an old one, then a minute")
	})
}

func TestALogTailHasOnlyTheLastLines(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(l runtime.Launch) habit {
			s.world.logs[l.WorkerID] = strings.Repeat("noise\n", 10_000)
			return habit{warmUp: time.Hour}
		}
		o := s.fails(s.create(spec(8, probed, deadline(time.Minute))))
		require.LessOrEqual(t, len(o.LogTail), 10_000)
		require.Contains(t, o.LogTail, " says hello\nworker ")
	})
}
