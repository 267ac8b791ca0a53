package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// maxBatch bounds how many changes share a commit, and with it how long the first one waits for the last.
const maxBatch = 256

// queuePatience is how long a change waits for those before it. One that has not begun by then is refused: whoever
// asked is better told that nothing is written than left to believe that it is about to be.
const queuePatience = 30 * time.Second

var errAbandoned = errors.New("the change ended without returning")

// committer is the one writer of a database. It runs the changes that wait at the same time one after the
// other in one transaction, each in its own savepoint, and commits them together: what a commit costs is
// shared. A change runs on its caller's goroutine while the committer waits for it, so its panics are the
// caller's.
type committer struct {
	writer  writer
	decoded *decoded
	queue   chan *turn
	ended   chan struct{}

	patience time.Duration
}

// writer is the connection that changes are made on, one transaction after the other.
type writer interface {
	statements
	begin() error
	// commit returns once it is known what became of the transaction: an error means that nothing of it is
	// kept.
	commit() error
	// rollback ends a transaction that failed, if it has not ended by itself.
	rollback()
	// rest is called now and then while nobody writes.
	rest()
	close() error
}

// turn is one caller's place in a batch.
type turn struct {
	begin   chan *transaction // the caller may run its change now
	ran     chan error        // the change has run, with this error
	outcome chan error        // the change is durable, or undone
	err     error             // why it was undone
}

// startCommitter begins to take changes. Between them, the writer rests whenever idle ticks.
func startCommitter(w writer, known *decoded, idle <-chan time.Time) *committer {
	c := &committer{writer: w, decoded: known, queue: make(chan *turn), ended: make(chan struct{}), patience: queuePatience}
	go func() {
		defer close(c.ended)
		for {
			select {
			case first, more := <-c.queue:
				if !more {
					return
				}
				c.batch(first)
			case <-idle:
				w.rest()
			}
		}
	}()
	return c
}

// stop must not be called before every update has returned.
func (c *committer) stop() error {
	close(c.queue)
	<-c.ended
	return c.writer.close()
}

func (c *committer) update(ctx context.Context, change func(Writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := &turn{begin: make(chan *transaction), ran: make(chan error), outcome: make(chan error, 1)}
	wait := time.NewTimer(c.patience)
	defer wait.Stop()
	select {
	case c.queue <- t:
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		return fmt.Errorf("%w: it has taken no change for %s", ErrUnwritable, c.patience)
	}
	select {
	case tx := <-t.begin:
		t.run(tx, change)
		return <-t.outcome
	case err := <-t.outcome:
		return err
	}
}

// run tells the committer how the change went also when it panics or ends its goroutine.
func (t *turn) run(tx *transaction, change func(Writer) error) {
	err := errAbandoned
	defer func() { t.ran <- err }()
	err = change(tx)
}

// batch commits the change of the first turn together with those that wait.
func (c *committer) batch(first *turn) {
	turns, err := c.transact(first)
	if err != nil {
		c.writer.rollback()
	}
	for _, t := range turns {
		if err != nil {
			t.err = err
		}
		t.outcome <- t.err
	}
}

// transact returns whose changes it ran. An error means that none of them is kept.
func (c *committer) transact(first *turn) ([]*turn, error) {
	turns := []*turn{first}
	if err := c.writer.begin(); err != nil {
		// Those who came meanwhile would wait as long again, one after the other, to be told the same.
		for t := c.next(len(turns)); t != nil; t = c.next(len(turns)) {
			turns = append(turns, t)
		}
		return turns, fmt.Errorf("begin a transaction: %w", err)
	}
	// The first change needs no savepoint, which would cost more than the change: if it fails, there is
	// nothing else to lose yet.
	if _ = c.lend(first); first.err != nil { // a failed statement's error is in it
		return turns, first.err
	}
	// The callers that the last commit has answered may be about to ask again: let them come in.
	runtime.Gosched()
	for t := c.next(len(turns)); t != nil; t = c.next(len(turns)) {
		turns = append(turns, t)
		if err := c.attempt(t); err != nil {
			return turns, err
		}
	}
	if err := c.writer.commit(); err != nil {
		return turns, fmt.Errorf("commit: %w", err)
	}
	return turns, nil
}

// next is a turn that waits already, as long as the batch has room.
func (c *committer) next(taken int) *turn {
	if taken >= maxBatch {
		return nil
	}
	select {
	case t := <-c.queue: // nil once the queue is closed
		return t
	default:
		return nil
	}
}

// attempt runs one change so that it can be undone alone. An error means that the whole transaction is lost.
func (c *committer) attempt(t *turn) error {
	if err := c.run("SAVEPOINT change"); err != nil {
		return fmt.Errorf("begin a change: %w", err)
	}
	failed := c.lend(t)
	if t.err == nil {
		return c.run("RELEASE change")
	}
	if err := errors.Join(c.run("ROLLBACK TO change"), c.run("RELEASE change")); err != nil {
		return cmp.Or(failed, err) // a failed statement has made the database end the transaction
	}
	return nil
}

// lend lets the caller run its change in the open transaction, and returns which of its statements failed.
func (c *committer) lend(t *turn) error {
	tx := &transaction{ctx: context.Background(), sql: c.writer, decoded: c.decoded}
	t.begin <- tx
	t.err = <-t.ran
	failed := tx.finish()
	if t.err == nil {
		t.err = failed
	}
	return failed
}

func (c *committer) run(query string) error {
	_, err := c.writer.exec(context.Background(), query)
	return err
}
