package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

var (
	errCrashed = errors.New("the manager is dead")
	errTrouble = errors.New("simulated trouble")
)

// journal is a life's way to the store: through the gate, and into the books.
type journal struct {
	life *life
	real store.Store
}

func (j *journal) Identity() store.Identity { return j.real.Identity() }
func (j *journal) Close() error             { return j.real.Close() }

func (j *journal) View(ctx context.Context, read func(store.Reader) error) error {
	switch j.life.wait(ctx, "view", "") {
	case dead:
		return errCrashed
	case fails:
		return fmt.Errorf("read the store: %w", errTrouble)
	}
	return j.real.View(ctx, read)
}

func (j *journal) Update(ctx context.Context, change func(store.Writer) error) error {
	let := j.life.wait(ctx, "update", "")
	switch let {
	case dead:
		return errCrashed
	case fails:
		return fmt.Errorf("%w: %w", store.ErrUnwritable, errTrouble)
	}
	run := j.life.run
	var e *entry
	err := j.real.Update(ctx, func(tx store.Writer) error {
		e = &entry{Writer: tx, books: run.books.clone(), began: run.story.began}
		if err := change(e); err != nil {
			return err
		}
		return e.count()
	})
	if err == nil {
		before := run.books
		run.books = e.books
		for _, w := range e.workers {
			run.story.christen(w.ID, e.books.pools[w.PoolUID].Name)
		}
		if len(e.noted) > 0 {
			run.story.tell(callerOf(ctx), "  records %s", strings.Join(e.noted, ", "))
		}
		run.happened(moment{kind: commit, before: before, after: run.books, poolUID: e.poolUID, marks: e.marks})
	}
	if let == delays && j.life.wait(ctx, "answer of update", "") == dead {
		return errCrashed
	}
	return err
}

// entry is a transaction whose writes go into the books too.
type entry struct {
	store.Writer
	books   *books
	poolUID string // of the pool that it changes
	workers []pool.Worker
	noted   []string
	began   time.Time             // when the story did
	marks   map[string]pool.Marks // as the store has them, of the pool's workers
}

// count takes down what the store has counted.
func (e *entry) count() (err error) {
	if e.poolUID != "" {
		e.marks, err = e.Marks(e.poolUID)
	}
	return err
}

func (e *entry) note(format string, args ...any) {
	e.noted = append(e.noted, fmt.Sprintf(format, args...))
}

func (e *entry) InsertPool(p pool.Pool) error {
	e.books.pools[p.UID] = kept(p)
	e.poolUID = p.UID
	return e.Writer.InsertPool(p)
}

func (e *entry) UpdatePool(p pool.Pool) error {
	if before := e.books.pools[p.UID]; before.Phase != p.Phase || before.ConvergedGeneration != p.ConvergedGeneration || before.Generation != p.Generation {
		e.note("pool %s at %d/%d", p.Phase, p.ConvergedGeneration, p.Generation)
	}
	e.books.pools[p.UID] = kept(p)
	e.poolUID = p.UID
	return e.Writer.UpdatePool(p)
}

func (e *entry) InsertRevision(r pool.Revision) error {
	e.books.revisions[revisionKey{r.PoolUID, r.Number}] = kept(r)
	return e.Writer.InsertRevision(r)
}

func (e *entry) PutWorkers(workers ...pool.Worker) error {
	e.workers = append(e.workers, workers...)
	for _, w := range workers {
		before := e.books.workers[w.ID]
		switch {
		case before.State != w.State && w.State.Leaving():
			e.note("%s %s for %s", w.ID, w.State, w.DrainCause)
		case before.State != w.State:
			e.note("%s %s", w.ID, w.State)
		case before.Health != w.Health:
			e.note("%s %s", w.ID, w.Health)
		}
		w.Marks = before.Marks // others write them
		e.books.workers[w.ID] = kept(w)
		e.poolUID = w.PoolUID
	}
	return e.Writer.PutWorkers(workers...)
}

func (e *entry) PruneWorkers(poolUID string, keep int) ([]string, error) {
	pruned, err := e.Writer.PruneWorkers(poolUID, keep)
	for _, id := range pruned {
		delete(e.books.workers, id)
	}
	return pruned, err
}

func (e *entry) PutOperation(o pool.Operation) error {
	if before := e.books.operations[o.ID]; before.Phase != o.Phase {
		e.note("%s of %s", strings.TrimSuffix(fmt.Sprintf("%s %s %s: %s", o.ID, o.Kind, o.Phase, o.Reason), ": "), o.Author)
	}
	e.books.operations[o.ID] = kept(o)
	e.poolUID = o.PoolUID
	return e.Writer.PutOperation(o)
}

func (e *entry) AppendEvents(events ...pool.Event) error {
	for _, v := range events {
		log := e.books.events[v.PoolUID]
		v.Sequence = int64(len(log) + 1)
		e.books.events[v.PoolUID] = append(slices.Clip(log), kept(v))
		e.poolUID = v.PoolUID
	}
	return e.Writer.AppendEvents(events...)
}

func (e *entry) PutLease(l pool.Lease) error {
	before := e.books.leases[l.ID]
	if before.State != l.State {
		e.note("%s", strings.TrimSpace(fmt.Sprintf("%s %s %s", l.ID, l.State, l.WorkerID)))
	}
	e.books.leases[l.ID] = kept(l)
	if w, known := e.books.workers[l.WorkerID]; known && before.State != l.State {
		w.Leased = len(e.books.heldOn(w.ID))
		if l.State == pool.LeaseHeld {
			w.Leases++
		}
		e.books.workers[w.ID] = w
	}
	if l.PoolUID != "" {
		e.poolUID = l.PoolUID
	}
	return e.Writer.PutLease(l)
}

// PruneLeases prunes less than its bound in these runs.
func (e *entry) PruneLeases(before time.Time, limit int) error {
	for id, l := range e.books.leases {
		if l.State.Ended() && l.EndedAt.Before(before.Truncate(time.Microsecond)) {
			delete(e.books.leases, id)
		}
	}
	return e.Writer.PruneLeases(before, limit)
}

func (e *entry) Spend(workerID string) error {
	w := e.books.workers[workerID]
	w.Spent = true
	e.books.workers[workerID] = w
	return e.Writer.Spend(workerID)
}

func (e *entry) Cordon(workerID string, yes bool) error {
	w := e.books.workers[workerID]
	w.Cordoned = yes
	e.books.workers[workerID] = w
	e.note("%s cordoned: %t", workerID, yes)
	return e.Writer.Cordon(workerID, yes)
}

func (e *entry) ExtendDrain(workerID string, to time.Time) error {
	w := e.books.workers[workerID]
	w.ExtendedTo = to.UTC().Truncate(time.Microsecond)
	e.books.workers[workerID] = w
	e.note("%s may drain until %s", workerID, to.Sub(e.began))
	return e.Writer.ExtendDrain(workerID, to)
}

func (e *entry) PutIdempotentReply(r store.IdempotentReply) error {
	e.books.replies[replyKey{r.Author, r.Key}] = kept(r)
	return e.Writer.PutIdempotentReply(r)
}

func (e *entry) PruneIdempotentReplies(before time.Time) error {
	for k, r := range e.books.replies {
		if r.CreatedAt.Before(before) {
			delete(e.books.replies, k)
		}
	}
	return e.Writer.PruneIdempotentReplies(before)
}
