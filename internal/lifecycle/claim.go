package lifecycle

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// A pool is unclaimed until its creator knows that it exists: its wait for the creation ended, or a request
// named the pool's uid or changed it. The same creation by the same author attaches to an unclaimed pool that
// nobody waits for, so that an interrupted apply can be repeated; any other finds the name taken.

// betweenPolls is how long a waiter whose poll was answered counts as still waiting.
const betweenPolls = 5 * time.Second

// claims knows who waits for which operation just now.
type claims struct {
	mu    sync.Mutex
	waits map[string]*wait // by operation
}

type wait struct {
	callers  int
	answered time.Time // when the creation, or a poll of it, was answered while the operation was running
}

// expect counts the one whose creation was accepted as waiting: its first poll is on its way.
func (c *claims) expect(operationID string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(operationID).answered = now
	maps.DeleteFunc(c.waits, func(_ string, w *wait) bool { return w.callers == 0 && now.Sub(w.answered) >= betweenPolls })
}

func (c *claims) begin(operationID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(operationID).callers++
}

// of is the wait for an operation; c.mu is held.
func (c *claims) of(operationID string) *wait {
	if c.waits == nil {
		c.waits = map[string]*wait{}
	}
	if c.waits[operationID] == nil {
		c.waits[operationID] = &wait{}
	}
	return c.waits[operationID]
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

// answeredLately says that nobody polls just now and that one who did may come again.
func (c *claims) answeredLately(operationID string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.waits[operationID]
	return w != nil && w.callers == 0 && now.Sub(w.answered) < betweenPolls
}

func (c *claims) waitedFor(operationID string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.waits[operationID]
	return w != nil && (w.callers > 0 || now.Sub(w.answered) < betweenPolls)
}

// attach says whether a creation may take up an existing pool.
func (m *Manager) attach(tx store.Reader, by Request, p pool.Pool, spec pool.Spec) error {
	same := len(pool.Changes(p.Spec, placed(spec, p))) == 0
	if !p.Claimed && p.Author == by.Author && same && !m.claims.waitedFor(p.OperationID, m.config.Now()) {
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

// errUndecided: it is not known yet whether a pool's creator waits for it.
var errUndecided = errors.New("it will soon be known whether the pool has a creator who waits for it")

func (m *Manager) undecided(p pool.Pool) bool {
	return !p.Claimed && m.claims.answeredLately(p.OperationID, m.config.Now())
}

// uncertain says whether it will soon be known if an unclaimed pool has a creator who waits for it.
func (m *Manager) uncertain(ctx context.Context, name string) (bool, error) {
	var unclaimed bool
	err := m.config.Store.View(ctx, func(r store.Reader) error {
		p, err := r.PoolByName(name)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		unclaimed = m.undecided(p)
		return err
	})
	return unclaimed, err
}

// decided waits until it is known whether an unclaimed pool of the name has a creator who waits for it.
func (m *Manager) decided(ctx context.Context, name string) error {
	look := time.NewTicker(betweenPolls / 20)
	defer look.Stop()
	for {
		unsure, err := m.uncertain(ctx, name)
		if err != nil || !unsure {
			return err
		}
		if _, err := m.listen(ctx, nil, look.C); err != nil {
			return err
		}
	}
}

// logClaim logs that a pool could not be claimed. Whoever asked is answered all the same: a creation that is repeated
// attaches to an unclaimed pool.
func (m *Manager) logClaim(claim error) {
	if claim != nil {
		m.config.Logger.Warn("cannot note that a pool's creator knows of it", "error", claim)
	}
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
