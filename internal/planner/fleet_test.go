package planner_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// fleet is a pool whose workers do as they are told: the world that the real planner is run against.
type fleet struct {
	planner.World
	dice  *rand.Rand          // who moves first, and who moves at all before the next plan
	specs map[int64]pool.Spec // by revision
	ids   int
	at    map[string]int // where workers were found, by id
	ended []pool.Worker
	log   strings.Builder
	// counted were asked for their active jobs and have not answered yet.
	counted []string
	jobs    map[string]int // active jobs, by worker id
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// newFleet is a pool being created, with the given changes of the default spec.
func newFleet(size int64, changes ...func(*pool.Spec)) *fleet {
	spec := pool.Default()
	spec.Name, spec.Size, spec.Worker.Command = "web", &size, []string{"serve", "1"}
	spec.Health.HTTP = &pool.HTTPProbe{}
	for _, change := range changes {
		change(&spec)
	}
	f := &fleet{World: planner.World{Now: start, Contracts: map[string]pool.Spec{}}, dice: rand.New(rand.NewPCG(1, 2))}
	f.Pool = pool.Pool{UID: "p_1", Name: "web", Phase: pool.PhaseCreating, Spec: spec, Revision: 1}
	f.specs = map[int64]pool.Spec{1: spec}
	f.ask(pool.Operation{Kind: pool.OperationCreate, Change: pool.ChangeNone}, func(*pool.Pool) {})
	return f
}

// settled is a live pool with all workers available.
func settled(size int64, changes ...func(*pool.Spec)) *fleet {
	f := newFleet(size, changes...)
	f.settle()
	f.log.Reset()
	return f
}

// settle lets a pool be created.
func (f *fleet) settle() {
	for range 1000 {
		f.step()
		f.readyAll()
		f.endAll()
		if f.step(); len(f.Operations) == 0 {
			return
		}
		f.passTime()
	}
	panic("a pool without faults does not get settled:\n" + f.log.String())
}

// step plans once and does what is planned.
func (f *fleet) step() planner.Result {
	r := planner.Plan(f.World)
	f.apply(r)
	return r
}

// apply does what a result says.
func (f *fleet) apply(r planner.Result) {
	filled := map[string]bool{}
	for _, a := range r.Actions {
		f.do(a)
		filled[a.Replaces] = true
	}
	f.Vacancies = slices.DeleteFunc(f.Vacancies, func(v planner.Vacancy) bool { return filled[v.Worker.ID] })
	for _, t := range r.Turns {
		f.turn(t)
	}
	for _, p := range r.Progress {
		o := f.operation(p.OperationID)
		o.Remaining, o.Deadline = p.Remaining, p.Deadline
	}
	if r.Converged && f.Pool.Phase == pool.PhaseCreating {
		f.Pool.Phase = pool.PhaseLive
	}
	for _, o := range r.Outcomes {
		f.outcome(o)
	}
}

func (f *fleet) operation(id string) *pool.Operation {
	return &f.Operations[slices.IndexFunc(f.Operations, func(o pool.Operation) bool { return o.ID == id })]
}

func (f *fleet) turn(t planner.Turn) {
	o := f.operation(t.OperationID)
	switch {
	case t.Promoted && !o.Promoted:
		f.note("%s: its canary is good", o.ID)
	case t.Phase != o.Phase || t.Reason != o.Reason:
		f.note("%s %s", o.ID, told(t.Phase, t.Reason))
	}
	o.Phase, o.Reason, o.Promoted, o.CanarySince = t.Phase, t.Reason, t.Promoted, t.CanarySince
}

func told(phase pool.OperationPhase, reason string) string {
	return strings.TrimSuffix(string(phase)+": "+reason, ": ")
}

// outcome ends an operation, or has it wait or go back.
func (f *fleet) outcome(out planner.Outcome) {
	f.note("%s %s", out.OperationID, told(out.Phase, out.Reason))
	o := f.operation(out.OperationID)
	switch {
	case out.Phase == pool.OperationReverting:
		o.Reason = out.Reason
		f.goBack(o)
		return
	case !out.Phase.Ended():
		o.Phase, o.Reason = out.Phase, out.Reason
		return
	case out.Phase == pool.OperationSucceeded && (o.Kind == pool.OperationCreate || o.Change == pool.ChangeRolling):
		f.good(f.Pool.Revision, f.Pool.Restarts)
	}
	f.Operations = slices.DeleteFunc(f.Operations, func(o pool.Operation) bool { return o.ID == out.OperationID })
}

// snapshot is a copy of the world that later steps do not change.
func (f *fleet) snapshot() planner.World {
	w := f.World
	w.Workers, w.Vacancies, w.Operations = slices.Clone(w.Workers), slices.Clone(w.Vacancies), slices.Clone(w.Operations)
	return w
}

func (f *fleet) do(a planner.Action) {
	switch a.Kind {
	case planner.Launch:
		f.ids++
		hash, from := f.Pool.Target(), ""
		if a.Good {
			hash, from = f.Good.Hash, " of the good template"
			if _, known := f.Contracts[hash]; !known && hash != f.Pool.Target() {
				f.Contracts = maps.Clone(f.Contracts)
				f.Contracts[hash] = f.specs[f.Pool.Good.Revision]
			}
		}
		f.note("launch w%d%s, because %s", f.ids, from, a.Reason)
		f.Workers = append(f.Workers, pool.Worker{
			ID: fmt.Sprintf("w%d", f.ids), Instance: pool.Instance{PID: f.ids}, State: pool.WorkerStarting, Health: pool.HealthUnknown, TemplateHash: hash,
			Replaces: a.Replaces, Attempt: a.Attempt, CreatedAt: f.Now, StartedAt: f.Now,
		})
	case planner.Drain:
		w := f.worker(a.WorkerID)
		w.State, w.DrainingAt, w.DrainBy, w.DrainCause = pool.WorkerDraining, f.Now, a.DrainBy, a.Cause
		f.note("drain %s, because %s", a.WorkerID, a.Reason)
	case planner.Stop:
		w := f.worker(a.WorkerID)
		w.State, w.StoppingAt, w.KillAt, w.DrainCause = pool.WorkerStopping, f.Now, a.KillAt, a.Cause
		f.note("stop %s, kill it %s later, because %s", a.WorkerID, a.KillAt.Sub(f.Now), a.Reason)
		if a.Revokes {
			w.Leased = 0
		}
	case planner.Hook:
		f.note("tell %s, because %s", a.WorkerID, a.Reason)
	case planner.Count:
		f.counted = append(f.counted, a.WorkerID)
	case planner.Kill:
		f.note("kill %s, because %s", a.WorkerID, a.Reason)
	case planner.Destroy:
		f.note("close the pool, because %s", a.Reason)
		f.Pool.Phase = pool.PhaseDestroyed
	}
}

func (f *fleet) lives(id string) bool {
	return slices.ContainsFunc(f.Workers, func(w pool.Worker) bool { return w.ID == id })
}

func (f *fleet) worker(id string) *pool.Worker {
	if i, known := f.at[id]; known && i < len(f.Workers) && f.Workers[i].ID == id {
		return &f.Workers[i]
	}
	f.at = make(map[string]int, len(f.Workers))
	for i, w := range f.Workers {
		f.at[w.ID] = i
	}
	if i, known := f.at[id]; known {
		return &f.Workers[i]
	}
	panic("no worker " + id)
}

func (f *fleet) ready(id string) {
	w := f.worker(id)
	if w.State == pool.WorkerStarting {
		w.State, w.Health, w.HealthAt, w.ReadyAt = pool.WorkerReady, pool.Healthy, f.Now, f.Now
		f.note("%s is ready", id)
	}
}

func (f *fleet) sicken(id string) {
	w := f.worker(id)
	w.Health, w.HealthAt, w.HealthReason = pool.Unhealthy, f.Now, "status 500"
	f.note("%s is sick", id)
}

func (f *fleet) recover(id string) {
	w := f.worker(id)
	w.Health, w.HealthAt, w.HealthReason, w.ReadyAt = pool.Healthy, f.Now, "", f.Now
	f.note("%s is well again", id)
}

// end is an instance's end: of a condemned worker as told, of another as a failure.
func (f *fleet) end(id string) {
	w := *f.worker(id)
	f.Workers = slices.DeleteFunc(slices.Clone(f.Workers), func(o pool.Worker) bool { return o.ID == id })
	w.EndedAt = f.Now
	if w.State == pool.WorkerStopping {
		w.State = pool.WorkerStopped
	} else {
		w.State, w.Reason = pool.WorkerFailed, "exited with code 1"
		f.Vacancies = append(f.Vacancies, planner.Vacancy{Worker: w})
	}
	f.note("%s has %s", id, w.State)
	f.ended = append(f.ended, w)
}

// lease lets a scheduler claim a slot, as the store would: only of a worker in service.
func (f *fleet) lease(id string) {
	w := f.worker(id)
	if !w.Leasable() {
		return
	}
	w.Leased++
	w.Leases++
	most := f.Pool.Spec.WorkerLimits.MaxLeases
	w.Spent = most != nil && w.Leases >= *most
	f.note("%s is leased", id)
}

func (f *fleet) release(id string) {
	if w := f.worker(id); w.Leased > 0 {
		w.Leased--
		f.note("%s is released", id)
	}
}

// hooked is a drain hook's answer.
func (f *fleet) hooked(id string) {
	if w := f.worker(id); w.State == pool.WorkerDraining && w.HookedAt.IsZero() {
		w.HookedAt = f.Now
		f.note("%s has heard that it drains", id)
	}
}

// answer lets all who were asked for their active jobs tell them.
func (f *fleet) answer() {
	f.Readings = maps.Clone(f.Readings) // plans of earlier moments keep theirs
	if f.Readings == nil {
		f.Readings = map[string]planner.Reading{}
	}
	for _, id := range f.counted {
		i := slices.IndexFunc(f.Workers, func(w pool.Worker) bool { return w.ID == id })
		reading := planner.Reading{AskedAt: f.Now, Draining: i >= 0 && f.Workers[i].State == pool.WorkerDraining}
		if n := f.jobs[id]; n > 0 {
			reading.Busy = fmt.Sprintf("%d active jobs", n)
		}
		f.Readings[id] = reading
	}
	f.counted = nil
}

func (f *fleet) readyAll() {
	for _, w := range f.Workers {
		f.ready(w.ID)
	}
}

// endAll ends everything that is condemned.
func (f *fleet) endAll() {
	for _, w := range slices.Clone(f.Workers) {
		if w.State == pool.WorkerStopping {
			f.end(w.ID)
		}
	}
}

// passTime goes to the moment that the planner names, if it names one.
func (f *fleet) passTime() {
	if next := planner.Plan(f.World).Next; !next.IsZero() {
		f.Now = next
	}
}

func (f *fleet) available() int {
	return number(f.Workers, func(w pool.Worker) bool { return available(f.World, w) })
}

func (f *fleet) note(format string, args ...any) {
	fmt.Fprintf(&f.log, "+%s "+format+"\n", append([]any{f.Now.Sub(start)}, args...)...)
}
