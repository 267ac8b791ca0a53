package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// TestWhatAPlanForeseesIsWhatHappens holds plans against the changes that they are for, as the worst that may
// happen: these workers end only by their kill.
func TestWhatAPlanForeseesIsWhatHappens(t *testing.T) {
	plain := []func(*pool.Spec){probed, update(1, 0), graced(5 * time.Second)}
	rolls := command("serve", "v2")
	for name, c := range map[string]struct {
		always, change []func(*pool.Spec)
		sick           string // what the hook of an old worker complains of
	}{
		"rolling":           {change: []func(*pool.Spec){rolls}},
		"smaller":           {change: []func(*pool.Spec){sized(1)}},
		"larger":            {change: []func(*pool.Spec){sized(5)}},
		"hot":               {change: []func(*pool.Spec){describedAs("news")}},
		"none":              {},
		"with time to wait": {change: []func(*pool.Spec){rolls, func(s *pool.Spec) { s.Update.MinReady = pool.Duration(15 * time.Second) }}},
		"with a canary that bakes": {change: []func(*pool.Spec){rolls, func(s *pool.Spec) {
			bake := pool.Duration(40 * time.Second)
			s.Update.Canary = &pool.Canary{Bake: &bake}
		}}},
		"with a hook that fails": {
			always: []func(*pool.Spec){draining(time.Minute, pool.OnTimeoutTerminate), func(s *pool.Spec) {
				s.Health.HTTP = nil
				s.Drain.Hook = &pool.DrainHook{Exec: &pool.ExecProbe{Command: []string{"leave"}}}
			}},
			change: []func(*pool.Spec){sized(2)},
			sick:   "not yet",
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.world.habits = launchesWarmUp(20 * time.Second)
				before := slices.Concat(plain, c.always)
				s.created(spec(3, before...))
				for _, id := range s.world.running() {
					s.world.becomes(id, habit{deaf: true})
					s.world.sicken(id, c.sick)
				}
				change := spec(3, slices.Concat(before, c.change)...)
				generation, workers := s.view("web").Generation, s.world.running()
				plan, err := s.m.Foresee(t.Context(), change)
				require.NoError(t, err)
				require.Equal(t, generation, s.view("web").Generation, "a plan changes nothing")
				require.Empty(t, plan.Waits)

				began := time.Now()
				s.succeeds(s.change(change))
				took := time.Since(began)
				after := s.world.running()
				require.InDelta(t, plan.WorstTime.Std().Seconds(), took.Seconds(), 5, "planned %s", plan.WorstTime)
				require.Equal(t, plan.Launches, missing(after, workers), "workers that are new")
				require.Equal(t, plan.Drains, missing(workers, after), "workers that are gone")
			})
		})
	}
}

// missing counts what is in all and not in some.
func missing(all, some []string) (n int) {
	known := map[string]bool{}
	for _, id := range some {
		known[id] = true
	}
	for _, id := range all {
		if !known[id] {
			n++
		}
	}
	return n
}

func TestAPlanSaysWhatKindOfChangeItIs(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		plan, err := s.m.Foresee(t.Context(), spec(3))
		require.NoError(t, err)
		require.Equal(t, []any{api.PlanCreate, 3, 0}, []any{plan.Action, plan.Launches, plan.Drains})
		s.created(spec(3))

		plan, err = s.m.Foresee(t.Context(), spec(3))
		require.NoError(t, err)
		require.Equal(t, api.PlanNone, plan.Action)

		plan, err = s.m.Foresee(t.Context(), spec(2, describedAs("news")))
		require.NoError(t, err)
		require.Equal(t, []any{api.PlanUpdate, pool.ChangeHot}, []any{plan.Action, plan.Change})
		require.Equal(t, []pool.FieldChange{
			{Path: "description", Change: pool.ChangeHot, New: "news"}, {Path: "size", Change: pool.ChangeHot, Old: "3", New: "2"},
		}, plan.Changes)

		s.world.unfit = func(pool.Spec) pool.Faults { return pool.Faults{{Path: "worker.command[0]", Reason: "does not exist"}} }
		_, err = s.m.Foresee(t.Context(), spec(3, command("missing")))
		refused(t, err, api.ProblemInvalid)

		s.destroy("web")
		_, err = s.m.Foresee(t.Context(), spec(3))
		refused(t, err, api.ProblemDeleting)
	})
}

func TestAPlanOfARolloutTakesOverAnAbortedOne(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = launchesWarmUp(20 * time.Second)
		s.created(spec(3, probed, update(1, 0)))
		s.change(spec(3, probed, update(1, 0), command("serve", "v2")))
		s.pass(30 * time.Second)
		_, err := s.m.Abort(t.Context(), asChange, "web")
		require.NoError(t, err)

		closed := func(s *pool.Spec) {
			s.Update.Windows = []pool.Window{{Cron: "0 0 1 1 *", Duration: pool.Duration(time.Minute)}}
		}
		plan, err := s.m.Foresee(t.Context(), spec(3, probed, update(1, 0), command("serve", "v3"), closed))
		require.NoError(t, err)
		require.NotContains(t, plan.Waits, "return", "whose return to the last good revision ends with it")
	})
}
