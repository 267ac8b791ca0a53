package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// usualStartUp is how long a worker is taken to start as long as none of its pool has been seen to.
const usualStartUp = time.Second

// Foresee says what a Put of the spec would do, and does nothing.
func (m *Manager) Foresee(ctx context.Context, spec pool.Spec) (api.Plan, error) {
	if err := pool.Validate(spec, nil); err != nil {
		return api.Plan{}, invalid(err)
	}
	if err := within(scopeOf(ctx), spec); err != nil {
		return api.Plan{}, err
	}
	proposed := m.propose(ctx, spec)
	spec = proposed.spec
	now := m.config.Now()
	var f foresight
	err := m.config.Store.View(ctx, func(r store.Reader) error {
		p, err := r.PoolByName(spec.Name)
		if errors.Is(err, store.ErrNotFound) {
			f = creation(spec, now)
			return invalid(pool.ValidateCreation(spec, nil))
		}
		if err != nil {
			return err
		}
		if _, err := m.judgeSecrets(r, p.UID, spec.Worker.SecretVersion(), proposed.secrets); err != nil {
			return err
		}
		f, err = m.changeOf(r, p, placed(spec, p), now)
		return err
	})
	if err == nil && len(proposed.unfit) > 0 && (f.plan.Action == api.PlanCreate || f.plan.Change == pool.ChangeRolling) {
		err = invalid(proposed.unfit)
	}
	if err != nil {
		return api.Plan{}, err
	}
	if f.plan.Action != api.PlanReplace {
		tell(&f.plan, planner.Foresee(f.world, f.startUp, func() bool { return ctx.Err() != nil }))
	}
	return f.plan, ctx.Err()
}

// ForeseePatch says what a Patch of a pool would do, and does nothing.
func (m *Manager) ForeseePatch(ctx context.Context, ref string, patch []byte) (api.Plan, error) {
	var p pool.Pool
	err := m.config.Store.View(ctx, func(r store.Reader) (err error) {
		if p, err = find(r, ref); err == nil {
			err = notDeleting(r, p)
		}
		return err
	})
	if err != nil {
		return api.Plan{}, err
	}
	spec, err := pool.Patch(p.Spec, patch)
	if err != nil {
		return api.Plan{}, invalid(err)
	}
	if spec.Name != p.Name {
		return api.Plan{Action: api.PlanReplace, Change: pool.ChangeReplace, Changes: pool.Changes(p.Spec, spec)}, nil
	}
	return m.Foresee(ctx, spec)
}

// foresight is what a forecast begins with: what is told of the change itself, and the world in which it is
// asked for. The forecast takes its time, in which no view of the store is kept.
type foresight struct {
	plan    api.Plan
	world   planner.World
	startUp time.Duration
}

func creation(spec pool.Spec, now time.Time) foresight {
	return foresight{
		plan: api.Plan{Action: api.PlanCreate, Change: pool.ChangeNone, Changes: []pool.FieldChange{}},
		world: planner.World{
			Now: now, Pool: pool.Pool{Name: spec.Name, Phase: pool.PhaseCreating, Spec: spec, Count: spec.Start(), Revision: 1, Generation: 1},
			Operations: []pool.Operation{{ID: "op", Kind: pool.OperationCreate, Phase: pool.OperationRunning, CreatedAt: now}},
		},
		startUp: usualStartUp,
	}
}

func (m *Manager) changeOf(r store.Reader, p pool.Pool, spec pool.Spec, now time.Time) (foresight, error) {
	if err := notDeleting(r, p); err != nil {
		return foresight{}, err
	}
	plan := api.Plan{Action: api.PlanUpdate, Changes: pool.Changes(p.Spec, spec), Change: pool.ChangeOf(p.Spec, spec)}
	switch {
	case plan.Change == pool.ChangeReplace:
		plan.Action = api.PlanReplace
		return foresight{plan: plan}, nil
	case len(plan.Changes) == 0:
		plan.Action, plan.Changes = api.PlanNone, []pool.FieldChange{}
	}
	world, startUp, err := m.worldOf(r, p, now)
	if err != nil {
		return foresight{}, err
	}
	if plan.Change != pool.ChangeRolling {
		world.Contracts = nil // living workers follow
	}
	world.Pool.Respec(spec)
	if plan.Action == api.PlanUpdate {
		o := pool.Operation{ID: "op", Kind: pool.OperationUpdate, Change: plan.Change, Phase: pool.OperationRunning, CreatedAt: now}
		world.Operations = slices.DeleteFunc(world.Operations, func(older pool.Operation) bool { return takesOver(o, older) })
		world.Operations = append(world.Operations, o)
	}
	return foresight{plan, world, startUp}, nil
}

// worldOf is a pool's world as its records have it, and how long its workers take to start.
func (m *Manager) worldOf(r store.Reader, p pool.Pool, now time.Time) (w planner.World, startUp time.Duration, err error) {
	w = planner.World{Now: now, Pool: p}
	if w.Operations, err = r.RunningOperations(p.UID); err != nil {
		return w, 0, err
	}
	if w.Workers, err = r.Workers(p.UID); err != nil {
		return w, 0, err
	}
	w.Contracts = map[string]pool.Spec{p.Target(): p.Spec} // of whom a rollout takes out of service
	if err := contractsOf(r, p, w.Workers, w.Contracts); err != nil {
		return w, 0, err
	}
	if p.Good.Revision > 0 {
		good, err := r.Revision(p.UID, p.Good.Revision)
		if err != nil {
			return w, 0, err
		}
		w.Good = planner.Baseline{Hash: pool.TemplateHash(good.Spec, p.Good.Restarts), Revision: good.Number}
	}
	return w, startUpOf(w.Workers), nil
}

// startUpOf is the longest that one of the workers took to become ready.
func startUpOf(workers []pool.Worker) (slowest time.Duration) {
	for _, w := range workers {
		slowest = max(slowest, w.StartUp.Std())
	}
	return cmp.Or(slowest, usualStartUp)
}

// tell puts a forecast into a plan.
func tell(plan *api.Plan, f planner.Forecast) {
	plan.Waves, plan.WorstTime, plan.Waits = []api.Wave{}, pool.Duration(f.Worst.Round(time.Second)), f.Waits
	for _, w := range f.Waves {
		wave := api.Wave{After: pool.Duration(w.After.Round(time.Second)), Launches: w.Launches, Drains: []api.Victim{}}
		for _, v := range w.Drains {
			wave.Drains = append(wave.Drains, api.Victim{WorkerID: v.WorkerID, Reason: v.Reason})
		}
		plan.Launches += w.Launches
		plan.Drains += len(w.Drains)
		plan.Waves = append(plan.Waves, wave)
	}
}
