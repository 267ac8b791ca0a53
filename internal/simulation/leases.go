package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// changeOfLease is a lease's record before and after a commit.
type changeOfLease struct{ before, after pool.Lease } // before is blank for a new one

// moved lists the leases whose state a commit has changed, by id.
func (m moment) moved() (moved []changeOfLease) {
	for _, id := range slices.Sorted(maps.Keys(m.after.leases)) {
		if c := (changeOfLease{m.before.leases[id], m.after.leases[id]}); c.before.State != c.after.State {
			moved = append(moved, c)
		}
	}
	return moved
}

func (c changeOfLease) granted() bool { return c.after.State == pool.LeaseHeld }
func (c changeOfLease) wasHeld() bool { return c.before.State == pool.LeaseHeld }

// misgranted finds a slot that is granted twice, or on a worker that takes no leases.
func misgranted(_ *run, m moment) string {
	for _, c := range m.moved() {
		if !c.granted() {
			continue
		}
		w := m.after.workers[c.after.WorkerID]
		switch held := len(m.after.heldOn(w.ID)); {
		case w.State != pool.WorkerReady || w.Health != pool.Healthy || w.Cordoned || m.before.workers[w.ID].Spent:
			return fmt.Sprintf("%s is granted on %s, which is %s and %s (cordoned: %t)", c.after.ID, w.ID, w.State, w.Health, w.Cordoned)
		case held > int(w.Slots):
			return fmt.Sprintf("%s is granted on %s, on which %d are held then, more than its %d slots", c.after.ID, w.ID, held, w.Slots)
		case w.PoolUID != c.after.PoolUID || !c.before.Wants(m.after.pools[w.PoolUID]) && c.before.ID != "":
			return fmt.Sprintf("%s is granted on %s, of another pool than it asked for", c.after.ID, w.ID)
		}
	}
	return ""
}

// overtaken finds a claim that got a slot before an earlier one that waits for it too.
func overtaken(_ *run, m moment) string {
	for _, c := range m.moved() {
		if !c.granted() {
			continue
		}
		for _, l := range m.after.claims(waiting) {
			if l.ID < c.after.ID && l.Wants(m.after.pools[c.after.PoolUID]) {
				return fmt.Sprintf("%s gets a slot of %s, for which %s has waited longer", c.after.ID, c.after.PoolName, l.ID)
			}
		}
	}
	return ""
}

// neglected finds a claim that waits beside a free slot.
func neglected(_ *run, m moment) string {
	p := m.after.pools[m.poolUID]
	if p.Phase == pool.PhaseDeleting || p.Phase == pool.PhaseDestroyed {
		return ""
	}
	for _, l := range m.after.claims(waiting) {
		if !l.Wants(p) {
			continue
		}
		for _, w := range m.after.living(p.UID) {
			if held := len(m.after.heldOn(w.ID)); w.Leasable() && held < int(w.Slots) {
				return fmt.Sprintf("%s waits, and %s has a free slot: %d of %d are held", l.ID, w.ID, held, w.Slots)
			}
		}
	}
	return ""
}

// expiredEarly finds a lease that ends before its holder had its whole time to renew it. What passed before
// the manager began does not count.
func expiredEarly(r *run, m moment) string {
	for _, c := range m.moved() {
		l := c.before
		if c.after.State != pool.LeaseExpired {
			continue
		}
		if due := later(l.ExpiresAt, r.life.began.Add(l.TTL.Std())).Truncate(time.Microsecond); c.after.EndedAt.Before(due) {
			return fmt.Sprintf("%s, %s, expires %s early", l.ID, l.State, due.Sub(c.after.EndedAt))
		}
	}
	return ""
}

// endings are the ends of held leases that are events.
var endings = map[pool.LeaseState]pool.EventType{
	pool.LeaseExpired: pool.EventLeaseExpired,
	pool.LeaseLost:    pool.EventLeaseLost,
	pool.LeaseRevoked: pool.EventLeaseRevoked,
}

// unended finds a lease that outlives its worker, or one whose end is told otherwise than once.
func unended(_ *run, m moment) string {
	for _, l := range m.after.claims(func(l pool.Lease) bool { return l.State == pool.LeaseHeld }) {
		if w := m.after.workers[l.WorkerID]; w.State.Ended() || w.ID == "" {
			return fmt.Sprintf("%s is held on %s, which is %q", l.ID, l.WorkerID, w.State)
		}
	}
	for _, c := range m.moved() {
		tell, told := endings[c.after.State]
		if !c.wasHeld() || !told {
			continue
		}
		uid, n := c.after.PoolUID, 0
		for _, e := range m.after.events[uid][len(m.before.events[uid]):] {
			if subject, _, _ := strings.Cut(e.Message, ": "); e.Type == tell && strings.Contains(subject, c.after.ID) && e.WorkerID == c.after.WorkerID {
				n++
			}
		}
		w := m.after.workers[c.after.WorkerID]
		switch lost := c.after.State == pool.LeaseLost; {
		case n != 1:
			return fmt.Sprintf("%d events tell that %s is %s", n, c.after.ID, c.after.State)
		case lost != w.State.Ended() && c.after.State != pool.LeaseExpired:
			return fmt.Sprintf("%s is %s, and %s is %s", c.after.ID, c.after.State, w.ID, w.State)
		case c.after.Reason == "":
			return fmt.Sprintf("%s is %s and does not say why", c.after.ID, c.after.State)
		}
	}
	return ""
}

// outlived finds a lease that lives on when its pool is destroyed.
func outlived(_ *run, m moment) string {
	b, a := m.before.pools[m.poolUID], m.after.pools[m.poolUID]
	if b.Phase == a.Phase || a.Phase != pool.PhaseDestroyed {
		return ""
	}
	for _, l := range m.after.claims(func(l pool.Lease) bool { return l.PoolUID == a.UID }) {
		return fmt.Sprintf("%s is %s, and its pool is destroyed", l.ID, l.State)
	}
	return ""
}

// miscounted finds a worker whose count is not that of the leases which are held on it.
func miscounted(_ *run, m moment) string {
	for _, w := range m.after.living(m.poolUID) {
		if held := len(m.after.heldOn(w.ID)); m.marks[w.ID].Leased != held || w.Leased != held {
			return fmt.Sprintf("%s counts %d leases, and %d are held on it", w.ID, m.marks[w.ID].Leased, held)
		}
	}
	return ""
}

// unrecordedLease finds a lease that was answered and is not on record as it was.
func unrecordedLease(r *run, m moment) string {
	l, known := m.after.leases[m.lease.ID]
	switch {
	case !known && r.now().Sub(m.lease.CreatedAt) < time.Hour: // later it may be forgotten
		return fmt.Sprintf("%s was answered %q, which is not on record", m.request.what, m.lease.ID)
	case known && m.lease.State == pool.LeaseHeld && (l.State == pool.LeaseWaiting || l.WorkerID != m.lease.WorkerID):
		return fmt.Sprintf("%s was answered with a slot of %s, and is on record as %s on %q", l.ID, m.lease.WorkerID, l.State, l.WorkerID)
	case known && m.lease.State.Ended() && l.State != m.lease.State:
		return fmt.Sprintf("%s was answered as %s, and is on record as %s", l.ID, m.lease.State, l.State)
	}
	return ""
}
