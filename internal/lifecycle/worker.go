package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/failpoint"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// Cordon keeps a worker from getting new leases, or lets it have them again. What it holds goes on.
func (m *Manager) Cordon(ctx context.Context, by Request, ref, workerID string, yes bool) (pool.Worker, error) {
	return m.mark(ctx, by, ref, workerID, func(tx store.Writer, _ pool.Pool, w pool.Worker) (pool.EventType, string, error) {
		if w.Cordoned == yes {
			return "", "", nil // it is so already
		}
		event, text := pool.EventWorkerUncordoned, "takes leases again"
		if yes {
			event, text = pool.EventWorkerCordoned, "takes no new leases"
		}
		return event, text, tx.Cordon(w.ID, yes)
	})
}

// ExtendDrain gives a draining worker, or one that works on after its signal, more time, from its deadline on: after
// a break it has its whole time again.
func (m *Manager) ExtendDrain(ctx context.Context, by Request, ref, workerID string, more time.Duration) (pool.Worker, error) {
	return m.mark(ctx, by, ref, workerID, func(tx store.Writer, p pool.Pool, w pool.Worker) (pool.EventType, string, error) {
		now, since := m.clock.read()
		operations, err := tx.RunningOperations(p.UID)
		world := planner.World{Now: now, Since: since, Pool: p, Operations: operations, Contracts: map[string]pool.Spec{}}
		if err := errors.Join(err, contractsOf(tx, p, []pool.Worker{w}, world.Contracts)); err != nil {
			return "", "", err
		}
		if !planner.Extendable(world, w) {
			return "", "", refuse(api.ProblemWorkerState, "worker %s is %s; only a drain that is not over can be extended", w.ID, w.State)
		}
		until := later(drainEnd(w, since), now).Add(more)
		return pool.EventWorkerExtended, "may drain until " + until.Format(time.RFC3339), tx.ExtendDrain(w.ID, until)
	})
}

// drainEnd is when a worker's drain is over: after a break it has its whole time again.
func drainEnd(w pool.Worker, since time.Time) time.Time {
	return later(later(w.DrainBy, w.ExtendedTo), since.Add(w.DrainBy.Sub(w.DrainingAt)))
}

// mark changes what others than its controller note about a living worker. An event says who did; no event
// means that nothing had to be changed.
func (m *Manager) mark(ctx context.Context, by Request, ref, workerID string, change func(store.Writer, pool.Pool, pool.Worker) (pool.EventType, string, error)) (w pool.Worker, err error) {
	var p pool.Pool
	var served []pool.Lease
	err = m.config.Store.Update(ctx, func(tx store.Writer) (err error) {
		id, err := m.answered(tx, by)
		if err != nil {
			return err
		}
		if id != "" {
			p, w, err = findWorker(tx, ref, id)
			return err
		}
		if p, w, err = livingWorker(tx, ref, workerID); err != nil {
			return err
		}
		event, text, err := change(tx, p, w)
		if err == nil {
			err = m.remember(tx, by, w.ID, m.config.Now())
		}
		if err != nil || event == "" {
			return err
		}
		err = tx.AppendEvents(pool.Event{
			PoolUID: p.UID, PoolName: p.Name, Type: event, Time: m.config.Now(), Author: by.Author,
			Message: text, Comment: by.Comment, WorkerID: w.ID,
		})
		if err != nil {
			return err
		}
		if w, err = tx.Worker(w.ID); err != nil {
			return err
		}
		served, err = m.grant(tx, p) // it may have got room
		return err
	})
	if err != nil {
		return w, err
	}
	failpoint.Reach(failpoint.Marked)
	m.leasesMoved(served...)
	m.feed.tell(p.UID)
	m.nudge(p.UID)
	return w, nil
}

// DrainWorker replaces one worker within the budgets of a rolling update. Without a replacement the pool gets
// smaller by one, and the worker is who goes.
func (m *Manager) DrainWorker(ctx context.Context, by Request, ref, workerID string, replace bool) (Accepted, error) {
	return m.mutate(ctx, by, func(tx store.Writer) (Accepted, error) {
		p, w, err := livingWorker(tx, ref, workerID)
		if err != nil {
			return Accepted{}, err
		}
		if err := notDeleting(tx, p); err != nil {
			return Accepted{}, err
		}
		if w.State.Leaving() {
			return Accepted{}, refuse(api.ProblemWorkerState, "worker %s is %s already", w.ID, w.State)
		}
		kind, change, event, text := pool.OperationDrain, pool.ChangeNone, pool.EventWorkerDraining, "to be drained and replaced"
		if !replace {
			if p.Spec.Autoscaling != nil {
				return Accepted{}, autoscaled(p)
			}
			size := int64(p.Desired() - 1)
			if size < 0 {
				return Accepted{}, refuse(api.ProblemWorkerState, "pool %q has no size to take away from", p.Name)
			}
			p.Spec.Size = &size
			kind, change, event, text = pool.OperationResize, pool.ChangeHot, pool.EventPoolResized, fmt.Sprintf("worker %s drains and is not replaced: the size is %d", w.ID, size)
		}
		p.Claimed = true
		return m.acceptFor(tx, by, p, w.ID, kind, change, event, text)
	})
}

// livingWorker is a worker of a pool that has not ended.
func livingWorker(r store.Reader, ref, workerID string) (p pool.Pool, w pool.Worker, err error) {
	p, w, err = findWorker(r, ref, workerID)
	if err == nil && w.State.Ended() {
		err = refuse(api.ProblemWorkerState, "worker %s has ended: %s", w.ID, w.Reason)
	}
	return p, w, err
}

// findWorker looks a worker of a pool up, also one that ended lately.
func findWorker(r store.Reader, ref, workerID string) (p pool.Pool, w pool.Worker, err error) {
	if p, err = find(r, ref); err != nil {
		return p, w, err
	}
	w, err = r.Worker(workerID)
	if errors.Is(err, store.ErrNotFound) || err == nil && w.PoolUID != p.UID {
		err = refuse(api.ProblemNotFound, "pool %q has no worker %q", ref, workerID)
	}
	return p, w, err
}
