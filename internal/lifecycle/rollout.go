package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/failpoint"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// rolls says that an operation brings the pool to a template, which is good if it succeeds.
func rolls(o pool.Operation) bool {
	return o.Kind == pool.OperationCreate || o.Change == pool.ChangeRolling
}

// baseline is the last good template, as the planner knows it.
func (d *draft) baseline() planner.Baseline {
	if d.good == nil {
		return planner.Baseline{}
	}
	return planner.Baseline{Hash: d.hashes.of(d.good.Spec, pool.Template{Revision: d.good.Number, Restarts: d.pool.Good.Restarts}), Revision: d.good.Number}
}

// turn notes what an operation that goes on does from now on.
func (d *draft) turn(t planner.Turn) {
	i := d.operation(t.OperationID)
	if i < 0 {
		return
	}
	o := &d.operations[i]
	if t.Promoted && !o.Promoted {
		d.note(pool.EventRolloutPromoted, "", "the canary is good; the rest follows")
		d.events[len(d.events)-1].OperationID = o.ID
	} else if t.Phase == pool.OperationAwaiting && o.Phase != t.Phase {
		d.note(pool.EventRolloutWaiting, "", t.Reason)
		d.events[len(d.events)-1].OperationID = o.ID
	}
	o.Phase, o.Reason, o.Promoted, o.CanarySince = t.Phase, t.Reason, t.Promoted, t.CanarySince
	d.closed = append(d.closed, *o)
}

// falter takes in that a rollout failed and what it does instead of ending.
func (d *draft) falter(i int, out planner.Outcome) {
	o := &d.operations[i]
	o.Phase, o.Reason = out.Phase, out.Reason
	if len(out.Culprits) > 0 {
		d.culprits[o.ID] = out.Culprits
	}
	text := fmt.Sprintf("%s failed and waits: %s", o.Kind, o.Reason)
	if out.Phase == pool.OperationReverting {
		revert(&d.pool, o, *d.good, d.now)
		d.poolMoved = true
		d.revision = &pool.Revision{
			PoolUID: d.pool.UID, Number: d.pool.Revision, Spec: d.pool.Spec, Author: authorController, Reason: "rollback: " + o.Reason, CreatedAt: d.now,
		}
		text = fmt.Sprintf("%s failed, back to revision %d: %s", o.Kind, d.good.Number, o.Reason)
	}
	d.closed = append(d.closed, *o)
	d.note(pool.EventPoolReverted, "", text)
	d.events[len(d.events)-1].OperationID = o.ID
}

// revert gives a pool the last good template and contract again, as a new revision, and has the operation that
// failed bring it there. Whoever bases a change on what failed has to look again: it makes a generation.
func revert(p *pool.Pool, o *pool.Operation, good pool.Revision, now time.Time) {
	p.Spec = p.Spec.WithTemplateOf(good.Spec)
	p.Restarts = p.Good.Restarts
	p.Revision++
	p.Generation++
	p.Good.Revision, p.UpdatedAt = p.Revision, now
	o.Phase, o.Deadline, o.Generation = pool.OperationReverting, time.Time{}, p.Generation
}

// Pause stops everything that the manager does with a pool's workers but their leases, or has it go on.
func (m *Manager) Pause(ctx context.Context, by Request, ref string, yes bool) (pool.View, error) {
	return m.steer(ctx, by, ref, func(tx store.Writer, p *pool.Pool) (event pool.EventType, text string, err error) {
		if err := notDeleting(tx, *p); err != nil {
			return "", "", err
		}
		running, err := tx.RunningOperations(p.UID)
		if err != nil {
			return "", "", err
		}
		waits := slices.ContainsFunc(running, func(o pool.Operation) bool { return o.Phase == pool.OperationPaused })
		if p.Paused == yes && (yes || !waits) {
			return "", "", nil // it is so already
		}
		for _, o := range running {
			switch {
			case !yes:
				o.Deadline = time.Time{} // no time has run
				if o.Phase == pool.OperationPaused {
					o.Phase, o.Reason = pool.OperationRunning, ""
				}
			case o.Phase == pool.OperationRunning, o.Phase == pool.OperationAwaiting:
				o.Phase, o.Reason = pool.OperationPaused, because("paused by "+by.Author, by.Comment)
			}
			if err := tx.PutOperation(o); err != nil {
				return "", "", err
			}
		}
		p.Paused = yes
		if yes {
			return pool.EventPoolPaused, "paused", nil
		}
		return pool.EventPoolResumed, "resumed", nil
	})
}

// Promote has the rest of a rollout follow its canary.
func (m *Manager) Promote(ctx context.Context, by Request, ref string) (pool.View, error) {
	return m.steer(ctx, by, ref, func(tx store.Writer, p *pool.Pool) (pool.EventType, string, error) {
		o, err := rolloutOf(tx, *p)
		if err != nil {
			return "", "", err
		}
		if p.Spec.Update.Canary == nil || o.Promoted || o.Phase == pool.OperationReverting {
			return "", "", refuse(api.ProblemNoRollout, "the rollout of pool %q has no canary that waits", p.Name)
		}
		o.Promoted = true
		if o.Phase == pool.OperationAwaiting {
			o.Phase, o.Reason = pool.OperationRunning, ""
		}
		return pool.EventRolloutPromoted, "the rollout was promoted", tx.PutOperation(o)
	})
}

// Abort ends a rollout: the pool returns to its last good revision.
func (m *Manager) Abort(ctx context.Context, by Request, ref string) (pool.View, error) {
	return m.steer(ctx, by, ref, func(tx store.Writer, p *pool.Pool) (pool.EventType, string, error) {
		o, err := rolloutOf(tx, *p)
		switch {
		case err != nil:
			return "", "", err
		case o.Phase == pool.OperationReverting:
			return "", "", nil // it goes back already
		case p.Good.Revision == 0:
			return "", "", refuse(api.ProblemNoRollout, "pool %q has no good revision to return to", p.Name)
		}
		good, err := tx.Revision(p.UID, p.Good.Revision)
		if err != nil {
			return "", "", err
		}
		o.Aborted, o.Reason = true, because("aborted by "+by.Author, by.Comment)
		revert(p, &o, good, m.config.Now())
		err = tx.InsertRevision(pool.Revision{
			PoolUID: p.UID, Number: p.Revision, Spec: p.Spec, Author: by.Author, Reason: "abort: " + by.Comment, CreatedAt: m.config.Now(),
		})
		if err != nil {
			return "", "", err
		}
		return pool.EventRolloutAborted, fmt.Sprintf("the rollout was aborted, back to revision %d", good.Number), tx.PutOperation(o)
	})
}

// Revert changes a pool to the template and the contract of one of its revisions.
func (m *Manager) Revert(ctx context.Context, by Request, ref string, number int64) (Accepted, error) {
	return m.mutate(ctx, by, func(tx store.Writer) (Accepted, error) {
		p, err := find(tx, ref)
		if err != nil {
			return Accepted{}, err
		}
		if err := by.match(p); err != nil {
			return Accepted{}, err
		}
		if err := notDeleting(tx, p); err != nil {
			return Accepted{}, err
		}
		r, err := tx.Revision(p.UID, number)
		if errors.Is(err, store.ErrNotFound) {
			return Accepted{}, refuse(api.ProblemNotFound, "pool %q has no revision %d; its newest is %d", p.Name, number, p.Revision)
		}
		if err != nil {
			return Accepted{}, err
		}
		spec := p.Spec.WithTemplateOf(r.Spec)
		changes := pool.Changes(p.Spec, spec)
		if len(changes) == 0 {
			return m.again(tx, by, p)
		}
		change := pool.ChangeOf(p.Spec, spec)
		p.Spec, p.Claimed = spec, true
		return m.accept(tx, by, p, pool.OperationRevert, change, pool.EventPoolReverted, fmt.Sprintf("back to revision %d: %s", number, summary(changes)))
	})
}

// rolloutOf is the rollout that a pool is in.
func rolloutOf(tx store.Reader, p pool.Pool) (found pool.Operation, err error) {
	running, err := tx.RunningOperations(p.UID)
	if err != nil {
		return found, err
	}
	for _, o := range running {
		if o.Change == pool.ChangeRolling {
			found = o
		}
	}
	if found.ID == "" {
		return found, refuse(api.ProblemNoRollout, "pool %q is in no rollout", p.Name)
	}
	return found, nil
}

// steer changes how a pool goes on, without asking for anything new. An event says who did; no event means
// that nothing had to be changed.
func (m *Manager) steer(ctx context.Context, by Request, ref string, change func(store.Writer, *pool.Pool) (pool.EventType, string, error)) (v pool.View, err error) {
	var p pool.Pool
	var running []pool.Operation
	again := false
	err = m.config.Store.Update(ctx, func(tx store.Writer) (err error) {
		uid, err := m.answered(tx, by)
		if err != nil {
			return err
		}
		if again = uid != ""; again {
			p, err = tx.Pool(uid)
			return err
		}
		if p, err = find(tx, ref); err != nil {
			return err
		}
		if running, err = tx.RunningOperations(p.UID); err != nil {
			return err
		}
		event, text, err := change(tx, &p)
		if err == nil {
			err = m.remember(tx, by, p.UID, m.config.Now())
		}
		if err != nil || event == "" {
			return err
		}
		p.Steered++
		if err := tx.UpdatePool(p); err != nil {
			return err
		}
		return tx.AppendEvents(pool.Event{
			PoolUID: p.UID, PoolName: p.Name, Type: event, Time: m.config.Now(), Author: by.Author, Message: text, Comment: by.Comment,
		})
	})
	if err != nil {
		return v, err
	}
	failpoint.Reach(failpoint.Steered)
	if !again {
		m.wake(p)
	}
	for _, o := range running {
		m.waiting.wake(o.ID)
	}
	return v, m.config.Store.View(ctx, func(r store.Reader) (err error) {
		v, err = m.view(r, p)
		return err
	})
}

// because adds a comment to what was done.
func because(what, comment string) string { return strings.TrimSuffix(what+": "+comment, ": ") }
