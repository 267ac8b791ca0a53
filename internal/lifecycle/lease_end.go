package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// Leases end in four ways: their holder gives them back, does not renew them, loses its worker, or has it
// taken away. What follows are the last three, which are events.

const (
	authorLeases = "system:leases"
	// leaseAge is how long an ended lease is remembered, so that its holder learns how it ended.
	leaseAge = time.Hour
	// lookEvery bounds the time between two looks for leases that are due: no lease lives shorter.
	lookEvery = 5 * time.Second
	// pruneEvery is how often those that ended are forgotten at least, and tokens with them.
	pruneEvery = 10 * time.Minute
	// dueAtOnce bounds how many leases end in one transaction.
	dueAtOnce = 256
)

// expireLeases ends leases whose time is over, until ctx ends.
func (m *Manager) expireLeases(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return
		}
		next, err := m.expireDue(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			m.config.Logger.Error("cannot end the leases that are due; trying again", "error", err)
			next = m.config.Now().Add(retryAfter)
		}
		timer.Reset(max(next.Sub(m.config.Now()), 0))
	}
}

// expireDue ends the leases that are due now, and returns when to look again.
func (m *Manager) expireDue(ctx context.Context) (next time.Time, err error) {
	now, since := m.clock.read()
	next = now.Add(lookEvery)
	due := func(r store.Reader) (over []pool.Lease, err error) {
		soon, err := r.DueLeases(next, since, dueAtOnce)
		for _, l := range soon {
			switch at := expiry(l, since); {
			case !at.After(now):
				over = append(over, l)
			case at.Before(next):
				next = at
			}
		}
		return over, err
	}
	var over []pool.Lease
	err = m.config.Store.View(ctx, func(r store.Reader) (err error) {
		over, err = due(r)
		return err
	})
	if err != nil || len(over) == 0 && now.Before(m.pruned.Add(pruneEvery)) {
		return next, err
	}
	m.pruned = now
	var news []pool.Lease
	err = m.serve(m.config.Store.Update(ctx, func(tx store.Writer) (err error) {
		if over, err = due(tx); err != nil {
			return err
		}
		// Claims that nobody asks for end first, or they would get the slots of the others.
		slices.SortStableFunc(over, func(a, b pool.Lease) int { return -cmp.Compare(a.State, b.State) })
		for i := range over {
			more, err := m.expire(tx, &over[i])
			if err != nil {
				return err
			}
			news = append(news, more...)
		}
		if err := tx.PruneTokens(now.Add(-tokenAge), dueAtOnce); err != nil {
			return err
		}
		return tx.PruneLeases(now.Add(-leaseAge), dueAtOnce)
	}))
	if err != nil {
		return next, err
	}
	m.leasesMoved(news...)
	if len(over) == dueAtOnce {
		next = now
	}
	return next, nil
}

func (m *Manager) expire(tx store.Writer, l *pool.Lease) (news []pool.Lease, err error) {
	why := fmt.Sprintf("not renewed within %s", l.TTL)
	if l.State == pool.LeaseWaiting {
		why = "nobody asked for it any more"
	} else if err := tx.AppendEvents(leaseEvent(*l, pool.EventLeaseExpired, why, m.config.Now())); err != nil {
		return nil, err
	}
	return m.endLease(tx, l, pool.LeaseExpired, why)
}

// settleLeases ends the leases of workers that are gone or taken away, and gives the slots that a draft
// opens to those who wait. It returns the leases that there is news of.
func (c *controller) settleLeases(tx store.Writer, d *draft) (news []pool.Lease, err error) {
	end := func(w pool.Worker, how pool.LeaseState, kind pool.EventType) error {
		held, err := tx.LeasesOf(w.ID)
		for _, l := range held {
			l.State, l.Reason, l.EndedAt = how, "worker "+w.ID+": "+w.Reason, d.now
			if err := tx.PutLease(l); err != nil {
				return err
			}
			news = append(news, l)
			d.events = append(d.events, leaseEvent(l, kind, l.Reason, d.now))
		}
		return err
	}
	for _, w := range d.ended {
		if err := end(w, pool.LeaseLost, pool.EventLeaseLost); err != nil {
			return nil, err
		}
	}
	for _, id := range d.revoked {
		if i := d.index(id); i >= 0 {
			if err := end(d.workers[i], pool.LeaseRevoked, pool.EventLeaseRevoked); err != nil {
				return nil, err
			}
		}
	}
	if !d.opened {
		return news, nil
	}
	served, err := c.m.grant(tx, d.pool)
	return append(news, served...), err
}

// stillIdle makes sure that workers which drain because they have no work have not got any meanwhile.
func stillIdle(tx store.Reader, ids []string) error {
	for _, id := range ids {
		w, err := tx.Worker(id)
		switch {
		case errors.Is(err, store.ErrNotFound): // not even journaled yet
		case err != nil:
			return err
		case w.Leased > 0:
			return errStale
		}
	}
	return nil
}

// stillOver makes sure that workers which are stopped or killed although they are busy have not got more time
// meanwhile. Who asks for more after that is too late by the manager's time.
func (c *controller) stillOver(tx store.Reader, ids []string) error {
	for _, id := range ids {
		i := slices.IndexFunc(c.state.workers, func(w pool.Worker) bool { return w.ID == id })
		if i < 0 {
			continue // not even journaled yet
		}
		w, err := tx.Worker(id)
		if err == nil && !w.ExtendedTo.Equal(c.state.workers[i].ExtendedTo) {
			err = errStale
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// endWaiting ends the wait for slots of a pool that will have none.
func (m *Manager) endWaiting(tx store.Writer, p pool.Pool) (news []pool.Lease, err error) {
	waiting, err := tx.WaitingLeases(p.UID, 0)
	if err != nil {
		return nil, err
	}
	for _, l := range waiting {
		ended, err := m.endLease(tx, &l, pool.LeaseRevoked, "the pool is being destroyed")
		if err != nil {
			return nil, err
		}
		news = append(news, ended...)
	}
	return news, nil
}

func leaseEvent(l pool.Lease, kind pool.EventType, why string, now time.Time) pool.Event {
	return pool.Event{
		PoolUID: l.PoolUID, PoolName: l.PoolName, Type: kind, Time: now, Author: authorLeases, WorkerID: l.WorkerID,
		Message: fmt.Sprintf("lease of %s: %s", holders([]pool.Lease{l}), why),
	}
}

// labelText is a selector as people write it.
func labelText(labels map[string]string) string {
	pairs := make([]string, 0, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, k+"="+labels[k])
	}
	return strings.Join(pairs, ", ")
}
