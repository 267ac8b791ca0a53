package store

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const (
	selectPool       = `SELECT record FROM pools WHERE uid = $1`
	selectPoolByName = `SELECT record FROM pools WHERE name = $1 AND phase <> 'destroyed'`
	selectPools      = `SELECT record FROM pools WHERE phase <> 'destroyed' AND name > $1 ORDER BY name LIMIT $2`

	countPools = `SELECT count(*) FROM pools WHERE phase <> 'destroyed'`

	selectRevision  = `SELECT record FROM revisions WHERE pool_uid = $1 AND number = $2`
	selectRevisions = `SELECT record FROM revisions WHERE pool_uid = $1 ORDER BY number DESC LIMIT $2`

	selectPoolsByLabel = `SELECT record FROM pools WHERE uid IN (SELECT pool_uid FROM pool_labels WHERE key = $1 AND value = $2)
		AND phase <> 'destroyed'`

	workerColumns      = `record, leased, leases, spent, cordoned, extended_to`
	selectWorker       = `SELECT ` + workerColumns + ` FROM workers WHERE id = $1`
	selectWorkers      = `SELECT ` + workerColumns + ` FROM workers WHERE pool_uid = $1 AND NOT ended ORDER BY created_at, id`
	selectEndedWorkers = `SELECT ` + workerColumns + ` FROM workers WHERE pool_uid = $1 AND ended ORDER BY ended_at DESC, id DESC LIMIT $2`
	selectMarks        = `SELECT id, leased, leases, spent, cordoned, extended_to FROM workers WHERE pool_uid = $1 AND NOT ended
		AND (leases > 0 OR cordoned OR extended_to > 0)`

	selectOperation         = `SELECT record FROM operations WHERE id = $1`
	selectOperations        = `SELECT record FROM operations WHERE pool_uid = $1 ORDER BY number DESC LIMIT $2`
	selectRunningOperations = `SELECT record FROM operations WHERE pool_uid = $1 AND NOT ended ORDER BY number`

	selectEvents = `SELECT record FROM events WHERE pool_uid = $1 AND sequence > $2 ORDER BY sequence LIMIT $3`

	selectLatest = `SELECT coalesce(max(at), 0) FROM (
		SELECT max(newest_at) AS at FROM event_logs
		UNION ALL SELECT max(expires_at - ttl) FROM leases WHERE state = 'held'
		UNION ALL SELECT max(expires_at - ttl - $1) FROM leases WHERE state = 'waiting'
		UNION ALL SELECT max(ended_at) FROM leases WHERE state NOT IN ('waiting', 'held')) AS moments`

	selectReply = `SELECT request_hash, answered, created_at FROM idempotent_replies WHERE author = $1 AND key = $2`
)

func (t *transaction) Pool(uid string) (pool.Pool, error) {
	return t.onePool("pool "+uid, selectPool, uid)
}

func (t *transaction) PoolByName(name string) (pool.Pool, error) {
	return t.onePool(fmt.Sprintf("pool %q", name), selectPoolByName, name)
}

func (t *transaction) Pools(page Page) ([]pool.Pool, error) {
	return list(t, blankPool(), "the pools", selectPools, page.After, bound(page.Limit))
}

func (t *transaction) CountPools() (n int, err error) {
	if err := t.scalar(&n, countPools); err != nil {
		return 0, fmt.Errorf("count the pools: %w", err)
	}
	return n, nil
}

func (t *transaction) PoolsByLabels(labels map[string]string) ([]pool.Pool, error) {
	for key, value := range labels { // the first narrows the search, the others judge what it found
		found, err := list(t, blankPool(), "the pools with a label", selectPoolsByLabel, key, value)
		found = slices.DeleteFunc(found, func(p pool.Pool) bool { return !pool.Selects(labels, p.Spec.Labels) })
		slices.SortFunc(found, func(a, b pool.Pool) int { return cmp.Compare(a.Name, b.Name) })
		return found, err
	}
	return nil, nil
}

func (t *transaction) Latest(longestWait time.Duration) (time.Time, error) {
	var at int64
	if err := t.scalar(&at, selectLatest, longestWait.Microseconds()); err != nil {
		return time.Time{}, fmt.Errorf("find the newest moment on record: %w", err)
	}
	return fromMicros(at), nil
}

func (t *transaction) Revision(poolUID string, number int64) (pool.Revision, error) {
	what := fmt.Sprintf("revision %d of pool %s", number, poolUID)
	return one(t, blankRevision(), what, selectRevision, poolUID, number)
}

func (t *transaction) Revisions(poolUID string, limit int) ([]pool.Revision, error) {
	return list(t, blankRevision(), "the revisions of pool "+poolUID, selectRevisions, poolUID, bound(limit))
}

func (t *transaction) Worker(id string) (pool.Worker, error) {
	return only[pool.Worker]("worker " + id)(t.workers("worker "+id, selectWorker, id))
}

func (t *transaction) Workers(poolUID string) ([]pool.Worker, error) {
	return t.workers("the workers of pool "+poolUID, selectWorkers, poolUID)
}

func (t *transaction) EndedWorkers(poolUID string, limit int) ([]pool.Worker, error) {
	return t.workers("the ended workers of pool "+poolUID, selectEndedWorkers, poolUID, bound(limit))
}

func (t *transaction) Operation(id string) (pool.Operation, error) {
	return one(t, pool.Operation{}, "operation "+id, selectOperation, id)
}

func (t *transaction) Operations(poolUID string, limit int) ([]pool.Operation, error) {
	return list(t, pool.Operation{}, "the operations of pool "+poolUID, selectOperations, poolUID, bound(limit))
}

func (t *transaction) RunningOperations(poolUID string) ([]pool.Operation, error) {
	return list(t, pool.Operation{}, "the running operations of pool "+poolUID, selectRunningOperations, poolUID)
}

func (t *transaction) Events(poolUID string, after int64, limit int) ([]pool.Event, error) {
	return list(t, pool.Event{}, "the events of pool "+poolUID, selectEvents, poolUID, after, bound(limit))
}

func (t *transaction) IdempotentReply(author, key string) (IdempotentReply, error) {
	reply, found := IdempotentReply{Author: author, Key: key}, false
	err := t.each(func(scan func(...any) error) error {
		var createdAt int64
		err := scan(&reply.RequestHash, &reply.Answered, &createdAt)
		reply.CreatedAt, found = fromMicros(createdAt), true
		return err
	}, selectReply, author, key)
	switch what := fmt.Sprintf("idempotency key %q of %s", key, author); {
	case err != nil:
		return IdempotentReply{}, fmt.Errorf("read %s: %w", what, err)
	case !found:
		return IdempotentReply{}, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return reply, nil
}
