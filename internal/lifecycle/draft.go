package lifecycle

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/autoscale"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// authorController is the author of what the manager does by itself.
const authorController = "system:controller"

// state is what a controller knows of its pool: the newest committed records.
type state struct {
	pool        pool.Pool
	operations  []pool.Operation // running, oldest first
	workers     []pool.Worker    // not ended, oldest first
	vacancies   []planner.Vacancy
	since       time.Time              // when this manager began to watch the pool
	early       map[string]fact        // ends that were told before their worker's launch, by its id
	unswept     map[string]pool.Worker // ended by themselves or never launched; what may run of them is yet to be ended, by id
	unsignalled map[string]bool        // condemned workers that their signal has not reached yet, by id
	cleaning    time.Time              // since when the clean-up of what is left outside the store is tried
	cleaned     bool                   // nothing of the pool is left outside the store
	remnant     string                 // why the last clean-up did not work
	strangers   []runtime.Found        // foreign instances of the pool, which nobody but a person may stop
	// contracts are the specs that workers are treated by, by their template's hash: the newest with that template.
	contracts map[string]pool.Spec
	hashes    hashes                     // of its templates
	good      *pool.Revision             // what a failed rollout returns to; nil if none is known
	readings  map[string]planner.Reading // of active jobs, by worker id
	holders   map[string]string          // of leases on draining workers, by worker id
	waiting   int                        // claims that an autoscaled pool is to grow for
	passed    bool                       // claims by its labels wait that another pool grows for
	demanded  autoscale.Memory           // what an autoscaled pool's leases asked for lately
}

// draft is the next state in the making, with what is to be recorded and done for it.
type draft struct {
	state
	now       time.Time
	target    string // template hash that new workers have
	newID     func() string
	at        map[string]int  // index of each worker by its id
	changed   map[string]bool // ids of workers to record
	ended     []pool.Worker
	closed    []pool.Operation // operations that ended, or whose progress changed
	revision  *pool.Revision   // the newest one, if it is to be recorded
	poolMoved bool
	events    []pool.Event
	effects   []effect
	next      time.Time
	rescale   time.Time           // when time alone makes an autoscaled pool decide anew
	culprits  map[string][]string // workers whose logs go with a failed operation, by its id
	idle      []string            // workers that drain because they have no work
	opened    bool                // a worker takes leases that took none before, or more of them
	revoked   []string            // workers that are stopped although leases may be held on them
	late      []string            // workers that are killed because their drain is over
	leases    []pool.Lease        // those that got a slot, or ended
}

func newDraft(s state, now time.Time, newID func() string) *draft {
	d := &draft{state: s, now: now, newID: newID, changed: map[string]bool{}, culprits: map[string][]string{}}
	d.operations = slices.Clone(s.operations)
	d.workers = slices.Clone(s.workers)
	d.vacancies = slices.Clone(s.vacancies)
	d.early, d.unswept, d.unsignalled = maps.Clone(s.early), maps.Clone(s.unswept), maps.Clone(s.unsignalled)
	d.readings = maps.Clone(s.readings)
	d.number()
	return d
}

func (d *draft) number() {
	d.at = make(map[string]int, len(d.workers))
	for i, w := range d.workers {
		d.at[w.ID] = i
	}
}

// index finds a worker that has not ended; -1 if there is none.
func (d *draft) index(workerID string) int {
	i, ok := d.at[workerID]
	if !ok || d.workers[i].State.Ended() {
		return -1
	}
	return i
}

// plan asks the planner and takes in what it decides.
func (d *draft) plan(decide func(planner.World) planner.Result) {
	d.workers = slices.DeleteFunc(d.workers, func(w pool.Worker) bool { return w.State.Ended() })
	d.number()
	d.forgetVacancies()
	d.target = d.state.target()
	d.unprobed()
	d.acquit()
	d.open()
	d.scale()
	contracts := maps.Clone(d.contracts)
	delete(contracts, d.target) // it is the pool's own
	r := decide(planner.World{
		Now:        d.now,
		Since:      d.since,
		Pool:       d.pool,
		Target:     d.target,
		Operations: d.operations,
		Workers:    d.workers,
		Vacancies:  d.vacancies,
		Contracts:  contracts,
		Good:       d.baseline(),
		Readings:   d.readings,
		Holders:    d.holders,
	})
	d.next = soonest(r.Next, d.rescale)
	d.sweep()
	d.resignal()
	d.fill(r.Actions)
	destroyed := true
	for _, a := range r.Actions {
		destroyed = d.act(a) && destroyed
	}
	if !destroyed {
		return // the outcome has to wait for the clean-up
	}
	for _, t := range r.Turns {
		d.turn(t)
	}
	for _, p := range r.Progress {
		d.progress(p)
	}
	d.scaled(r.Converged)
	d.converged(r.Converged)
	for _, o := range r.Outcomes {
		d.outcome(o)
	}
}

// sweep asks, until it is done, for the end of whatever ended workers left running.
func (d *draft) sweep() {
	for _, w := range d.workers {
		if w.State == pool.WorkerStopping && w.Exit != nil {
			d.effect(effect{kind: effectSweep, worker: w})
		}
	}
	for _, w := range d.unswept {
		d.effect(effect{kind: effectSweep, worker: w})
	}
}

// resignal signals those again, until it works, whom their signal has not reached: not all of them are killed
// later.
func (d *draft) resignal() {
	for _, id := range slices.Sorted(maps.Keys(d.unsignalled)) {
		i := d.index(id)
		if i < 0 || d.workers[i].State != pool.WorkerStopping || d.workers[i].Exit != nil {
			delete(d.unsignalled, id)
			continue
		}
		d.effect(effect{kind: effectAgain, worker: d.workers[i], contract: d.contract(&d.workers[i])})
	}
}

// sweepTime is how long a destroy waits for the end of what failed workers left running, and for its clean-up.
const sweepTime = 30 * time.Second

func (d *draft) sweeping() bool {
	for _, w := range d.unswept {
		if d.now.Sub(later(w.EndedAt, d.since)) < sweepTime {
			return true
		}
	}
	return false
}

// dirty says that a clean-up has to be tried, or tried again.
func (d *draft) dirty() bool {
	if d.cleaning.IsZero() {
		d.cleaning = d.now
	}
	return !d.cleaned && (d.remnant == "" || d.now.Sub(d.cleaning) < sweepTime)
}

// remains names what could not be removed in time: of workers, what they left running; of the pool, its logs.
func (d *draft) remains() (text string) {
	for _, id := range slices.Sorted(maps.Keys(d.unswept)) {
		text += fmt.Sprintf("; what worker %s (pid %d) left running could not be ended", id, d.unswept[id].Instance.PID)
	}
	if !d.cleaned {
		text += "; its logs could not be removed: " + d.remnant
	}
	for _, f := range d.strangers {
		text += fmt.Sprintf("; an instance that the store does not know runs on (worker %s, pid %d)", f.WorkerID, f.Instance.PID)
	}
	return text
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// act takes in one action; false if the pool still has to be cleaned up before it can be closed.
func (d *draft) act(a planner.Action) bool {
	switch a.Kind {
	case planner.Launch:
		d.launch(a)
	case planner.Destroy:
		if d.sweeping() {
			return false
		}
		if d.dirty() {
			d.effect(effect{kind: effectClean})
			return false
		}
		d.pool.Phase, d.poolMoved = pool.PhaseDestroyed, true
		d.note(pool.EventPoolDestroyed, "", "destroyed: "+a.Reason+d.remains())
	default:
		d.move(&d.workers[d.index(a.WorkerID)], a)
	}
	return true
}

// launch journals a worker; it is started once the journal is written.
func (d *draft) launch(a planner.Action) {
	revision, hash, spec := d.pool.Revision, d.target, d.pool.Spec
	if a.Good {
		revision, hash, spec = d.good.Number, d.baseline().Hash, d.good.Spec
		if _, known := d.contracts[hash]; !known {
			d.contracts[hash] = spec // nobody else has it any more
		}
	}
	w := pool.Worker{
		ID:           d.newID(),
		PoolUID:      d.pool.UID,
		State:        pool.WorkerPending,
		Health:       pool.HealthUnknown,
		Revision:     revision,
		TemplateHash: hash,
		Slots:        spec.Leases.Slots,
		Replaces:     a.Replaces,
		Attempt:      a.Attempt,
		Reason:       a.Reason,
		CreatedAt:    d.now,
	}
	d.at[w.ID] = len(d.workers)
	d.workers = append(d.workers, w)
	d.changed[w.ID] = true
	d.note(pool.EventWorkerLaunching, w.ID, "launching: "+a.Reason)
	d.effect(effect{kind: effectLaunch, worker: w, template: spec.Worker})
}

// move takes a worker one step further out of service.
func (d *draft) move(w *pool.Worker, a planner.Action) {
	contract := d.contract(w)
	switch a.Kind {
	case planner.Kill:
		if w.Instance.PID != 0 && w.Exit == nil {
			d.effect(effect{kind: effectKill, worker: *w})
			if a.Late {
				d.late = append(d.late, w.ID)
			}
		}
	case planner.Hook:
		d.effect(effect{kind: effectHook, worker: *w, contract: contract})
	case planner.Count:
		d.effect(effect{kind: effectCount, worker: *w, contract: contract})
	case planner.Drain:
		w.State, w.DrainingAt, w.DrainBy, w.DrainCause, w.Reason = pool.WorkerDraining, d.now, a.DrainBy, a.Cause, a.Reason
		d.changed[w.ID] = true
		if a.Idle {
			d.idle = append(d.idle, w.ID)
		}
		d.note(pool.EventWorkerDraining, w.ID, "draining: "+a.Reason)
	case planner.Stop:
		w.State, w.StoppingAt, w.KillAt, w.DrainCause, w.Reason = pool.WorkerStopping, d.now, a.KillAt, a.Cause, a.Reason
		d.changed[w.ID] = true
		if a.Revokes {
			d.revoked = append(d.revoked, w.ID)
		}
		d.note(pool.EventWorkerStopping, w.ID, "stopping: "+a.Reason)
		if w.Instance.PID != 0 {
			d.effect(effect{kind: effectSignal, worker: *w, contract: contract})
		}
	}
}

// contract is the spec that a worker is treated by.
func (d *draft) contract(w *pool.Worker) pool.Spec {
	if spec, other := d.contracts[w.TemplateHash]; other && w.TemplateHash != d.target {
		return spec
	}
	return d.pool.Spec
}

// open lets workers of the newest template take as many leases as the newest contract says.
func (d *draft) open() {
	for i := range d.workers {
		w := &d.workers[i]
		if slots := d.pool.Spec.Leases.Slots; w.TemplateHash == d.target && w.Slots != slots && !w.State.Leaving() {
			w.Slots, d.changed[w.ID], d.opened = slots, true, true
		}
	}
}

func (d *draft) operation(id string) int {
	return slices.IndexFunc(d.operations, func(o pool.Operation) bool { return o.ID == id })
}

func (d *draft) progress(p planner.Progress) {
	i := d.operation(p.OperationID)
	d.operations[i].Remaining, d.operations[i].Deadline = p.Remaining, p.Deadline
	d.closed = append(d.closed, d.operations[i])
}

// converged notes that the newest generation is reached, once for each.
func (d *draft) converged(yes bool) {
	if !yes || d.pool.ConvergedGeneration == d.pool.Generation {
		return
	}
	d.pool.ConvergedGeneration, d.poolMoved = d.pool.Generation, true
	switch d.pool.Phase {
	case pool.PhaseCreating:
		d.pool.Phase = pool.PhaseLive
		d.note(pool.EventPoolInitialized, "", "initialized: all workers are available")
	case pool.PhaseLive:
		d.note(pool.EventPoolConverged, "", "converged")
	}
}

func (d *draft) outcome(out planner.Outcome) {
	i := d.operation(out.OperationID)
	o := d.operations[i]
	if !out.Phase.Ended() {
		d.falter(i, out)
		return
	}
	o.Phase, o.Reason, o.EndedAt = out.Phase, out.Reason, d.now
	if out.Phase == pool.OperationSucceeded && rolls(o) {
		d.pool.Good, d.poolMoved = pool.Template{Revision: d.pool.Revision, Restarts: d.pool.Restarts}, true
	}
	if d.pool.Phase == pool.PhaseDestroyed && o.Reason == "" {
		o.Reason = strings.TrimPrefix(d.remains(), "; ") // it is done, and this is left
	}
	d.operations = slices.Delete(d.operations, i, i+1)
	d.closed = append(d.closed, o)
	if len(out.Culprits) > 0 {
		d.culprits[o.ID] = out.Culprits
	}
	kind, text := pool.EventOperationEnded, string(o.Kind)+" "+string(o.Phase)
	if o.Phase == pool.OperationFailed {
		kind, text = pool.EventOperationFailed, text+": "+o.Reason
	}
	d.note(kind, "", text)
	d.events[len(d.events)-1].OperationID = o.ID
}

// vacancyAge is how long a place remembers a failure: longer than any wait before it is filled again.
const vacancyAge = 15 * time.Minute

func (d *draft) vacate(w pool.Worker, hopeless bool) {
	d.vacancies = append(d.vacancies, planner.Vacancy{Worker: w, Hopeless: hopeless})
}

func (d *draft) forgetVacancies() {
	d.vacancies = slices.DeleteFunc(d.vacancies, func(v planner.Vacancy) bool {
		return d.now.Sub(v.Worker.EndedAt) > vacancyAge
	})
}

// fill forgets the vacancies that launches take.
func (d *draft) fill(actions []planner.Action) {
	filled := map[string]bool{}
	for _, a := range actions {
		filled[a.Replaces] = a.Kind == planner.Launch
	}
	d.vacancies = slices.DeleteFunc(d.vacancies, func(v planner.Vacancy) bool { return filled[v.Worker.ID] })
}

// unprobed makes running workers healthy that no probe judges: as long as they live they are.
func (d *draft) unprobed() {
	if d.probed() {
		return
	}
	for i := range d.workers {
		w := &d.workers[i]
		if w.Instance.PID != 0 && w.Health != pool.Healthy && w.TemplateHash == d.target {
			d.verdict(w, fact{kind: factVerdict, at: d.now, health: pool.Healthy})
		}
	}
}

// acquit forgets that workers are unhealthy whose check has been changed: it may have been the check that was
// wrong. The new one will tell.
func (d *draft) acquit() {
	check, known := d.contracts[d.target]
	if !known || reflect.DeepEqual(check.Health, d.pool.Spec.Health) {
		return
	}
	for i := range d.workers {
		if w := &d.workers[i]; w.TemplateHash == d.target && w.Health == pool.Unhealthy {
			w.Health, w.HealthReason, w.HealthAt, d.changed[w.ID] = pool.HealthUnknown, "its check was changed", d.now, true
		}
	}
}

func (d *draft) probed() bool { return d.pool.Spec.Health.Probed() }

func (d *draft) note(kind pool.EventType, workerID, message string) {
	d.events = append(d.events, pool.Event{
		PoolUID: d.pool.UID, PoolName: d.pool.Name, Type: kind, Time: d.now,
		Author: authorController, Message: message, WorkerID: workerID,
	})
}

func (d *draft) effect(e effect) { d.effects = append(d.effects, e) }

// empty says that there is nothing to record, and nothing that has to hold still when it is carried out.
func (d *draft) empty() bool {
	return len(d.late) == 0 && len(d.changed) == 0 && d.revision == nil && len(d.ended) == 0 && len(d.closed) == 0 && len(d.events) == 0 && !d.poolMoved
}

// rows are the workers to record, living and ended.
func (d *draft) rows() []pool.Worker {
	rows := slices.Clone(d.ended)
	for _, w := range d.workers {
		if d.changed[w.ID] {
			rows = append(rows, w)
		}
	}
	return rows
}
