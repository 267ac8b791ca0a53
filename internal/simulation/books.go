package simulation

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// books are the records as the answered updates have left them: what the store must have, whatever happens.
// Those of an earlier moment never change.
type books struct {
	pools      map[string]pool.Pool
	workers    map[string]pool.Worker
	operations map[string]pool.Operation
	revisions  map[revisionKey]pool.Revision
	events     map[string][]pool.Event // by pool
	replies    map[replyKey]store.IdempotentReply
	leases     map[string]pool.Lease
}

type revisionKey struct {
	poolUID string
	number  int64
}

type replyKey struct{ author, key string }

func newBooks() *books {
	return &books{
		pools: map[string]pool.Pool{}, workers: map[string]pool.Worker{}, operations: map[string]pool.Operation{},
		revisions: map[revisionKey]pool.Revision{}, events: map[string][]pool.Event{}, replies: map[replyKey]store.IdempotentReply{},
		leases: map[string]pool.Lease{},
	}
}

func (b *books) clone() *books {
	return &books{
		pools: maps.Clone(b.pools), workers: maps.Clone(b.workers), operations: maps.Clone(b.operations),
		revisions: maps.Clone(b.revisions), events: maps.Clone(b.events), replies: maps.Clone(b.replies),
		leases: maps.Clone(b.leases),
	}
}

// poolUIDs lists all pools, destroyed ones too.
func (b *books) poolUIDs() []string { return slices.Sorted(maps.Keys(b.pools)) }

// alive lists the pools that are not being destroyed.
func (b *books) alive() (alive []pool.Pool) {
	for _, uid := range b.poolUIDs() {
		if p := b.pools[uid]; p.Phase == pool.PhaseCreating || p.Phase == pool.PhaseLive {
			alive = append(alive, p)
		}
	}
	return alive
}

// living lists a pool's workers that have not ended.
func (b *books) living(poolUID string) (living []pool.Worker) {
	for _, id := range slices.Sorted(maps.Keys(b.workers)) {
		if w := b.workers[id]; w.PoolUID == poolUID && !w.State.Ended() {
			living = append(living, w)
		}
	}
	return living
}

// running lists a pool's operations that have not ended.
func (b *books) running(poolUID string) (running []pool.Operation) {
	for _, id := range slices.Sorted(maps.Keys(b.operations)) {
		if o := b.operations[id]; o.PoolUID == poolUID && !o.Phase.Ended() {
			running = append(running, o)
		}
	}
	return running
}

// forced says whether a person asked not to wait for the pool's workers, which is never taken back.
func (b *books) forced(poolUID string) bool {
	for _, o := range b.operations {
		if o.PoolUID == poolUID && o.Force {
			return true
		}
	}
	return false
}

// claims lists the living leases for which match holds, in the order in which they were asked for.
func (b *books) claims(match func(pool.Lease) bool) (claims []pool.Lease) {
	for _, id := range slices.Sorted(maps.Keys(b.leases)) {
		if l := b.leases[id]; !l.State.Ended() && match(l) {
			claims = append(claims, l)
		}
	}
	return claims
}

// heldOn lists the leases that are held on a worker.
func (b *books) heldOn(workerID string) []pool.Lease {
	return b.claims(func(l pool.Lease) bool { return l.State == pool.LeaseHeld && l.WorkerID == workerID })
}

func (b *books) available(p pool.Pool, now time.Time) (n int) {
	for _, w := range b.living(p.UID) {
		if b.serves(p, w, now) {
			n++
		}
	}
	return n
}

// serves says whether a worker is available by one of the contracts that it may be under.
func (b *books) serves(p pool.Pool, w pool.Worker, now time.Time) bool {
	return slices.ContainsFunc(b.contracts(p, w), func(spec pool.Spec) bool { return planner.Available(spec, w, now) })
}

// contracts are the specs that a worker may be treated by: the pool's, or of an old worker, those with its
// template; which of them its controller had seen when the template changed is nobody's business.
func (b *books) contracts(p pool.Pool, w pool.Worker) (contracts []pool.Spec) {
	if w.TemplateHash == p.Target() {
		return []pool.Spec{p.Spec}
	}
	template := pool.TemplateHash(b.revisions[revisionKey{p.UID, w.Revision}].Spec, 0)
	for k, r := range b.revisions {
		if k.poolUID == p.UID && pool.TemplateHash(r.Spec, 0) == template {
			spec := p.Spec
			spec.Health, spec.Drain = r.Spec.Health, r.Spec.Drain
			contracts = append(contracts, spec)
		}
	}
	return contracts
}

// kept is a record with its times as precise as a store keeps them.
func kept[T any](record T) T {
	fields := reflect.ValueOf(&record).Elem()
	for i := range fields.NumField() {
		if t, ok := fields.Field(i).Addr().Interface().(*time.Time); ok {
			*t = t.UTC().Truncate(time.Microsecond)
		}
	}
	return record
}
