package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/autoscale"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// authorAutoscaler is the author of the counts that an autoscaled pool decides on. They make no generation: nobody
// asked for them.
const authorAutoscaler = "system:autoscaler"

// scale gives an autoscaled pool as many workers as its leases ask for.
func (d *draft) scale() {
	bounds := d.pool.Spec.Autoscaling
	if bounds == nil || d.pool.Paused || d.pool.Phase == pool.PhaseDeleting || d.pool.Phase == pool.PhaseDestroyed {
		d.demanded = nil
		return
	}
	demand := autoscale.Demand{Waiting: d.waiting, Slots: int(d.pool.Spec.Leases.Slots)}
	for _, w := range d.workers {
		if w.Leased > 0 && !w.State.Leaving() && !w.State.Ended() {
			demand.Busy++
		}
	}
	decided := autoscale.Decide(d.now, *bounds, d.pool.Count, demand, d.demanded, d.pool.Phase == pool.PhaseLive)
	d.demanded, d.rescale = decided.Memory, decided.Next
	if d.passed { // another pool grows for some, as long as it can
		d.rescale = soonest(d.rescale, d.now.Add(retryAfter))
	}
	if decided.Count == d.pool.Count {
		return
	}
	d.events = append(d.events, pool.Event{
		PoolUID: d.pool.UID, PoolName: d.pool.Name, Type: pool.EventPoolScaled, Time: d.now, Author: authorAutoscaler,
		Message: fmt.Sprintf("%d -> %d workers: %s", d.pool.Count, decided.Count, decided.Reason),
	})
	d.pool.Count, d.pool.Scaling, d.poolMoved = decided.Count, true, true
}

// scaled notes that the count that was decided on is reached.
func (d *draft) scaled(converged bool) {
	if converged && d.pool.Scaling {
		d.pool.Scaling, d.poolMoved = false, true
	}
}

// readWaiting reads how many claims wait for a slot of an autoscaled pool.
func (c *controller) readWaiting(r store.Reader) (err error) {
	c.state.waiting, c.state.passed = 0, false
	if c.state.pool.Spec.Autoscaling == nil {
		return nil
	}
	if _, c.state.waiting, err = r.CountLeases(c.uid); err != nil {
		return err
	}
	open, err := r.WaitingLeases("", mostOpen)
	if err != nil {
		return err
	}
	selectors, waiting := map[string]map[string]string{}, map[string]int{}
	for _, l := range open {
		if l.Wants(c.state.pool) {
			text := labelText(l.Selector)
			selectors[text] = l.Selector
			waiting[text]++
		}
	}
	for text, n := range waiting {
		share, err := shareOf(r, c.uid, selectors[text], n)
		if err != nil {
			return err
		}
		c.state.waiting += share
		c.state.passed = c.state.passed || share < n
	}
	return nil
}

// mostOpen bounds how many claims by labels are looked at to find out how many wait for one pool.
const mostOpen = 1000

// shareOf is how many of the claims that wait with a selector one pool grows for: each of the pools with the labels
// takes as many as it can have workers for, in the order of their names.
func shareOf(r store.Reader, poolUID string, selector map[string]string, claims int) (int, error) {
	pools, err := r.PoolsByLabels(selector)
	if err != nil {
		return 0, err
	}
	for _, p := range pools {
		if p.Spec.Autoscaling == nil || p.Phase == pool.PhaseDeleting || p.Paused {
			continue
		}
		room, err := roomToGrow(r, p)
		if err != nil {
			return 0, err
		}
		share := min(claims, room)
		if p.UID == poolUID {
			return share, nil
		}
		claims -= share
	}
	return 0, nil
}

// roomToGrow is how many more claims a pool could serve with all the workers that it may have.
func roomToGrow(r store.Reader, p pool.Pool) (int, error) {
	marks, err := r.Marks(p.UID)
	if err != nil {
		return 0, err
	}
	_, own, err := r.CountLeases(p.UID)
	if err != nil {
		return 0, err
	}
	_, most := p.Spec.Autoscaling.Bounds()
	free := int(most)
	for _, m := range marks {
		if m.Leased > 0 {
			free--
		}
	}
	return max(free*max(int(p.Spec.Leases.Slots), 1)-own, 0), nil
}

// Resize changes the size of a pool. An autoscaled one decides on its size itself.
func (m *Manager) Resize(ctx context.Context, by Request, ref string, size int64) (Accepted, error) {
	done, err := m.Patch(ctx, by, ref, fmt.Appendf(nil, `{"size":%d}`, size))
	var refused *Refusal
	if !errors.As(err, &refused) || refused.Problem != api.ProblemInvalid {
		return done, err
	}
	return done, m.config.Store.View(ctx, func(r store.Reader) error {
		if p, found := find(r, ref); found == nil && p.Spec.Autoscaling != nil {
			return autoscaled(p)
		}
		return err
	})
}

func autoscaled(p pool.Pool) error {
	least, most := p.Spec.Autoscaling.Bounds()
	return refuse(api.ProblemAutoscaled, "pool %q sizes itself, from autoscaling.min %d to autoscaling.max %d: change these", p.Name, least, most)
}

// soonest is the earlier of two moments, of which a zero one never comes.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
