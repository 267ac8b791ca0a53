package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// claims are what schedulers ask for in a storm.
var claims = []wish{
	{"a slot of a pool", 30, ofSome(func(r *run, p pool.Pool) *request {
		return acquire(r, "of "+p.Name, lifecycle.Want{Pool: p.UID})
	})},
	{"a slot of any pool with some labels", 8, func(r *run) *request {
		selector := labels(r)
		return acquire(r, "of any "+selector["team"], lifecycle.Want{Selector: selector})
	}},
	{"renewal", 30, ofLease(living, func(_ *run, l pool.Lease) *request { return renew(l) })},
	{"what became of a claim", 15, ofLease(waiting, func(r *run, l pool.Lease) *request {
		return lookAt(l, pick(r, 0, 2*time.Second, 20*time.Second))
	})},
	{"an end", 20, ofLease(living, func(_ *run, l pool.Lease) *request { return release(l) })},
	{"an end once more", 2, ofLease(over, func(_ *run, l pool.Lease) *request { return release(l) })},
	{"renewal of what is over", 2, ofLease(over, func(_ *run, l pool.Lease) *request {
		q := renew(l)
		q.never = "it is over"
		return q
	})},
}

func living(l pool.Lease) bool  { return !l.State.Ended() }
func waiting(l pool.Lease) bool { return l.State == pool.LeaseWaiting }
func over(l pool.Lease) bool    { return l.State.Ended() }

// ofLease is a wish about one of the leases.
func ofLease(match func(pool.Lease) bool, makes func(*run, pool.Lease) *request) func(*run) *request {
	return func(r *run) *request {
		var found []pool.Lease
		for _, id := range slices.Sorted(maps.Keys(r.books.leases)) {
			if l := r.books.leases[id]; match(l) {
				found = append(found, l)
			}
		}
		if len(found) == 0 {
			return nil
		}
		return makes(r, found[r.rand.IntN(len(found))])
	}
}

func acquire(r *run, what string, want lifecycle.Want) *request {
	want.Holder = fmt.Sprint("job ", r.rand.IntN(1000))
	atMost := pick(r, 0, 0, 3*time.Second, 30*time.Second)
	return &request{what: fmt.Sprintf("a slot %s for %s", what, want.Holder), claim: func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (api.LeaseView, error) {
		return m.Acquire(ctx, by, want, atMost)
	}}
}

func renew(l pool.Lease) *request {
	return &request{looks: true, what: "renew " + l.ID, claim: func(ctx context.Context, m *lifecycle.Manager, _ lifecycle.Request) (api.LeaseView, error) {
		return m.Renew(ctx, l.ID)
	}}
}

func lookAt(l pool.Lease, atMost time.Duration) *request {
	return &request{looks: true, what: "wait for " + l.ID, claim: func(ctx context.Context, m *lifecycle.Manager, _ lifecycle.Request) (api.LeaseView, error) {
		return m.Lease(ctx, l.ID, atMost)
	}}
}

func release(l pool.Lease) *request {
	return &request{looks: true, what: "release " + l.ID, claim: func(ctx context.Context, m *lifecycle.Manager, _ lifecycle.Request) (api.LeaseView, error) {
		released, err := m.Release(ctx, l.ID)
		return api.LeaseView{Lease: released}, err
	}}
}
