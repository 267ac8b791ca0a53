package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const (
	selectLease         = `SELECT record FROM leases WHERE id = $1`
	selectHeldLeases    = `SELECT record FROM leases WHERE pool_uid = $1 AND state = 'held' ORDER BY number LIMIT $2`
	selectWaitingLeases = `SELECT record FROM leases WHERE pool_uid = $1 AND state = 'waiting' ORDER BY number LIMIT $2`
	selectWaitingForAny = `SELECT record FROM leases WHERE pool_uid IS NULL AND state = 'waiting' ORDER BY number LIMIT $1`
	selectLeasesOf      = `SELECT record FROM leases WHERE worker_id = $1 AND state = 'held' ORDER BY number`
	// Who may be next for a pool, oldest first: one look into the index for each selector that somebody waits with,
	// however many wait, and one for the pool.
	selectOldestWaiting = `WITH RECURSIVE selectors (selector) AS (
			SELECT min(selector) FROM leases WHERE state = 'waiting' AND selector > ''
			UNION ALL
			SELECT (SELECT min(l.selector) FROM leases l WHERE l.state = 'waiting' AND l.selector > selectors.selector)
			FROM selectors WHERE selectors.selector IS NOT NULL
		), oldest (number) AS (
			SELECT (SELECT l.number FROM leases l WHERE l.state = 'waiting' AND l.selector = selectors.selector ORDER BY l.number LIMIT 1)
			FROM selectors WHERE selectors.selector IS NOT NULL
			UNION ALL
			SELECT min(l.number) FROM leases l WHERE l.state = 'waiting' AND l.pool_uid = $1
		)
		SELECT record FROM leases WHERE number IN (SELECT number FROM oldest) ORDER BY number`
	selectDueLeases    = `SELECT record FROM leases WHERE state IN ('waiting', 'held') AND expires_at <= $1 AND ttl <= $2 ORDER BY expires_at LIMIT $3`
	countHeldLeases    = `SELECT count(*) FROM leases WHERE pool_uid = $1 AND state = 'held'`
	countWaitingLeases = `SELECT count(*) FROM leases WHERE pool_uid = $1 AND state = 'waiting'`
	countWaitingForAny = `SELECT count(*) FROM leases WHERE pool_uid IS NULL AND state = 'waiting'`

	selectRoom = `SELECT ` + workerColumns + ` FROM workers WHERE pool_uid = $1 AND serving AND NOT cordoned AND NOT spent AND leased < slots
		AND template_hash = $2 ORDER BY slots - leased, id LIMIT 1`
	selectRoomOfAny = `SELECT ` + workerColumns + ` FROM workers WHERE pool_uid = $1 AND serving AND NOT cordoned AND NOT spent AND leased < slots
		ORDER BY template_hash, slots - leased, id LIMIT 1`

	// The worker's count follows the lease's state: it goes up when the lease is granted and down when it ends.
	putLease = `INSERT INTO leases (id, pool_uid, worker_id, state, expires_at, ended_at, record, ttl, selector)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (id) DO UPDATE SET pool_uid = excluded.pool_uid, worker_id = excluded.worker_id, state = excluded.state,
		expires_at = excluded.expires_at, ended_at = excluded.ended_at, record = excluded.record, ttl = excluded.ttl`
	leaseState  = `SELECT state FROM leases WHERE id = $1`
	takeSlot    = `UPDATE workers SET leased = leased + 1, leases = leases + 1 WHERE id = $1`
	giveSlot    = `UPDATE workers SET leased = leased - 1 WHERE id = $1`
	pruneLeases = `DELETE FROM leases WHERE number IN (
		SELECT number FROM leases WHERE state NOT IN ('waiting', 'held') AND ended_at < $1 ORDER BY ended_at LIMIT $2)`
)

func (t *transaction) Lease(id string) (pool.Lease, error) {
	return one(t, pool.Lease{}, "lease "+id, selectLease, id)
}

func (t *transaction) HeldLeases(poolUID string, limit int) ([]pool.Lease, error) {
	return list(t, pool.Lease{}, "the leases of pool "+poolUID, selectHeldLeases, poolUID, bound(limit))
}

func (t *transaction) WaitingLeases(poolUID string, limit int) ([]pool.Lease, error) {
	if poolUID == "" {
		return list(t, pool.Lease{}, "the leases that wait for any pool", selectWaitingForAny, bound(limit))
	}
	return list(t, pool.Lease{}, "the leases that wait for pool "+poolUID, selectWaitingLeases, poolUID, bound(limit))
}

func (t *transaction) NextWaiting(p pool.Pool) (pool.Lease, error) {
	oldest, err := list(t, pool.Lease{}, "the oldest leases that wait", selectOldestWaiting, p.UID)
	if err != nil {
		return pool.Lease{}, err
	}
	for _, l := range oldest {
		if l.Wants(p) {
			return l, nil
		}
	}
	return pool.Lease{}, fmt.Errorf("a lease that waits for pool %s: %w", p.UID, ErrNotFound)
}

func (t *transaction) LeasesOf(workerID string) ([]pool.Lease, error) {
	return list(t, pool.Lease{}, "the leases of worker "+workerID, selectLeasesOf, workerID)
}

func (t *transaction) DueLeases(at, since time.Time, limit int) ([]pool.Lease, error) {
	return list(t, pool.Lease{}, "the leases that are due", selectDueLeases, micros(at), at.Sub(since).Microseconds(), bound(limit))
}

func (t *transaction) CountLeases(poolUID string) (held, waiting int, err error) {
	if poolUID == "" {
		err = t.scalar(&waiting, countWaitingForAny)
	} else if err = t.scalar(&held, countHeldLeases, poolUID); err == nil {
		err = t.scalar(&waiting, countWaitingLeases, poolUID)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("count the leases of pool %s: %w", poolUID, err)
	}
	return held, waiting, nil
}

func (t *transaction) Room(poolUID, templateHash string) (pool.Worker, error) {
	what := "a free slot of pool " + poolUID
	workers, err := t.workers(what, selectRoom, poolUID, templateHash)
	if err == nil && len(workers) == 0 {
		workers, err = t.workers(what, selectRoomOfAny, poolUID)
	}
	return only[pool.Worker](what)(workers, err)
}

func (t *transaction) PutLease(l pool.Lease) error {
	data, err := record(l)
	if err != nil {
		return err
	}
	selector, err := selectorText(l.Selector)
	if err != nil {
		return err
	}
	was, err := t.leaseState(l.ID)
	if err != nil {
		return err
	}
	_, err = t.exec(putLease, l.ID, orNull(l.PoolUID), orNull(l.WorkerID), string(l.State), micros(l.ExpiresAt), micros(l.EndedAt), data,
		l.TTL.Std().Microseconds(), selector)
	if held, holds := was == pool.LeaseHeld, l.State == pool.LeaseHeld; err == nil && held != holds {
		count := giveSlot
		if holds {
			count = takeSlot
		}
		_, err = t.exec(count, l.WorkerID)
	}
	if err != nil {
		return fmt.Errorf("put lease %s: %w", l.ID, err)
	}
	return nil
}

// selectorText is the same for equal selectors; empty for none.
func selectorText(selector map[string]string) (string, error) {
	if len(selector) == 0 {
		return "", nil
	}
	text, err := json.Marshal(selector) // sorts the keys
	return string(text), err
}

// leaseState is the stored state of a lease; empty if it is new.
func (t *transaction) leaseState(id string) (state pool.LeaseState, err error) {
	err = t.each(func(scan func(...any) error) error { return scan(&state) }, leaseState, id)
	if err != nil {
		return "", fmt.Errorf("read the state of lease %s: %w", id, err)
	}
	return state, nil
}

func (t *transaction) PruneLeases(before time.Time, limit int) error {
	if _, err := t.exec(pruneLeases, micros(before), bound(limit)); err != nil {
		return fmt.Errorf("prune the leases that ended: %w", err)
	}
	return nil
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
