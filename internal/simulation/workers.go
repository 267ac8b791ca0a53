package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func condemned(w pool.Worker) bool { return w.State == pool.WorkerStopping }
func ended(w pool.Worker) bool     { return w.State.Ended() }
func stopped(w pool.Worker) bool   { return w.State == pool.WorkerStopped }

// strayBlow finds a call against a worker that none of the states admits.
func strayBlow(admits ...func(pool.Worker) bool) func(*run, moment) string {
	return func(_ *run, m moment) string {
		w, known := m.before.workers[m.workerID]
		admits := append(admits, stopped) // it may have ended while the call was under way
		if !known || slices.ContainsFunc(admits, func(holds func(pool.Worker) bool) bool { return holds(w) }) {
			return "" // the record of one that is not known was pruned after its end
		}
		return fmt.Sprintf("%s of %s, which is %s", m.kind, w.ID, w.State)
	}
}

// changeOfWorker is a worker's record before and after a commit.
type changeOfWorker struct {
	before, after pool.Worker // before is blank for a new one
	pool          pool.Pool
}

// turned lists the workers that a commit has changed, by id.
func (m moment) turned() (turned []changeOfWorker) {
	for _, after := range m.after.ofPool(m.poolUID) {
		if before := m.before.workers[after.ID]; before.State != after.State || before.Health != after.Health {
			turned = append(turned, changeOfWorker{before, after, m.after.pools[m.poolUID]})
		}
	}
	return turned
}

// leaves says that the worker begins to leave.
func (c changeOfWorker) leaves() bool {
	return c.after.State.Leaving() && !c.before.State.Leaving()
}

// decidedAt is when it was decided that the worker leaves: a commit may come later.
func (c changeOfWorker) decidedAt() time.Time {
	if c.after.State == pool.WorkerDraining {
		return c.after.DrainingAt
	}
	return c.after.StoppingAt
}

// undrained finds a worker in service that is stopped at once, or a withdrawn one before schedulers can know.
func undrained(_ *run, m moment) string {
	if m.before.forced(m.poolUID) {
		return ""
	}
	for _, c := range m.turned() {
		if c.after.State != pool.WorkerStopping || c.before.State == pool.WorkerStopping || c.after.ReadyAt.IsZero() {
			continue
		}
		hasty := func(d pool.Drain) bool {
			return c.after.StoppingAt.Before(c.after.DrainingAt.Add(d.DeregisterDelay.Std()))
		}
		if c.after.DrainingAt.IsZero() || m.all(c.after, hasty) {
			return fmt.Sprintf("%s is stopped at %s, but draining since %s", c.after.ID, c.after.StoppingAt, c.after.DrainingAt)
		}
	}
	return ""
}

var lifeOfWorker = []pool.WorkerState{
	"", pool.WorkerPending, pool.WorkerStarting, pool.WorkerReady, pool.WorkerDraining, pool.WorkerStopping, pool.WorkerStopped,
}

// backwards finds a worker that lives on after its end, or is taken back into service.
func backwards(_ *run, m moment) string {
	for _, c := range m.turned() {
		was, is := slices.Index(lifeOfWorker, c.before.State), slices.Index(lifeOfWorker, c.after.State)
		if c.before.State.Ended() || is >= 0 && is < was {
			return fmt.Sprintf("%s was %s and is %s", c.after.ID, c.before.State, c.after.State)
		}
	}
	for id, w := range m.before.workers {
		if _, there := m.after.workers[id]; !there && !w.State.Ended() {
			return fmt.Sprintf("the record of %s is gone, which was %s", id, w.State)
		}
	}
	return ""
}

// unrecordedLaunch finds the launch of a worker that is not journaled, or runs already as far as is known.
func unrecordedLaunch(_ *run, m moment) string {
	w, known := m.before.workers[m.workerID]
	if known && w.Instance.PID == 0 && (w.State == pool.WorkerPending || w.State == pool.WorkerStopping) {
		return ""
	}
	if known && w.State.Ended() {
		return "" // condemned and closed while the launch was under way
	}
	return fmt.Sprintf("%s is launched, which is %q with pid %d", m.workerID, w.State, w.Instance.PID)
}

// closedAlive finds a worker that is closed while its instance runs. Of one whose launch was never answered
// nobody knew; it must be gone at rest.
func closedAlive(r *run, m moment) string {
	for _, c := range m.turned() {
		i, err := r.world.find(c.after.ID, c.after.Instance)
		if c.after.State.Ended() && err == nil {
			return fmt.Sprintf("%s is %s, and %s runs", c.after.ID, c.after.State, i)
		}
	}
	return ""
}

// causeless finds a worker that leaves for a reason that is none.
func causeless(r *run, m moment) string {
	staying := 0
	for _, w := range m.after.living(m.poolUID) {
		if !w.State.Leaving() {
			staying++
		}
	}
	for _, c := range m.turned() {
		if c.leaves() {
			staying++
		}
	}
	for _, c := range m.turned() {
		w, succeeded := c.after, false
		for _, s := range m.after.workers {
			succeeded = succeeded || s.Replaces == w.ID
		}
		shown := map[pool.DrainCause]bool{
			pool.DrainDestroy: c.pool.Desired() == 0,
			pool.DrainScaleIn: staying > c.pool.Desired(),
			pool.DrainRollout: w.TemplateHash != c.pool.Target() || w.TemplateHash != m.before.pools[m.poolUID].Target() || worn(c.pool, w, r.now()) || m.before.chosen(w),
			pool.DrainReplace: w.Health == pool.Unhealthy || w.ReadyAt.IsZero() || succeeded,
		}
		if c.leaves() && !shown[w.DrainCause] {
			return fmt.Sprintf("%s (%s) is %s for %s: %s", w.ID, w.Health, w.State, w.DrainCause, w.Reason)
		}
	}
	return ""
}

// worn says that a worker has reached one of the limits of its life.
func worn(p pool.Pool, w pool.Worker, now time.Time) bool {
	limits := p.Spec.WorkerLimits
	return w.Spent || limits.MaxLeases != nil && w.Leases >= *limits.MaxLeases ||
		limits.MaxAge != nil && !w.StartedAt.IsZero() && now.Sub(w.StartedAt) >= limits.MaxAge.Std()
}

// taken is the worker as it would be if it did not leave.
func (c changeOfWorker) taken() pool.Worker {
	w := c.after
	if c.leaves() {
		w.State = c.before.State
	}
	return w
}
