package simulation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// singles are what users ask for of single workers in a storm: of those at work more often.
var singles = []wish{
	{"drain and replace", 10, ofWorker(serving, replace)},
	{"drain and replace one at work", 20, ofWorker(all(serving, atWork), replace)},
	{"drain and do not replace", 10, ofWorker(serving, func(_ *run, p pool.Pool, w pool.Worker) *request { return drain(p, w, false) })},
	{"cordon", 8, ofWorker(serving, func(_ *run, p pool.Pool, w pool.Worker) *request { return cordon(p, w, true) })},
	{"uncordon", 8, ofWorker(cordoned, func(_ *run, p pool.Pool, w pool.Worker) *request { return cordon(p, w, false) })},
}

// reprieves are what users ask for of draining workers, which are few.
var reprieves = []wish{
	{"more time", 20, ofWorker(all(leaving, pressed), prolong)},
	{"more time once more", 1, ofWorker(leaving, prolong)},
}

func serving(w pool.Worker) bool  { return w.State == pool.WorkerReady }
func leaving(w pool.Worker) bool  { return w.State.Leaving() }
func pressed(w pool.Worker) bool  { return w.ExtendedTo.IsZero() }
func atWork(w pool.Worker) bool   { return w.Leased > 0 }
func cordoned(w pool.Worker) bool { return w.Cordoned }

// all says that a worker is all of this.
func all(these ...func(pool.Worker) bool) func(pool.Worker) bool {
	return func(w pool.Worker) bool {
		return !slices.ContainsFunc(these, func(holds func(pool.Worker) bool) bool { return !holds(w) })
	}
}

func replace(_ *run, p pool.Pool, w pool.Worker) *request { return drain(p, w, true) }

func prolong(r *run, p pool.Pool, w pool.Worker) *request {
	return extend(p, w, pick(r, time.Second, 10*time.Second, 2*time.Minute, 10*time.Minute))
}

// ofWorker is a wish about one of the living workers.
func ofWorker(match func(pool.Worker) bool, makes func(*run, pool.Pool, pool.Worker) *request) func(*run) *request {
	return func(r *run) *request {
		var found []pool.Worker
		for _, uid := range r.books.poolUIDs() {
			for _, w := range r.books.living(uid) {
				if match(w) {
					found = append(found, w)
				}
			}
		}
		if len(found) == 0 {
			return nil
		}
		w := found[r.rand.IntN(len(found))]
		return makes(r, r.books.pools[w.PoolUID], w)
	}
}

func drain(p pool.Pool, w pool.Worker, replace bool) *request {
	what := fmt.Sprintf("drain %s and replace it: %t", w.ID, replace)
	return &request{what: what, ask: func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (lifecycle.Accepted, error) {
		return m.DrainWorker(ctx, by, p.UID, w.ID, replace)
	}}
}

func cordon(p pool.Pool, w pool.Worker, yes bool) *request {
	what := fmt.Sprintf("cordon %s: %t", w.ID, yes)
	return &request{looks: true, what: what, mark: func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (pool.Worker, error) {
		return m.Cordon(ctx, by, p.UID, w.ID, yes)
	}}
}

func extend(p pool.Pool, w pool.Worker, more time.Duration) *request {
	what := fmt.Sprintf("extend the drain of %s by %s", w.ID, more)
	return &request{looks: true, what: what, mark: func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (pool.Worker, error) {
		return m.ExtendDrain(ctx, by, p.UID, w.ID, more)
	}}
}

// unrecordedMark finds more time that was promised to a worker and is not on record.
func unrecordedMark(m moment) string {
	w, known := m.after.workers[m.worker.ID]
	if known && m.worker.ExtendedTo.After(w.ExtendedTo) {
		return fmt.Sprintf("%s was answered with time until %s, and is on record with %s", w.ID, m.worker.ExtendedTo, w.ExtendedTo)
	}
	return ""
}

// spared finds a worker that stays although who wanted it to go was told that this is done.
func spared(_ *run, m moment) string {
	for id, o := range m.after.operations {
		w := m.after.workers[o.WorkerID]
		if o.PoolUID != m.poolUID || o.Phase != pool.OperationSucceeded || m.before.operations[id].Phase == o.Phase || w.ID == "" {
			continue
		}
		if !w.State.Ended() {
			return fmt.Sprintf("%s of %s has succeeded, which is %s", o.ID, w.ID, w.State)
		}
	}
	return ""
}

// chosen says that a person wants this very worker to go.
func (b *books) chosen(w pool.Worker) bool {
	for _, o := range b.running(w.PoolUID) {
		if o.WorkerID == w.ID {
			return true
		}
	}
	return false
}
