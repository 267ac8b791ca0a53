package lifecycle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// TestWhatAPlanForeseesIsWhatHappens holds plans against the changes that they are for, as the worst that may
// happen: these workers end only by their kill.
func TestWhatAPlanForeseesIsWhatHappens(t *testing.T) {
	warm := 20 * time.Second
	with := func(changes ...func(*pool.Spec)) []func(*pool.Spec) {
		return append([]func(*pool.Spec){probed, update(1, 0), graced(5 * time.Second)}, changes...)
	}
	for name, change := range map[string]pool.Spec{
		"rolling": spec(3, with(command("serve", "v2"))...),
		"smaller": spec(1, with()...),
		"larger":  spec(5, with()...),
		"hot":     spec(3, with(describedAs("news"))...),
		"none":    spec(3, with()...),
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.world.habits = launchesWarmUp(warm)
				s.created(spec(3, with()...))
				for _, id := range s.world.running() {
					s.world.becomes(id, habit{deaf: true})
				}
				generation, before := s.view("web").Generation, s.world.running()
				plan, err := s.m.Foresee(t.Context(), change)
				require.NoError(t, err)
				require.Equal(t, generation, s.view("web").Generation, "a plan changes nothing")

				began := time.Now()
				s.succeeds(s.change(change))
				took := time.Since(began)
				after := s.world.running()
				require.InDelta(t, plan.WorstTime.Std().Seconds(), took.Seconds(), 5, "planned %s", plan.WorstTime)
				require.Equal(t, plan.Launches, missing(after, before), "workers that are new")
				require.Equal(t, plan.Drains, missing(before, after), "workers that are gone")
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
