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
	if d.passed { // until the other one cannot grow any more, for whatever reason
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
	grows := map[string]bool{} // by selector
	for _, l := range open {
		if !l.Wants(c.state.pool) {
			continue
		}
		selector := labelText(l.Selector)
		if _, known := grows[selector]; !known {
			first, err := grower(r, l)
			if err != nil {
				return err
			}
			grows[selector] = first == c.uid
		}
		if grows[selector] {
			c.state.waiting++
		} else {
			c.state.passed = true
		}
	}
	return nil
}

// mostOpen bounds how many claims by labels are looked at to find out how many wait for one pool.
const mostOpen = 1000

// grower is the pool that grows for a claim by labels: the first of those with the labels that may. Empty if none.
func grower(r store.Reader, l pool.Lease) (poolUID string, err error) {
	pools, err := r.PoolsByLabels(l.Selector)
	if err != nil {
		return "", err
	}
	for _, p := range pools {
		if a := p.Spec.Autoscaling; a != nil && p.Phase != pool.PhaseDeleting && !p.Paused {
			if _, most := a.Bounds(); int64(p.Desired()) < most {
				return p.UID, nil
			}
		}
	}
	return "", nil
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
