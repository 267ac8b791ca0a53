package store

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const (
	// A conflict of names is answered, not raised: a raised one would doom the transaction.
	insertPool = `INSERT INTO pools (uid, name, phase, record) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) WHERE phase <> 'destroyed' DO NOTHING`
	updatePool = `UPDATE pools SET name = $2, phase = $3, record = $4 WHERE uid = $1`

	deleteLabels = `DELETE FROM pool_labels WHERE pool_uid = $1`
	insertLabel  = `INSERT INTO pool_labels (key, value, pool_uid) VALUES ($1, $2, $3)`

	insertRevision = `INSERT INTO revisions (pool_uid, number, record) VALUES ($1, $2, $3)`

	putWorker = `INSERT INTO workers (id, pool_uid, ended, created_at, ended_at, record, template_hash, serving, slots)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (id) DO UPDATE SET pool_uid = excluded.pool_uid, ended = excluded.ended,
		created_at = excluded.created_at, ended_at = excluded.ended_at, record = excluded.record,
		template_hash = excluded.template_hash, serving = excluded.serving, slots = excluded.slots`
	pruneWorkers = `DELETE FROM workers WHERE id IN (
		SELECT id FROM workers WHERE pool_uid = $1 AND ended ORDER BY ended_at DESC, id DESC LIMIT $2 OFFSET $3
	) RETURNING id`

	putOperation = `INSERT INTO operations (id, pool_uid, ended, record) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET pool_uid = excluded.pool_uid, ended = excluded.ended, record = excluded.record`

	extendEventLog = `INSERT INTO event_logs (pool_uid, newest, newest_at) VALUES ($1, $2, $3)
		ON CONFLICT (pool_uid) DO UPDATE SET newest = event_logs.newest + excluded.newest,
			newest_at = CASE WHEN event_logs.newest_at > excluded.newest_at THEN event_logs.newest_at ELSE excluded.newest_at END
		RETURNING newest`
	insertEvent = `INSERT INTO events (pool_uid, sequence, record) VALUES ($1, $2, $3)`

	putReply = `INSERT INTO idempotent_replies (author, key, request_hash, answered, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (author, key) DO UPDATE SET request_hash = excluded.request_hash,
		answered = excluded.answered, created_at = excluded.created_at`
	pruneReplies = `DELETE FROM idempotent_replies WHERE created_at < $1`
)

func (t *transaction) InsertPool(p pool.Pool) error {
	data, err := record(p)
	if err != nil {
		return err
	}
	n, err := t.exec(insertPool, p.UID, p.Name, string(p.Phase), data)
	switch {
	case err != nil:
		return fmt.Errorf("insert pool %q: %w", p.Name, err)
	case n == 0:
		return fmt.Errorf("pool %q: %w", p.Name, ErrNameTaken)
	}
	return t.putLabels(p)
}

func (t *transaction) UpdatePool(p pool.Pool) error {
	data, err := record(p)
	if err != nil {
		return err
	}
	n, err := t.exec(updatePool, p.UID, p.Name, string(p.Phase), data)
	switch {
	case err != nil:
		return fmt.Errorf("update pool %q: %w", p.Name, err)
	case n == 0:
		return fmt.Errorf("update pool %s: %w", p.UID, ErrNotFound)
	}
	return t.putLabels(p)
}

// putLabels makes the pool be found by the labels that it has now.
func (t *transaction) putLabels(p pool.Pool) error {
	if _, err := t.exec(deleteLabels, p.UID); err != nil {
		return fmt.Errorf("update the labels of pool %q: %w", p.Name, err)
	}
	if p.Phase == pool.PhaseDestroyed {
		return nil
	}
	for k, v := range p.Spec.Labels {
		if _, err := t.exec(insertLabel, k, v, p.UID); err != nil {
			return fmt.Errorf("update the labels of pool %q: %w", p.Name, err)
		}
	}
	return nil
}

func (t *transaction) InsertRevision(r pool.Revision) error {
	data, err := record(r)
	if err != nil {
		return err
	}
	if _, err := t.exec(insertRevision, r.PoolUID, r.Number, data); err != nil {
		return fmt.Errorf("insert revision %d of pool %s: %w", r.Number, r.PoolUID, err)
	}
	return nil
}

func (t *transaction) PutWorkers(workers ...pool.Worker) error {
	for _, w := range workers {
		w.Marks = pool.Marks{}
		data, err := record(w)
		if err != nil {
			return err
		}
		if _, err := t.exec(putWorker, w.ID, w.PoolUID, w.State.Ended(), micros(w.CreatedAt), micros(w.EndedAt), data,
			w.TemplateHash, w.Leasable(), w.Slots); err != nil {
			return fmt.Errorf("put worker %s: %w", w.ID, err)
		}
	}
	return nil
}

func (t *transaction) PruneWorkers(poolUID string, keep int) ([]string, error) {
	var ids []string
	err := t.each(func(scan func(...any) error) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
		return nil
	}, pruneWorkers, poolUID, bound(0), max(keep, 0))
	if err != nil {
		return nil, fmt.Errorf("prune the workers of pool %s: %w", poolUID, err)
	}
	slices.Sort(ids)
	return ids, nil
}

func (t *transaction) PutOperation(o pool.Operation) error {
	data, err := record(o)
	if err != nil {
		return err
	}
	if _, err := t.exec(putOperation, o.ID, o.PoolUID, o.Phase.Ended(), data); err != nil {
		return fmt.Errorf("put operation %s: %w", o.ID, err)
	}
	return nil
}

func (t *transaction) AppendEvents(events ...pool.Event) error {
	count, at := map[string]int64{}, map[string]int64{}
	for _, e := range events {
		count[e.PoolUID]++
		at[e.PoolUID] = max(at[e.PoolUID], micros(e.Time))
	}
	newest := map[string]int64{}
	for _, e := range events {
		if _, extended := newest[e.PoolUID]; !extended {
			var end int64
			if err := t.scalar(&end, extendEventLog, e.PoolUID, count[e.PoolUID], at[e.PoolUID]); err != nil {
				return fmt.Errorf("extend the event log of pool %s: %w", e.PoolUID, err)
			}
			newest[e.PoolUID] = end - count[e.PoolUID]
		}
		newest[e.PoolUID]++
		e.Sequence = newest[e.PoolUID]
		data, err := record(e)
		if err != nil {
			return err
		}
		if _, err := t.exec(insertEvent, e.PoolUID, e.Sequence, data); err != nil {
			return fmt.Errorf("append event %d of pool %s: %w", e.Sequence, e.PoolUID, err)
		}
	}
	return nil
}

func (t *transaction) PutIdempotentReply(r IdempotentReply) error {
	if _, err := t.exec(putReply, r.Author, r.Key, r.RequestHash, r.Answered, micros(r.CreatedAt)); err != nil {
		return fmt.Errorf("put the reply to idempotency key %q of %s: %w", r.Key, r.Author, err)
	}
	return nil
}

func (t *transaction) PruneIdempotentReplies(before time.Time) error {
	if _, err := t.exec(pruneReplies, micros(before)); err != nil {
		return fmt.Errorf("prune idempotency keys: %w", err)
	}
	return nil
}
