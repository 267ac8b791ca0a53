package planner_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// A canary of two in a pool of three leaves one place to old workers. A sick one and its good successor are in
// it together: the successor is not one too many, and is not stopped in the plan that launches it.
func TestASickOldWorkerKeepsItsSuccessorWhileTheRolloutIsHeld(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	size, count := int64(3), int64(2)
	spec := pool.Default()
	spec.Name, spec.Size, spec.Worker.Command = "web", &size, []string{"serve"}
	spec.Update.MaxSurge, spec.Update.MaxUnavailable = pool.Amount{Value: 1}, pool.Amount{}
	spec.Update.Canary = &pool.Canary{Count: &count}
	p := pool.Pool{Phase: pool.PhaseLive, Spec: spec, Restarts: 1, Generation: 2}
	old := pool.TemplateHash(spec, 0)
	result := planner.Plan(planner.World{
		Now: now, Pool: p, Good: planner.Baseline{Hash: old, Revision: 1},
		Operations: []pool.Operation{{ID: "op", Kind: pool.OperationRestart, Change: pool.ChangeRolling, Phase: pool.OperationRunning, CreatedAt: now}},
		Workers: []pool.Worker{
			{ID: "sick", State: pool.WorkerReady, Health: pool.Unhealthy, TemplateHash: old, CreatedAt: now.Add(-time.Hour), ReadyAt: now.Add(-time.Hour), HealthAt: now.Add(-time.Minute)},
			{ID: "young", State: pool.WorkerStarting, TemplateHash: old, CreatedAt: now},
		},
	})
	successors := 0
	for _, a := range result.Actions {
		require.True(t, a.WorkerID != "" || a.Kind == planner.Launch, "%+v", a)
		if a.Replaces == "sick" {
			successors++
		}
	}
	require.Equal(t, 1, successors)
}

// A canary of all leaves no place to old workers: a sick one has a new successor, and no good one that would have
// to go in the same plan.
func TestASickOldWorkerIsNotHealedWhenNoOldOneIsToStay(t *testing.T) {
	f := settled(1, budget(1, 0), func(s *pool.Spec) { s.Update.Canary = &pool.Canary{} })
	f.Good = planner.Baseline{Hash: f.Pool.Target(), Revision: 1}
	f.retemplate()
	f.sicken("w1")
	for range 5 {
		for _, a := range f.step().Actions {
			require.False(t, a.Good, "%+v", a)
			require.True(t, a.WorkerID != "" || a.Kind == planner.Launch, "%+v", a)
		}
		f.passTime()
	}
}

// A canary that has had its last lease is replaced by another canary, and the old worker beside it stays
// although it serves nobody yet.
func TestAWornCanaryIsNotReplacedInThePlaceOfAnOldWorker(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	size, count, leases := int64(2), int64(1), int64(1)
	spec := pool.Default()
	spec.Name, spec.Size, spec.Worker.Command = "web", &size, []string{"serve"}
	spec.Update.MaxSurge, spec.Update.MaxUnavailable = pool.Amount{Value: 1}, pool.Amount{}
	spec.Update.Canary = &pool.Canary{Count: &count, Promote: pool.PromoteManual}
	spec.WorkerLimits.MaxLeases = &leases
	p := pool.Pool{Phase: pool.PhaseLive, Spec: spec, Restarts: 1, Generation: 2}
	old, life := pool.TemplateHash(spec, 0), now.Add(-time.Hour)
	result := planner.Plan(planner.World{
		Now: now, Pool: p, Good: planner.Baseline{Hash: old, Revision: 1},
		Operations: []pool.Operation{{ID: "op", Kind: pool.OperationRestart, Change: pool.ChangeRolling, Phase: pool.OperationRunning, CreatedAt: now}},
		Workers: []pool.Worker{
			{ID: "canary", State: pool.WorkerReady, Health: pool.Healthy, TemplateHash: p.Target(), CreatedAt: life, ReadyAt: life, HealthAt: life, Marks: pool.Marks{Leases: 1, Spent: true}},
			{ID: "old", State: pool.WorkerStarting, TemplateHash: old, CreatedAt: now},
		},
	})
	require.Len(t, result.Actions, 1, "%+v", result.Actions)
	require.Equal(t, planner.Launch, result.Actions[0].Kind)
	require.False(t, result.Actions[0].Good)
}

// Outside its window a rollout is as far as it was, whoever is replaced meanwhile: of the two that a person wants
// replaced, the old one has a good successor and the new one a new one.
func TestWornWorkersAreSucceededInTheirPlacesWhileTheRolloutIsHeld(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	size := int64(4)
	spec := pool.Default()
	spec.Name, spec.Size, spec.Worker.Command = "web", &size, []string{"serve"}
	spec.Update.MaxSurge, spec.Update.MaxUnavailable = pool.Amount{Value: 3}, pool.Amount{}
	spec.Update.Windows = []pool.Window{{Cron: "0 3 * * *", Duration: pool.Duration(time.Hour)}}
	p := pool.Pool{Phase: pool.PhaseLive, Spec: spec, Restarts: 1, Generation: 2}
	old, life := pool.TemplateHash(spec, 0), now.Add(-time.Hour)
	worker := func(id, hash string) pool.Worker {
		return pool.Worker{ID: id, State: pool.WorkerReady, Health: pool.Healthy, TemplateHash: hash, CreatedAt: life, ReadyAt: life, HealthAt: life}
	}
	result := planner.Plan(planner.World{
		Now: now, Pool: p, Good: planner.Baseline{Hash: old, Revision: 1},
		Operations: []pool.Operation{
			{ID: "op", Kind: pool.OperationRestart, Change: pool.ChangeRolling, Phase: pool.OperationRunning, CreatedAt: life},
			{ID: "drain old", Kind: pool.OperationDrain, WorkerID: "worn old", Phase: pool.OperationRunning, CreatedAt: now},
			{ID: "drain new", Kind: pool.OperationDrain, WorkerID: "worn new", Phase: pool.OperationRunning, CreatedAt: now},
		},
		Workers: []pool.Worker{worker("old", old), worker("worn old", old), worker("worn new", p.Target()), worker("new", p.Target())},
	})
	good := map[string]bool{}
	for _, a := range result.Actions {
		require.Equal(t, planner.Launch, a.Kind, "%+v", a)
		good[a.Replaces] = a.Good
	}
	require.Equal(t, map[string]bool{"worn old": true, "worn new": false}, good)
	require.Len(t, result.Actions, 2)
}

// The first successor that fails is followed at once, each next one after a longer wait.
func TestASuccessorOfAWornWorkerThatFailsIsLaunchedAgainAfterAWait(t *testing.T) {
	f := settled(2, budget(1, 0), canary(pool.Canary{Promote: pool.PromoteManual}))
	f.retemplate()
	f.run(habit{until: time.Minute})
	f.replace("w3")
	f.step()
	for _, wait := range []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second} {
		successor, began := f.Workers[len(f.Workers)-1], f.Now
		require.Equal(t, "w3", successor.Replaces)
		f.end(successor.ID)
		for f.step(); len(f.Workers) < 3; f.step() {
			f.passTime()
		}
		require.Equal(t, wait, f.Now.Sub(began))
	}
}
