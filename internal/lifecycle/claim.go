package lifecycle

import (
	"context"
	"sync"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// A pool is unclaimed until its creator knows that it exists: its wait for the creation ended, or a request
// named the pool's uid. A creation by the same author attaches to an unclaimed pool that nobody waits for,
// so that an interrupted apply can be repeated; any other finds the name taken.

// betweenPolls is how long a waiter whose poll was answered counts as still waiting.
const betweenPolls = 5 * time.Second

// claims knows who waits for which operation just now.
type claims struct {
	mu    sync.Mutex
	waits map[string]*wait // by operation
}

type wait struct {
	callers  int
	answered time.Time // when the last poll was answered while the operation was running
}

func (c *claims) begin(operationID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits == nil {
		c.waits = map[string]*wait{}
	}
	if c.waits[operationID] == nil {
		c.waits[operationID] = &wait{}
	}
	c.waits[operationID].callers++
}

// end closes one poll. goesOn says that the caller got an answer while the operation was running, so that
// its next poll is to be expected.
func (c *claims) end(operationID string, goesOn bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.waits[operationID]
	w.callers--
	if goesOn {
		w.answered = now
	} else if w.callers == 0 {
		delete(c.waits, operationID)
	}
}

func (c *claims) waitedFor(operationID string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.waits[operationID]
	return w != nil && (w.callers > 0 || now.Sub(w.answered) < betweenPolls)
}

// attach says whether a creation may take up an existing pool.
func (m *Manager) attach(tx store.Reader, by Request, p pool.Pool) error {
	if !p.Claimed && p.Author == by.Author && !m.claims.waitedFor(p.OperationID, m.config.Now()) {
		return nil
	}
	r := refuse(api.ProblemExists, "there is a pool %q already (%s, created by %s at %s)", p.Name, p.UID, p.Author, p.CreatedAt.Format(time.RFC3339))
	r.UID = p.UID
	if p.Phase == pool.PhaseDeleting {
		r = refuse(api.ProblemDeleting, "a pool %q is still being destroyed", p.Name)
		if o, err := tx.Operation(p.OperationID); err == nil {
			r.Operation = &o
		}
	}
	return r
}

// learned claims the pool of an operation whose outcome was told to who waited for it, if that was its creator.
func (m *Manager) learned(ctx context.Context, o pool.Operation) error {
	var p pool.Pool
	err := m.config.Store.View(ctx, func(r store.Reader) (err error) {
		p, err = r.Pool(o.PoolUID)
		return err
	})
	if err != nil || p.Claimed || o.Author != p.Author {
		return err
	}
	return m.claim(ctx, p.UID)
}

// claim notes that the pool's creator knows of it.
func (m *Manager) claim(ctx context.Context, poolUID string) error {
	return m.config.Store.Update(ctx, func(tx store.Writer) error {
		p, err := tx.Pool(poolUID)
		if err != nil || p.Claimed {
			return err
		}
		p.Claimed = true
		return tx.UpdatePool(p)
	})
}
