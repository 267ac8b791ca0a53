package lifecycle

import (
	"fmt"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// fact is something that happened to a worker, as a controller learns of it.
type fact struct {
	kind     factKind
	workerID string
	at       time.Time
	instance pool.Instance
	exit     pool.Exit
	health   pool.Health
	text     string // reason of a verdict, error of an effect; empty if a clean-up worked
	draining bool   // counted: it was asked after it was withdrawn
	hopeless bool   // a launch that cannot succeed until the spec or the host is changed
	// trouble: its signal did not reach it.
	unsignalled bool
	strangers   []runtime.Found // cleaned: what runs of the pool and is nobody's
}

type factKind string

const (
	factLaunched     factKind = "launched"      // the instance runs
	factLaunchFailed factKind = "launch failed" // there is no instance
	factEnded        factKind = "ended"         // the instance ended
	factSwept        factKind = "swept"         // nothing that the instance started is left
	factVerdict      factKind = "verdict"       // its health changed
	factTrouble      factKind = "trouble"       // a signal, kill or sweep did not work; it is tried again
	factSignalled    factKind = "signalled"     // a signal has reached it that did not at first
	factHooked       factKind = "hooked"        // its drain hook has answered
	factCounted      factKind = "counted"       // it was asked for its active jobs
	factCleaned      factKind = "cleaned"       // the pool's leftovers outside the store are removed, or could not be
)

// take applies one fact. A fact about a worker that ended meanwhile is nothing new.
func (d *draft) take(f fact) {
	if f.kind == factCleaned {
		d.cleaned, d.remnant, d.strangers = f.text == "", f.text, f.strangers
		return
	}
	if f.kind == factSwept {
		delete(d.unswept, f.workerID)
	}
	i := d.index(f.workerID)
	if i < 0 {
		return
	}
	w := &d.workers[i]
	switch f.kind {
	case factLaunched:
		d.launched(w, f)
		if end, ended := d.early[w.ID]; ended {
			delete(d.early, w.ID)
			d.take(end)
		}
	case factLaunchFailed:
		d.end(i, f.at, pool.Exit{Unknown: true}, f.text, f.hopeless)
		d.unswept[w.ID] = d.workers[i] // its answer may have been lost, or an earlier manager's, and not its effect
	case factEnded:
		switch {
		case w.Instance.PID == 0:
			d.early[w.ID] = f
		case w.State == pool.WorkerStopping:
			w.Exit = &f.exit // it has stopped once all that it started is swept
		case d.finished(w, f):
			d.finish(i, f)
			d.unswept[w.ID] = d.workers[i]
		default:
			d.end(i, f.at, f.exit, describe(f.exit), false)
			d.unswept[w.ID] = d.workers[i]
		}
	case factSwept:
		if w.State == pool.WorkerStopping && w.Exit != nil {
			d.end(i, f.at, *w.Exit, w.Reason, false)
		}
	case factHooked:
		if w.State == pool.WorkerDraining && w.HookedAt.IsZero() {
			w.HookedAt, d.changed[w.ID] = f.at, true
		}
	case factCounted:
		d.readings[w.ID] = planner.Reading{AskedAt: f.at, Draining: f.draining, Busy: f.text}
	case factVerdict:
		d.verdict(w, f)
	case factSignalled:
		delete(d.unsignalled, w.ID)
	case factTrouble:
		if f.unsignalled {
			d.unsignalled[w.ID] = true
		}
		if w.Reason == f.text {
			return
		}
		// What cannot be done is an event; that it still cannot, maybe for another reason, is none.
		if what, _, _ := strings.Cut(f.text, ":"); !strings.HasPrefix(w.Reason, what) {
			d.note(pool.EventWorkerTrouble, w.ID, f.text)
		}
		w.Reason, d.changed[w.ID] = f.text, true
	}
}

func (d *draft) launched(w *pool.Worker, f fact) {
	w.Instance = f.instance
	d.changed[w.ID] = true
	switch w.State {
	case pool.WorkerPending:
		w.State, w.StartedAt = pool.WorkerStarting, f.at
		if d.probed() {
			d.note(pool.EventWorkerStarted, w.ID, "started")
			return
		}
		w.Health, w.HealthAt = pool.Healthy, f.at
		d.ready(w, f.at)
	case pool.WorkerStopping: // condemned while it was being launched
		d.effect(effect{kind: effectSignal, worker: *w, contract: d.contract(w)})
	}
}

func (d *draft) ready(w *pool.Worker, at time.Time) {
	w.State, w.ReadyAt, w.Reason, d.opened = pool.WorkerReady, at, "", true
	w.StartUp = pool.Duration(at.Sub(w.CreatedAt))
	d.note(pool.EventWorkerReady, w.ID, "ready")
}

// verdict notes a worker's health. One that never was healthy is not unhealthy yet, only not ready: the
// progress deadline judges it.
func (d *draft) verdict(w *pool.Worker, f fact) {
	if w.State.Leaving() || f.health == w.Health && f.text == w.HealthReason {
		return
	}
	d.changed[w.ID] = true
	w.HealthReason = f.text
	if w.State != pool.WorkerReady && f.health != pool.Healthy || f.health == w.Health {
		return
	}
	w.Health, w.HealthAt = f.health, f.at
	switch {
	case w.State != pool.WorkerReady:
		d.ready(w, f.at)
	case f.health == pool.Healthy:
		w.ReadyAt, d.opened = f.at, true
		d.note(pool.EventWorkerHealthy, w.ID, "healthy again")
	default:
		d.note(pool.EventWorkerUnhealthy, w.ID, "unhealthy: "+f.text)
	}
}

// end closes a worker's record. One that was not told to end leaves a vacancy.
func (d *draft) end(i int, at time.Time, exit pool.Exit, reason string, hopeless bool) {
	w := d.workers[i]
	told := w.State == pool.WorkerStopping
	w.EndedAt, w.Exit, w.Reason = at, &exit, reason
	if told {
		w.State = pool.WorkerStopped
		d.note(pool.EventWorkerStopped, w.ID, "stopped: "+reason)
	} else {
		w.State = pool.WorkerFailed
		d.note(pool.EventWorkerFailed, w.ID, "failed: "+reason)
		d.vacate(w, hopeless)
	}
	d.workers[i] = w
	d.ended = append(d.ended, w)
	delete(d.readings, w.ID)
}

// shortestWork is how long a worker must have run to have done anything.
const shortestWork = time.Second

// finished says that a worker ended because its work is done.
func (d *draft) finished(w *pool.Worker, f fact) bool {
	return f.exit.Clean() && d.contract(w).Worker.OnExitZero == pool.ExitZeroReplace &&
		!w.ReadyAt.IsZero() && f.at.Sub(w.StartedAt) >= shortestWork
}

// finish closes the record of a worker that has done its work. It leaves no vacancy: whoever takes its place
// is not the second attempt at anything.
func (d *draft) finish(i int, f fact) {
	w := d.workers[i]
	w.State, w.EndedAt, w.Exit, w.Reason = pool.WorkerStopped, f.at, &f.exit, "finished: "+describe(f.exit)
	d.note(pool.EventWorkerFinished, w.ID, w.Reason)
	d.workers[i] = w
	d.ended = append(d.ended, w)
	delete(d.readings, w.ID)
}

// describe says in words how an instance ended.
func describe(e pool.Exit) string {
	switch {
	case e.Unknown:
		return "ended while nobody watched; its exit code is unknown"
	case e.Signal != "":
		return "ended by signal " + e.Signal
	}
	return fmt.Sprintf("exited with code %d", e.Code)
}
