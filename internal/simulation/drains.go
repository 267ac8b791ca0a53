package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// contracts are the specs by which a worker may be treated: every revision that has its template.
func (m moment) contracts(w pool.Worker) (specs []pool.Spec) {
	template := pool.TemplateHash(m.before.revisions[revisionKey{w.PoolUID, w.Revision}].Spec, 0)
	for k, r := range m.before.revisions {
		if k.poolUID == w.PoolUID && pool.TemplateHash(r.Spec, 0) == template {
			specs = append(specs, r.Spec)
		}
	}
	return specs
}

// all says that something is true of a worker whichever of its contracts is in force.
func (m moment) all(w pool.Worker, holds func(pool.Drain) bool) bool {
	return !slices.ContainsFunc(m.contracts(w), func(s pool.Spec) bool { return !holds(s.Drain) })
}

func mustNotTimeOut(d pool.Drain) bool    { return d.OnTimeout == pool.OnTimeoutFail }
func countsJobs(d pool.Drain) bool        { return d.ActiveJobs != nil }
func signalsAtTheEnd(d pool.Drain) bool   { return d.SignalAt == pool.SignalAfter }
func signalsAtTheStart(d pool.Drain) bool { return d.SignalAt == pool.SignalStart }

// leased says that a worker holds leases, employed that it works on something that it would tell if it was asked.
func leased(_ *run, m moment, w pool.Worker) bool { return len(m.before.heldOn(w.ID)) > 0 }
func employed(r *run, m moment, w pool.Worker) bool {
	i := r.world.instances[w.ID]
	return !w.ReadyAt.IsZero() && i != nil && i.found.Instance.PID == w.Instance.PID && i.works() && m.all(w, countsJobs)
}

// extended says that a worker has work for which it was given more time.
func extended(r *run, m moment, w pool.Worker) bool {
	return !w.ExtendedTo.IsZero() && (leased(r, m, w) || employed(r, m, w))
}

// drainOver is when a worker's drain is over, busy or not.
func drainOver(w pool.Worker) time.Time { return later(w.DrainBy, w.ExtendedTo) }

// cutOff finds a worker that is stopped although it is busy and its drain is not over, if nobody forces it. One
// that must not time out is never over.
func cutOff(busy func(*run, moment, pool.Worker) bool) func(*run, moment) string {
	return func(r *run, m moment) string {
		for _, c := range m.turned() {
			w := c.after
			if w.State != pool.WorkerStopping || c.before.State == pool.WorkerStopping || !busy(r, m, c.before) ||
				m.before.forced(m.poolUID) || !m.all(w, signalsAtTheEnd) {
				continue
			}
			if w.DrainBy.IsZero() || w.StoppingAt.Before(drainOver(w)) || m.all(w, mustNotTimeOut) {
				return fmt.Sprintf("%s is stopped at %s although it is busy, and its drain is over at %s", w.ID, w.StoppingAt, drainOver(w))
			}
		}
		return ""
	}
}

// finishing says that a worker finishes its work since its signal, and nobody forces it.
func finishing(r *run, m moment) (w pool.Worker, yes bool) {
	w = m.before.workers[m.workerID]
	return w, w.State == pool.WorkerStopping && !w.DrainBy.IsZero() && !m.before.forced(w.PoolUID) && m.all(w, signalsAtTheStart) &&
		(leased(r, m, w) || employed(r, m, w))
}

// killedAtWork finds a worker that is killed at its work before its drain is over.
func killedAtWork(r *run, m moment) string {
	if w, yes := finishing(r, m); yes && (r.now().Before(drainOver(w)) || m.all(w, mustNotTimeOut)) {
		return fmt.Sprintf("%s is killed although it is busy, and its drain is over at %s", w.ID, drainOver(w))
	}
	return ""
}
