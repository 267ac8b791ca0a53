package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// audit compares the store that a manager has left with the books: what was answered is there, and nothing
// else is.
func (r *run) audit() {
	err := r.store.View(context.Background(), func(read store.Reader) error {
		for _, uid := range r.books.poolUIDs() {
			if err := r.auditPool(read, uid); err != nil {
				return err
			}
		}
		for _, k := range slices.SortedFunc(maps.Keys(r.books.replies), func(a, b replyKey) int {
			return len(a.key) - len(b.key)
		}) {
			reply, err := read.IdempotentReply(k.author, k.key)
			if err := r.same("the reply to "+k.key, reply, r.books.replies[k], err); err != nil {
				return err
			}
		}
		return r.auditLeases(read)
	})
	if err != nil {
		r.breach(audited, "%v", err)
	}
}

func (r *run) auditPool(read store.Reader, uid string) error {
	p, err := read.Pool(uid)
	if err := r.same("pool "+uid, p, r.books.pools[uid], err); err != nil {
		return err
	}
	for _, w := range r.books.ofPool(uid) {
		found, err := read.Worker(w.ID)
		if err := r.same("worker "+w.ID, found, w, err); err != nil {
			return err
		}
	}
	living, err := read.Workers(uid)
	if err != nil {
		return err
	}
	if want := r.books.living(uid); len(living) != len(want) {
		return fmt.Errorf("%d workers of pool %s live instead of %d", len(living), uid, len(want))
	}
	for id, o := range r.books.operations {
		if o.PoolUID != uid {
			continue
		}
		found, err := read.Operation(id)
		if err := r.same("operation "+id, found, o, err); err != nil {
			return err
		}
	}
	for k, v := range r.books.revisions {
		if k.poolUID != uid {
			continue
		}
		found, err := read.Revision(uid, k.number)
		if err := r.same(fmt.Sprintf("revision %d", k.number), found, v, err); err != nil {
			return err
		}
	}
	return r.auditEvents(read, uid)
}

// auditLeases looks for every lease that was held, and every place in the queue.
func (r *run) auditLeases(read store.Reader) error {
	for _, id := range slices.Sorted(maps.Keys(r.books.leases)) {
		found, err := read.Lease(id)
		if err := r.same("lease "+id, found, r.books.leases[id], err); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) auditEvents(read store.Reader, uid string) error {
	events, err := read.Events(uid, 0, 0)
	if err != nil {
		return err
	}
	for i, e := range events {
		if e.Sequence != int64(i+1) {
			r.breach(gapless, "event %d of pool %s has the number %d", i+1, uid, e.Sequence)
			return nil
		}
	}
	if want := r.books.events[uid]; len(events) != len(want) {
		return fmt.Errorf("pool %s has %d events instead of %d", uid, len(events), len(want))
	}
	for i, e := range events {
		if err := r.same(fmt.Sprintf("event %d of pool %s", e.Sequence, uid), e, r.books.events[uid][i], nil); err != nil {
			return err
		}
	}
	return nil
}

// same says how a record in the store differs from the books.
func (r *run) same(what string, found, want any, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	a, b := text(found), text(want)
	if a != b {
		return fmt.Errorf("%s is\n\t%s\ninstead of\n\t%s", what, a, b)
	}
	return nil
}

func text(record any) string {
	data, err := json.Marshal(record)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
