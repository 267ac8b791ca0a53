package planner_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Work can be given to a worker between the question and the withdrawal, also where both have the same time.
func TestAnAnswerCountsForADrainOnlyIfItWasAskedForAfterTheWithdrawal(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	size := int64(0)
	spec := pool.Default()
	spec.Name, spec.Size, spec.Worker.Command, spec.Drain.ActiveJobs, spec.Drain.DeregisterDelay = "web", &size, []string{"serve"}, &pool.ActiveJobs{}, 0
	for _, c := range []struct {
		name    string
		reading planner.Reading
		want    planner.ActionKind
	}{
		{"before, at the same moment", planner.Reading{AskedAt: now}, planner.Count},
		{"before", planner.Reading{AskedAt: now.Add(-time.Millisecond)}, planner.Count},
		{"after, at the same moment", planner.Reading{AskedAt: now, Draining: true}, planner.Stop},
		{"after, and it works", planner.Reading{AskedAt: now, Draining: true, Busy: "1 active job"}, planner.Count},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := pool.Pool{UID: "p_1", Name: "web", Phase: pool.PhaseLive, Spec: spec, Revision: 1, Generation: 1, ConvergedGeneration: 1}
			result := planner.Plan(planner.World{
				Now: now, Pool: p, Readings: map[string]planner.Reading{"w_1": c.reading},
				Workers: []pool.Worker{{
					ID: "w_1", PoolUID: "p_1", State: pool.WorkerDraining, Health: pool.Healthy, Revision: 1, TemplateHash: p.Target(), Slots: 1,
					Instance: pool.Instance{PID: 1}, DrainCause: pool.DrainScaleIn, CreatedAt: now.Add(-time.Hour), ReadyAt: now.Add(-time.Hour),
					DrainingAt: now, DrainBy: now.Add(time.Minute),
				}},
			})
			kinds := slices.Collect(func(yield func(planner.ActionKind) bool) {
				for _, a := range result.Actions {
					if !yield(a.Kind) {
						return
					}
				}
			})
			require.Equal(t, []planner.ActionKind{c.want}, kinds)
		})
	}
}
