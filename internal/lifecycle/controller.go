package lifecycle

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/failpoint"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// controller keeps one pool as its newest generation wants it. Its records are its own: nobody else writes
// workers, and whoever accepts a change of the pool wakes it to read the pool again.
type controller struct {
	m    *Manager
	uid  string
	name string
	log  hclog.Logger
	inbox

	state   state
	watched *pool.Spec            // the newest spec that was followed; nil at first
	tried   map[attempt]time.Time // when repeated effects were last begun
	busy    sync.Map              // repeated effects that are under way
	starts  lane                  // of launches
	talks   lane                  // of effects that wait for a worker's answer
	others  lane                  // of the other effects
	effects sync.WaitGroup
	resumed []effect // taken up from an earlier manager, to be carried out first
}

// attempt names an effect that the planner asks for again until it has worked.
type attempt struct {
	workerID string
	kind     effectKind
}

// What bounds how many effects of one pool are under way at once. Launches take the processor; kills and
// sweeps mostly wait for a walk of the process table, which those under way together share. Workers that never
// answer keep only other answers waiting.
const (
	maxLaunches = 8
	maxTalks    = 256
	maxOthers   = 256
)

// errStale: the pool was changed since the controller read it.
var errStale = errors.New("the pool was changed meanwhile")

// run steps until the pool is destroyed or ctx ends, and waits for the effects under way.
func (c *controller) run(ctx context.Context) {
	defer c.effects.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-c.woken():
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return
		}
		next, err := c.step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errStale):
			c.changed()
			continue
		case err != nil:
			c.log.Error("cannot record what is to be done; trying again", "error", err)
			next = c.m.config.Now().Add(retryAfter)
		}
		if c.state.pool.Phase == pool.PhaseDestroyed {
			return
		}
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(max(next.Sub(c.m.config.Now()), 0))
		}
	}
}

// step takes in what happened, plans, journals and acts. It returns when time alone makes another step due.
func (c *controller) step(ctx context.Context) (time.Time, error) {
	facts, reread := c.take()
	if err := c.reread(ctx, reread); err != nil {
		c.putBack(facts, reread)
		return time.Time{}, err
	}
	now, since := c.m.clock.read()
	c.state.since = later(c.state.since, since)
	d := newDraft(c.state, now, func() string { return c.m.config.NewID("w") })
	resumed := c.resumed
	d.effects, c.resumed = slices.Clone(resumed), nil
	for _, f := range facts {
		d.take(f)
	}
	base := d.pool.Generation
	d.plan(c.m.config.Plan)
	if err := c.commit(ctx, d, base); err != nil {
		c.putBack(facts, false)
		c.resumed = resumed
		return time.Time{}, err
	}
	if len(d.effects) > 0 {
		failpoint.Reach(failpoint.Journaled)
	}
	c.state = d.state
	if d.poolMoved {
		c.changed() // the good revision may be another one
	}
	c.follow(ctx, d)
	return c.due(d), nil
}

// reread reads what others write: the marks of the workers, and, after somebody changed them, the pool and
// its running operations.
func (c *controller) reread(ctx context.Context, changed bool) error {
	return c.m.config.Store.View(ctx, func(r store.Reader) (err error) {
		if changed {
			if c.state.pool, err = r.Pool(c.uid); err != nil {
				return err
			}
			if c.state.operations, err = r.RunningOperations(c.uid); err != nil {
				return err
			}
			if err := c.readGood(r); err != nil {
				return err
			}
			if err := c.readContracts(r); err != nil {
				return err
			}
		}
		if err := c.readMarks(r); err != nil {
			return err
		}
		return c.readWaiting(r)
	})
}

// readGood reads the revision that a failed rollout returns to.
func (c *controller) readGood(r store.Reader) error {
	number := c.state.pool.Good.Revision
	if number == 0 {
		c.state.good = nil
		return nil
	}
	if c.state.good != nil && c.state.good.Number == number {
		return nil
	}
	good, err := r.Revision(c.uid, number)
	c.state.good = &good
	return err
}

// readMarks reads the marks of the pool's workers, and who holds leases on those that drain.
func (c *controller) readMarks(r store.Reader) error {
	marks, err := r.Marks(c.uid)
	if err != nil {
		return err
	}
	c.state.holders = map[string]string{}
	for i := range c.state.workers {
		w := &c.state.workers[i]
		w.Marks = marks[w.ID]
		if w.Leased == 0 || !w.State.Leaving() {
			continue
		}
		held, err := r.LeasesOf(w.ID)
		if err != nil {
			return err
		}
		c.state.holders[w.ID] = holders(held)
	}
	return nil
}

// commit journals a draft in one transaction.
func (c *controller) commit(ctx context.Context, d *draft, base int64) error {
	if d.empty() {
		return nil
	}
	for i, o := range d.closed {
		if tail := c.tails(ctx, d.culprits[o.ID]); tail != "" {
			d.closed[i].LogTail = tail
			if j := d.operation(o.ID); j >= 0 {
				d.operations[j].LogTail = tail // it goes on
			}
		}
	}
	return c.m.config.Store.Update(ctx, func(tx store.Writer) error {
		p, err := tx.Pool(c.uid)
		if err != nil {
			return err
		}
		if p.Generation != base || p.Steered != d.pool.Steered {
			return errStale
		}
		if d.revision != nil {
			if err := tx.InsertRevision(*d.revision); err != nil {
				return err
			}
		}
		if d.poolMoved {
			d.pool.Claimed = p.Claimed // which changes without a generation
			if err := tx.UpdatePool(d.pool); err != nil {
				return err
			}
		}
		if err := errors.Join(stillIdle(tx, d.idle), c.stillOver(tx, slices.Concat(d.revoked, d.late))); err != nil {
			return err
		}
		if err := tx.PutWorkers(d.rows()...); err != nil {
			return err
		}
		if d.leases, err = c.settleLeases(tx, d); err != nil {
			return err
		}
		for _, o := range d.closed {
			if err := tx.PutOperation(o); err != nil {
				return err
			}
		}
		if d.pool.Phase == pool.PhaseDestroyed {
			if err := errors.Join(forgetLogs(tx, c.uid), tx.DeleteSecrets(c.uid)); err != nil {
				return err
			}
		}
		if len(d.ended) > 0 {
			pruned, err := tx.PruneWorkers(c.uid, keepEnded)
			if err != nil {
				return err
			}
			for _, id := range pruned {
				d.effect(effect{kind: effectForget, worker: pool.Worker{ID: id}})
			}
		}
		return tx.AppendEvents(d.events...)
	})
}

// forgetLogs takes the log lines out of a destroyed pool's operations: a tombstone has none.
func forgetLogs(tx store.Writer, poolUID string) error {
	operations, err := tx.Operations(poolUID, 0)
	if err != nil {
		return err
	}
	for _, o := range operations {
		if o.LogTail == "" {
			continue
		}
		o.LogTail = ""
		if err := tx.PutOperation(o); err != nil {
			return err
		}
	}
	return nil
}

// keepEnded is how many ended workers of a pool are remembered, with their logs.
const keepEnded = 50

// tails collects the last log lines of the given workers.
func (c *controller) tails(ctx context.Context, workerIDs []string) string {
	var text []byte
	for _, id := range workerIDs {
		tail, err := c.m.config.Runtime.Logs(ctx, c.uid, id, 2<<10)
		if err != nil || len(tail) == 0 {
			continue
		}
		text = append(text, "worker "+id+":\n"...)
		text = append(text, tail...)
	}
	return string(text)
}

// follow carries out a committed draft's effects and tells whoever waits for its outcomes.
func (c *controller) follow(ctx context.Context, d *draft) {
	if d.pool.Phase == pool.PhaseDestroyed {
		c.m.metrics.forget(c.name)
	}
	for _, o := range d.closed {
		c.m.waiting.wake(o.ID)
	}
	c.m.announce(d.leases...)
	if !d.empty() {
		c.m.feed.tell(c.uid)
	}
	c.rewatch(d)
	for _, w := range d.workers {
		if w.State == pool.WorkerStopping && w.Instance.PID == 0 && c.starts.withdraw(w.ID) {
			c.tell(fact{kind: factLaunchFailed, workerID: w.ID, at: d.now, text: "condemned before it was started"})
		}
	}
	for _, e := range d.effects {
		if i := d.index(e.worker.ID); e.kind == effectLaunch && (i < 0 || d.workers[i].State != pool.WorkerPending) {
			c.tell(fact{kind: factLaunchFailed, workerID: e.worker.ID, at: d.now, text: "condemned before it was started"})
			continue // it was resumed from an earlier manager
		}
		if !c.mayTry(e, d.now) {
			continue
		}
		c.laneOf(e.kind).enter(&c.effects, e.worker.ID, func() {
			if ctx.Err() != nil {
				return
			}
			f, some := c.carryOut(ctx, e)
			c.busy.Delete(attempt{e.worker.ID, e.kind})
			if some {
				c.tell(f)
			}
		})
	}
	for _, w := range d.ended {
		c.m.health.Unwatch(w.ID)
	}
	maps.DeleteFunc(c.tried, func(a attempt, _ time.Time) bool {
		_, unswept := d.unswept[a.workerID]
		return a.kind != effectClean && d.index(a.workerID) < 0 && !unswept
	})
}

func (c *controller) laneOf(kind effectKind) *lane {
	switch kind {
	case effectLaunch:
		return &c.starts
	case effectHook, effectCount:
		return &c.talks
	}
	return &c.others
}

// repeated are the effects that are asked for at every step until they have worked.
var repeated = map[effectKind]bool{effectKill: true, effectAgain: true, effectHook: true, effectCount: true, effectSweep: true, effectClean: true}

// mayTry keeps an effect that is asked for at every step from being repeated too soon, or beside itself.
func (c *controller) mayTry(e effect, now time.Time) bool {
	if !repeated[e.kind] {
		return true
	}
	a := attempt{e.worker.ID, e.kind}
	if last, ok := c.tried[a]; ok && now.Before(last.Add(retryAfter)) {
		return false
	}
	c.tried[a] = now
	_, busy := c.busy.LoadOrStore(a, true)
	return !busy
}

// due is when time alone makes another step due: the planner's moment, or the repetition of an effect.
func (c *controller) due(d *draft) time.Time {
	next := d.next
	for _, last := range c.tried {
		if at := last.Add(retryAfter); at.After(d.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}
