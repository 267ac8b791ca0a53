package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/failpoint"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// Want is what a scheduler asks for: a slot of one pool, or of any pool with some labels.
type Want struct {
	Pool     string // name or uid; empty if there is a selector
	Selector map[string]string
	Holder   string
}

// Acquire claims a slot. If none is free, the claim waits in the queue; it is answered when it got its slot,
// or after atMost, while it keeps its place as long as it is asked for.
func (m *Manager) Acquire(ctx context.Context, by Request, want Want, atMost time.Duration) (api.LeaseView, error) {
	if both, possible := scopeOf(ctx).Narrow(want.Selector); possible && want.Pool == "" {
		want.Selector = both
	}
	var l pool.Lease
	isNew := false
	var moves []string // uids of pools whose controllers have to know: a worker had its last lease, or more are needed
	err := m.serve(m.config.Store.Update(ctx, func(tx store.Writer) (err error) {
		if l, err = m.answeredLease(tx, by); err == nil && l.State == pool.LeaseWaiting { // it is asked for again
			l.ExpiresAt = m.config.Now().Add(atMost + l.TTL.Std())
			return tx.PutLease(l)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		pools, err := wanted(tx, want)
		if err != nil {
			return err
		}
		for _, p := range pools {
			if p.Spec.WorkerLimits.MaxLeases != nil || p.Spec.Autoscaling != nil {
				moves = append(moves, p.UID)
			}
		}
		now := m.config.Now()
		l = pool.Lease{
			ID: m.config.NewID("l"), State: pool.LeaseWaiting, Selector: want.Selector, Holder: want.Holder,
			Author: by.Author, TTL: pools[0].Spec.Leases.TTL, CreatedAt: now,
		}
		l.ExpiresAt = now.Add(atMost + l.TTL.Std())
		if want.Pool != "" {
			l.PoolUID, l.PoolName = pools[0].UID, pools[0].Name
		}
		if err := m.seat(tx, &l, pools); err != nil {
			return err
		}
		if err := tx.PutLease(l); err != nil {
			return err
		}
		isNew = true
		return m.remember(tx, by, l.ID, now)
	}))
	if err != nil {
		return api.LeaseView{}, err
	}
	if isNew {
		failpoint.Reach(failpoint.Granted)
		m.announce(l)
	}
	for _, uid := range moves {
		m.nudge(uid)
	}
	return m.awaitLease(ctx, l.ID, atMost)
}

// answeredLease is the lease that a repeated request was answered with; ErrNotFound for a new request.
func (m *Manager) answeredLease(tx store.Reader, by Request) (pool.Lease, error) {
	id, err := m.answered(tx, by)
	if err == nil && id == "" {
		err = store.ErrNotFound
	}
	if err != nil {
		return pool.Lease{}, err
	}
	l, err := tx.Lease(id)
	if errors.Is(err, store.ErrNotFound) {
		return l, refuse(api.ProblemLeaseEnded, "the lease that was answered to this request is forgotten: it ended more than %s ago", leaseAge)
	}
	return l, err
}

// wanted are the pools that may serve a claim, at least one.
func wanted(tx store.Reader, want Want) ([]pool.Pool, error) {
	if want.Pool != "" {
		p, err := find(tx, want.Pool)
		if err != nil {
			return nil, err
		}
		return []pool.Pool{p}, notDeleting(tx, p)
	}
	found, err := tx.PoolsByLabels(want.Selector)
	if err != nil {
		return nil, err
	}
	var pools []pool.Pool
	for _, p := range found {
		if p.Phase != pool.PhaseDeleting {
			pools = append(pools, p)
		}
	}
	if len(pools) == 0 {
		return nil, refuse(api.ProblemNotFound, "no pool has the labels %s", labelText(want.Selector))
	}
	return pools, nil
}

// seat gives a new lease a slot, if one is free and nobody waits for it.
func (m *Manager) seat(tx store.Writer, l *pool.Lease, pools []pool.Pool) error {
	for _, p := range pools {
		if _, err := tx.NextWaiting(p); !errors.Is(err, store.ErrNotFound) {
			if err != nil {
				return err
			}
			continue // it would be served before
		}
		w, err := tx.Room(p.UID, m.targets.of(p))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err == nil {
			hold(l, p, w, m.config.Now())
			err = m.spend(tx, p, w)
		}
		return err
	}
	return nil
}

// hold gives a lease a slot of a worker.
func hold(l *pool.Lease, p pool.Pool, w pool.Worker, now time.Time) {
	l.State, l.PoolUID, l.PoolName, l.WorkerID, l.TTL = pool.LeaseHeld, p.UID, p.Name, w.ID, p.Spec.Leases.TTL
	l.GrantedAt, l.ExpiresAt = now, now.Add(l.TTL.Std())
}

// spend notes that a worker that gets a lease gets no more after it, and is to be replaced.
func (m *Manager) spend(tx store.Writer, p pool.Pool, w pool.Worker) error {
	if most := p.Spec.WorkerLimits.MaxLeases; most == nil || w.Leases+1 < *most {
		return nil
	}
	return tx.Spend(w.ID)
}

// grant gives a pool's free slots to those who wait for them, in their order, and returns the leases that got one.
// It is called wherever a slot may have become free, in the same transaction.
func (m *Manager) grant(tx store.Writer, p pool.Pool) (served []pool.Lease, err error) {
	for p.Phase != pool.PhaseDeleting && p.Phase != pool.PhaseDestroyed {
		l, err := tx.NextWaiting(p)
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		w, err := tx.Room(p.UID, m.targets.of(p))
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		hold(&l, p, w, m.config.Now())
		if err := cmp.Or(tx.PutLease(l), m.spend(tx, p, w)); err != nil {
			return nil, err
		}
		served = append(served, l)
	}
	return served, nil
}

// Lease shows a living lease; one that waits keeps its place, and its slot is waited for, at most for the
// given time. A lease that has ended is refused, with how it ended.
func (m *Manager) Lease(ctx context.Context, id string, atMost time.Duration) (api.LeaseView, error) {
	if err := m.prolong(ctx, id, func(l pool.Lease) bool { return l.State == pool.LeaseWaiting }, atMost); err != nil {
		return api.LeaseView{}, err
	}
	return m.awaitLease(ctx, id, atMost)
}

// Renew gives a lease its whole time to live again.
func (m *Manager) Renew(ctx context.Context, id string) (api.LeaseView, error) {
	if err := m.prolong(ctx, id, func(pool.Lease) bool { return true }, 0); err != nil {
		return api.LeaseView{}, err
	}
	return m.awaitLease(ctx, id, 0)
}

// prolong renews a living lease for which it is meant.
func (m *Manager) prolong(ctx context.Context, id string, meant func(pool.Lease) bool, atMost time.Duration) error {
	return m.serve(m.config.Store.Update(ctx, func(tx store.Writer) error {
		l, err := living(tx, id)
		if err != nil || !meant(l) {
			return err
		}
		l.ExpiresAt = m.config.Now().Add(atMost + l.TTL.Std())
		return tx.PutLease(l)
	}))
}

// Release ends a lease, or gives up the wait for one. Its slot goes to the next in the queue. Once more
// is no error.
func (m *Manager) Release(ctx context.Context, id string) (pool.Lease, error) {
	var l pool.Lease
	var news []pool.Lease
	err := m.serve(m.config.Store.Update(ctx, func(tx store.Writer) (err error) {
		l, err = living(tx, id)
		var ended *Refusal
		if errors.As(err, &ended) && ended.Lease != nil && ended.Lease.State == pool.LeaseReleased {
			l = *ended.Lease
			return nil
		}
		if err != nil {
			return err
		}
		news, err = m.endLease(tx, &l, pool.LeaseReleased, "given back")
		return err
	}))
	if err != nil {
		return l, err
	}
	failpoint.Reach(failpoint.Released)
	m.leasesMoved(news...)
	return l, nil
}

// endLease ends a lease and gives its slot to the next. It returns both.
func (m *Manager) endLease(tx store.Writer, l *pool.Lease, how pool.LeaseState, why string) (news []pool.Lease, err error) {
	held := l.State == pool.LeaseHeld
	l.State, l.Reason, l.EndedAt = how, why, m.config.Now()
	if err := tx.PutLease(*l); err != nil || !held {
		return []pool.Lease{*l}, err
	}
	p, err := tx.Pool(l.PoolUID)
	if err != nil {
		return nil, err
	}
	served, err := m.grant(tx, p)
	return append(served, *l), err
}

// living is a lease that has not ended.
func living(tx store.Reader, id string) (pool.Lease, error) {
	l, err := tx.Lease(id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return l, refuse(api.ProblemNotFound, "there is no lease %q; ended ones are remembered for %s", id, leaseAge)
	case err == nil && l.State.Ended():
		r := refuse(api.ProblemLeaseEnded, "lease %s is %s since %s: %s", l.ID, l.State, l.EndedAt.Format(time.RFC3339), l.Reason)
		r.Lease = &l
		return l, r
	}
	return l, err
}

// awaitLease waits until a lease does not wait any more, and shows it.
func (m *Manager) awaitLease(ctx context.Context, id string, atMost time.Duration) (shown api.LeaseView, err error) {
	timeout := time.NewTimer(atMost)
	defer timeout.Stop()
	for {
		news, leave := m.waiting.join(id)
		err := m.config.Store.View(ctx, func(r store.Reader) (err error) {
			shown, err = m.showLease(r, id)
			return err
		})
		if err != nil || shown.State != pool.LeaseWaiting || atMost <= 0 {
			leave()
			return shown, err
		}
		more, err := m.listen(ctx, news, timeout.C)
		leave()
		if !more {
			return shown, err
		}
	}
}

// showLease tells a living lease, with what its holder has to know of its worker.
func (m *Manager) showLease(r store.Reader, id string) (shown api.LeaseView, err error) {
	if shown.Lease, err = living(r, id); err != nil {
		return shown, err
	}
	_, since := m.clock.read()
	shown.ExpiresAt = expiry(shown.Lease, since)
	if shown.State != pool.LeaseHeld {
		return shown, nil
	}
	w, err := r.Worker(shown.WorkerID)
	if err != nil {
		return shown, err
	}
	p, err := r.Pool(shown.PoolUID)
	if err != nil {
		return shown, err
	}
	shown.Worker = &api.LeasedWorker{State: w.State, Health: w.Health, Host: p.Host, Ports: w.Instance.Ports}
	if w.State.Leaving() {
		shown.Worker.DrainBy = drainEnd(w, since)
	}
	return shown, nil
}

// expiry is when a lease ends unless it is renewed: after a break everybody has at least one more time to live.
func expiry(l pool.Lease, since time.Time) time.Time {
	return later(l.ExpiresAt, since.Add(l.TTL.Std()))
}

// Leases lists a pool's held leases, then those that wait for a slot of it, also by a selector.
func (m *Manager) Leases(ctx context.Context, ref string, limit int) (leases []pool.Lease, err error) {
	err = m.config.Store.View(ctx, func(r store.Reader) error {
		p, err := find(r, ref)
		if err != nil {
			return err
		}
		held, err := r.HeldLeases(p.UID, limit)
		if err != nil {
			return err
		}
		waiting, err := r.WaitingLeases(p.UID, limit)
		if err != nil {
			return err
		}
		open, err := r.WaitingLeases("", 0)
		open = slices.DeleteFunc(open, func(l pool.Lease) bool { return !l.Wants(p) })
		leases = slices.Concat(held, waiting, open[:min(len(open), limit)])
		_, since := m.clock.read()
		for i := range leases {
			leases[i].ExpiresAt = expiry(leases[i], since)
		}
		slices.SortStableFunc(leases[len(held):], func(a, b pool.Lease) int { return a.CreatedAt.Compare(b.CreatedAt) })
		return err
	})
	return leases, err
}

// serve notes when the store keeps requests of holders from being served: nobody's time ends because of it.
func (m *Manager) serve(err error) error {
	if errors.Is(err, store.ErrUnwritable) {
		m.clock.interrupt()
	}
	return err
}

// leasesMoved tells of leases that got a slot or ended, also the controllers of pools whose workers may be idle
// now.
func (m *Manager) leasesMoved(news ...pool.Lease) {
	m.announce(news...)
	for _, l := range news {
		if l.State.Ended() && l.WorkerID != "" {
			m.nudge(l.PoolUID)
		}
	}
}

// announce tells those who wait for leases, or watch the registry, and counts them.
func (m *Manager) announce(news ...pool.Lease) {
	for _, l := range news {
		m.waiting.wake(l.ID)
		m.metrics.count(l)
		if l.PoolUID != "" {
			m.feed.tell(l.PoolUID)
		}
		if len(l.Selector) > 0 {
			m.feed.tell(noPool)
		}
	}
}

// nudge has a pool's controller look at its workers again.
func (m *Manager) nudge(poolUID string) {
	m.mu.Lock()
	c := m.controllers[poolUID]
	m.mu.Unlock()
	if c != nil {
		c.wake()
	}
}

// holders names who holds leases, the first ones of many.
func holders(held []pool.Lease) string {
	const most = 3
	var names []string
	for i, l := range held {
		if i == most {
			names = append(names, fmt.Sprintf("%d more", len(held)-most))
			break
		}
		name := l.ID
		if l.Holder != "" {
			name = fmt.Sprintf("%q (%s)", l.Holder, l.ID)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
