package planner_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// What is asked of a fleet's pool is taken in as the manager takes it in, as far as a plan can see it.

// ask makes a generation, and the operation that is to reach it.
func (f *fleet) ask(o pool.Operation, change func(*pool.Pool)) {
	former := f.Pool
	inherits := o.Change != pool.ChangeRolling && former.Good.Revision == former.Revision && former.Revision > 0
	change(&f.Pool)
	f.Pool.Generation++
	if o.Change != pool.ChangeNone && o.Kind != pool.OperationRestart {
		f.Pool.Revision++
	}
	o.ID, o.Phase, o.Generation, o.CreatedAt = fmt.Sprintf("op_%d", f.Pool.Generation), pool.OperationRunning, f.Pool.Generation, f.Now
	f.Operations = slices.DeleteFunc(slices.Clone(f.Operations), func(older pool.Operation) bool { return takesOver(o, older) })
	for i := range f.Operations {
		f.Operations[i].Deadline = time.Time{}
	}
	if f.Pool.Paused {
		o.Phase, o.Reason = pool.OperationPaused, "the pool is paused"
	}
	f.Operations = append(f.Operations, o)
	f.note("%s asks for: %s", o.ID, asked(o))
	f.respecced(former)
	if inherits {
		f.good(f.Pool.Revision, f.Pool.Good.Restarts)
	}
}

func asked(o pool.Operation) string {
	text := string(o.Kind)
	if o.WorkerID != "" {
		text += " of " + o.WorkerID
	}
	if o.Change != pool.ChangeNone {
		text += ", " + string(o.Change)
	}
	if o.Force {
		text += ", by force"
	}
	return text
}

// takesOver says whether one operation does all that an older one is for.
func takesOver(by, older pool.Operation) bool {
	switch {
	case by.Kind == pool.OperationDelete, by.Change == pool.ChangeRolling:
		return true
	case older.Kind == pool.OperationCreate, older.Change == pool.ChangeRolling, by.Kind == pool.OperationDrain, older.WorkerID != "":
		return false
	}
	return by.Kind == older.Kind && (by.Kind == pool.OperationResize || by.Change == pool.ChangeNone)
}

// respecced has workers of a former template go on under its contract, and those of the newest template under
// the newest one; whom a changed check found sick is to be looked at again.
func (f *fleet) respecced(former pool.Pool) {
	f.specs[f.Pool.Revision] = f.Pool.Spec
	f.Contracts = maps.Clone(f.Contracts) // plans of earlier moments keep theirs
	f.Contracts[former.Target()] = former.Spec
	delete(f.Contracts, f.Pool.Target())
	if f.Pool.Target() != former.Target() || reflect.DeepEqual(f.Pool.Spec.Health, former.Spec.Health) {
		return
	}
	f.Workers = slices.Clone(f.Workers)
	for i := range f.Workers {
		if w := &f.Workers[i]; w.TemplateHash == f.Pool.Target() && w.Health == pool.Unhealthy {
			w.Health, w.HealthAt, w.HealthReason = pool.HealthUnknown, f.Now, "its check was changed"
		}
	}
}

// good notes the template that a failed rollout returns to.
func (f *fleet) good(revision, restarts int64) {
	f.Pool.Good = pool.Template{Revision: revision, Restarts: restarts}
	f.Good = planner.Baseline{Hash: pool.TemplateHash(f.specs[revision], restarts), Revision: revision}
}

// respec asks for changes of the spec.
func (f *fleet) respec(changes ...func(*pool.Spec)) {
	spec := f.Pool.Spec
	for _, change := range changes {
		change(&spec)
	}
	kind, hardest := pool.OperationUpdate, pool.ChangeOf(f.Pool.Spec, spec)
	if hardest != pool.ChangeRolling && *spec.Size != *f.Pool.Spec.Size {
		kind = pool.OperationResize
	}
	f.ask(pool.Operation{Kind: kind, Change: hardest}, func(p *pool.Pool) { p.Spec = spec })
}

func (f *fleet) resize(size int64) {
	f.ask(pool.Operation{Kind: pool.OperationResize, Change: pool.ChangeHot}, func(p *pool.Pool) { p.Spec.Size = &size })
}

// retemplate asks for another command, and for what else is to change with it.
func (f *fleet) retemplate(others ...func(*pool.Spec)) {
	f.respec(append(others, func(s *pool.Spec) { s.Worker.Command = []string{"serve", fmt.Sprint(f.Pool.Revision + 1)} })...)
}

func (f *fleet) restart() {
	f.ask(pool.Operation{Kind: pool.OperationRestart, Change: pool.ChangeRolling}, func(p *pool.Pool) { p.Restarts++ })
}

// revert asks for the template and the contract of an earlier revision.
func (f *fleet) revert(revision int64) {
	spec := f.Pool.Spec.WithTemplateOf(f.specs[revision])
	f.ask(pool.Operation{Kind: pool.OperationRevert, Change: pool.ChangeOf(f.Pool.Spec, spec)}, func(p *pool.Pool) { p.Spec = spec })
}

// replace asks that a worker be replaced, takeOut that it go and the pool be smaller by one.
func (f *fleet) replace(id string) {
	f.ask(pool.Operation{Kind: pool.OperationDrain, Change: pool.ChangeNone, WorkerID: id}, func(*pool.Pool) {})
}

func (f *fleet) takeOut(id string) {
	size := int64(f.Pool.Desired() - 1)
	f.ask(pool.Operation{Kind: pool.OperationResize, Change: pool.ChangeHot, WorkerID: id}, func(p *pool.Pool) { p.Spec.Size = &size })
}

func (f *fleet) destroy(force bool) {
	f.ask(pool.Operation{Kind: pool.OperationDelete, Change: pool.ChangeNone, Force: force}, func(p *pool.Pool) {
		p.Phase, p.Paused = pool.PhaseDeleting, false
	})
}

func (f *fleet) pause() {
	f.note("the pool is paused")
	f.Pool.Paused = true
	f.steer(func(o *pool.Operation) {
		if o.Phase == pool.OperationRunning || o.Phase == pool.OperationAwaiting {
			o.Phase, o.Reason = pool.OperationPaused, "paused by root"
		}
	})
}

func (f *fleet) resume() {
	f.note("the pool goes on")
	f.Pool.Paused = false
	f.steer(func(o *pool.Operation) {
		o.Deadline = time.Time{}
		if o.Phase == pool.OperationPaused {
			o.Phase, o.Reason = pool.OperationRunning, ""
		}
	})
}

func (f *fleet) steer(change func(*pool.Operation)) {
	for i := range f.Operations {
		change(&f.Operations[i])
	}
}

// rollout is the rollout that the pool is in; nil if it is in none.
func (f *fleet) rollout() (newest *pool.Operation) {
	for i := range f.Operations {
		if f.Operations[i].Change == pool.ChangeRolling {
			newest = &f.Operations[i]
		}
	}
	return newest
}

// promote has the rest follow the canary, if there is one.
func (f *fleet) promote() {
	o := f.rollout()
	if o == nil || f.Pool.Spec.Update.Canary == nil || o.Phase == pool.OperationReverting {
		return
	}
	f.note("%s is promoted", o.ID)
	o.Promoted = true
	if o.Phase == pool.OperationAwaiting {
		o.Phase, o.Reason = pool.OperationRunning, ""
	}
}

// abort has a rollout go back, if there is anything to go back to.
func (f *fleet) abort() {
	o := f.rollout()
	if o == nil || o.Phase == pool.OperationReverting || f.Pool.Good.Revision == 0 {
		return
	}
	f.note("%s is aborted", o.ID)
	o.Aborted, o.Reason = true, "aborted by root"
	f.goBack(o)
}

// goBack gives the pool the last good template and contract again, and has the operation that failed bring it
// there.
func (f *fleet) goBack(o *pool.Operation) {
	former := f.Pool
	f.Pool.Spec = former.Spec.WithTemplateOf(f.specs[former.Good.Revision])
	f.Pool.Restarts = former.Good.Restarts
	f.Pool.Revision++
	f.Pool.Generation++
	o.Phase, o.Deadline, o.Generation = pool.OperationReverting, time.Time{}, f.Pool.Generation
	f.respecced(former)
	f.good(f.Pool.Revision, f.Pool.Restarts)
}

// extend gives a draining worker more time.
func (f *fleet) extend(id string, more time.Duration) {
	w := f.worker(id)
	for _, t := range []time.Time{w.DrainBy, f.Since.Add(w.DrainBy.Sub(w.DrainingAt)), f.Now} {
		if t.After(w.ExtendedTo) {
			w.ExtendedTo = t
		}
	}
	w.ExtendedTo = w.ExtendedTo.Add(more)
	f.note("%s may drain for %s more", id, more)
}
