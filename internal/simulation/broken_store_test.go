package simulation

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// scribe writes records otherwise than it was told.
type scribe struct {
	store.Writer
	pool      func(*pool.Pool)
	worker    func(*pool.Worker)
	operation func(*pool.Operation)
	event     func(*pool.Event)
	reply     func(*store.IdempotentReply)
}

func (s *scribe) UpdatePool(p pool.Pool) error {
	if s.pool != nil {
		s.pool(&p)
	}
	return s.Writer.UpdatePool(p)
}

func (s *scribe) PutWorkers(workers ...pool.Worker) error {
	workers = slices.Clone(workers)
	for i := range workers {
		if s.worker != nil {
			s.worker(&workers[i])
		}
	}
	return s.Writer.PutWorkers(workers...)
}

func (s *scribe) PutOperation(o pool.Operation) error {
	if s.operation != nil {
		s.operation(&o)
	}
	return s.Writer.PutOperation(o)
}

func (s *scribe) AppendEvents(events ...pool.Event) error {
	events = slices.Clone(events)
	for i := range events {
		if s.event != nil {
			s.event(&events[i])
		}
	}
	return s.Writer.AppendEvents(events...)
}

func (s *scribe) PutIdempotentReply(r store.IdempotentReply) error {
	if s.reply != nil {
		s.reply(&r)
	}
	return s.Writer.PutIdempotentReply(r)
}

// generous has room on every worker that was ever ready.
type generous struct{ store.Writer }

func (g *generous) Room(poolUID, _ string) (pool.Worker, error) {
	living, err := g.Workers(poolUID)
	for _, w := range living {
		if !w.ReadyAt.IsZero() {
			return w, nil
		}
	}
	return pool.Worker{}, errors.Join(err, store.ErrNotFound)
}

// unguarded has room on cordoned workers before others.
type unguarded struct{ store.Writer }

func (u *unguarded) Room(poolUID, templateHash string) (pool.Worker, error) {
	living, err := u.Workers(poolUID)
	for _, w := range living {
		if w.Cordoned && w.State == pool.WorkerReady && w.Health == pool.Healthy && !w.Spent && w.Leased < int(w.Slots) {
			return w, err
		}
	}
	return u.Writer.Room(poolUID, templateHash)
}

// unfair turns the queue round.
type unfair struct{ store.Writer }

func (u *unfair) NextWaiting(p pool.Pool) (pool.Lease, error) {
	queue, err := u.WaitingLeases(p.UID, 0)
	if len(queue) == 0 {
		return u.Writer.NextWaiting(p)
	}
	return queue[len(queue)-1], err
}

// queueless shows nobody who is next.
type queueless struct{ store.Writer }

func (q *queueless) NextWaiting(pool.Pool) (pool.Lease, error) {
	return pool.Lease{}, store.ErrNotFound
}

// forgetfulOfQueues shows a pool's whole queue to nobody.
type forgetfulOfQueues struct{ store.Writer }

func (f *forgetfulOfQueues) WaitingLeases(poolUID string, limit int) ([]pool.Lease, error) {
	if poolUID != "" && limit == 0 {
		return nil, nil
	}
	return f.Writer.WaitingLeases(poolUID, limit)
}

// impatient is a store that takes every lease that is looked at for one that is over.
type impatient struct{ store.Store }

func (i *impatient) View(ctx context.Context, read func(store.Reader) error) error {
	return i.Store.View(ctx, func(r store.Reader) error { return read(&glance{r}) })
}

func (i *impatient) Update(ctx context.Context, change func(store.Writer) error) error {
	return i.Store.Update(ctx, func(tx store.Writer) error { return change(&glances{tx}) })
}

type glance struct{ store.Reader }

func (g *glance) DueLeases(at, since time.Time, limit int) ([]pool.Lease, error) {
	return allOver(g.Reader.DueLeases(at, since, limit))
}

type glances struct{ store.Writer }

func (g *glances) DueLeases(at, since time.Time, limit int) ([]pool.Lease, error) {
	return allOver(g.Writer.DueLeases(at, since, limit))
}

func allOver(leases []pool.Lease, err error) ([]pool.Lease, error) {
	for i := range leases {
		leases[i].ExpiresAt, leases[i].TTL = time.Time{}, 0
	}
	return leases, err
}

// blindfold sees no leases of a worker.
type blindfold struct{ store.Writer }

func (b *blindfold) LeasesOf(string) ([]pool.Lease, error) { return nil, nil }

// miscounting counts one lease too many on a busy worker.
type miscounting struct{ store.Writer }

func (m *miscounting) Marks(poolUID string) (map[string]pool.Marks, error) {
	marks, err := m.Writer.Marks(poolUID)
	for id, of := range marks {
		if of.Leased > 0 {
			of.Leased++
			marks[id] = of
		}
	}
	return marks, err
}

// reviser changes its mind about what has ended.
type reviser struct{ store.Writer }

func (r *reviser) PutOperation(o pool.Operation) error {
	newest, err := r.Operations(o.PoolUID, 3)
	if err != nil {
		return err
	}
	for _, old := range newest {
		if old.ID != o.ID && old.Phase == pool.OperationSucceeded {
			old.Phase, old.Reason = pool.OperationFailed, "on second thoughts"
			if err := r.Writer.PutOperation(old); err != nil {
				return err
			}
		}
	}
	return r.Writer.PutOperation(o)
}

// hands has all writes go through other hands.
func hands(others func(store.Writer) store.Writer) func(store.Store) store.Store {
	return func(s store.Store) store.Store { return &handed{s, others} }
}

type handed struct {
	store.Store
	hands func(store.Writer) store.Writer
}

func (h *handed) Update(ctx context.Context, change func(store.Writer) error) error {
	return h.Store.Update(ctx, func(tx store.Writer) error { return change(h.hands(tx)) })
}

// byUser says that a user makes the call.
func byUser(ctx context.Context) bool { return ctx.Value(callerKey{}) != nil }

// forgetful is a store that undoes what users ask for, and says that it is done.
type forgetful struct{ store.Store }

func (f *forgetful) Update(ctx context.Context, change func(store.Writer) error) error {
	if !byUser(ctx) {
		return f.Store.Update(ctx, change)
	}
	forgotten := errors.New("forgotten")
	err := f.Store.Update(ctx, func(tx store.Writer) error {
		if err := change(tx); err != nil {
			return err
		}
		return forgotten
	})
	if errors.Is(err, forgotten) {
		return nil
	}
	return err
}

// denier is a store that says of updates which record new workers that they were not made.
type denier struct{ store.Store }

func (d *denier) Update(ctx context.Context, change func(store.Writer) error) error {
	launches := false
	err := d.Store.Update(ctx, func(tx store.Writer) error {
		launches = false
		return change(&scribe{Writer: tx, worker: func(w *pool.Worker) { launches = launches || w.State == pool.WorkerPending }})
	})
	if err == nil && launches {
		return errTrouble
	}
	return err
}

// obliging is a store that shows users pools as they were one change ago.
type obliging struct{ store.Store }

func (o *obliging) View(ctx context.Context, read func(store.Reader) error) error {
	return o.Store.View(ctx, func(r store.Reader) error {
		if byUser(ctx) {
			r = &outdatedView{r}
		}
		return read(r)
	})
}

// outdatedView shows pools at an older generation.
type outdatedView struct{ store.Reader }

func (o *outdatedView) Pool(uid string) (pool.Pool, error) {
	p, err := o.Reader.Pool(uid)
	p.Generation--
	return p, err
}

func (o *obliging) Update(ctx context.Context, change func(store.Writer) error) error {
	return o.Store.Update(ctx, func(tx store.Writer) error {
		if byUser(ctx) {
			tx = &outdated{Writer: tx}
		}
		return change(tx)
	})
}

// outdated shows pools at an older generation, and writes them as if it had not.
type outdated struct {
	store.Writer
	back int64 // generations that were taken off
}

func (o *outdated) Pool(uid string) (pool.Pool, error) {
	p, err := o.Writer.Pool(uid)
	o.back = 1
	p.Generation -= o.back
	return p, err
}

func (o *outdated) UpdatePool(p pool.Pool) error {
	p.Generation += o.back
	return o.Writer.UpdatePool(p)
}

func (o *outdated) PutOperation(op pool.Operation) error {
	if old, err := o.Operation(op.ID); errors.Is(err, store.ErrNotFound) || old.Generation > op.Generation {
		op.Generation += o.back
	}
	return o.Writer.PutOperation(op)
}

// torn is a store that loses events when it is closed.
type torn struct {
	store.Store
	path string
}

func (t *torn) Close() error {
	if err := t.Store.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", t.path)
	if err != nil {
		return err
	}
	_, err = db.Exec(`DELETE FROM events WHERE sequence = 1
		AND EXISTS (SELECT 1 FROM events AS next WHERE next.pool_uid = events.pool_uid AND next.sequence = 2)`)
	return errors.Join(err, db.Close())
}

// jammed is a store that cannot say that it is closed.
type jammed struct{ store.Store }

func (j *jammed) Close() error { return errors.Join(j.Store.Close(), errTrouble) }
