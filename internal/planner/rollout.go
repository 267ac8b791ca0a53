package planner

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// rollout is how far the newest rollout may go at the moment.
type rollout struct {
	operation *pool.Operation // that drives it; nil if none does
	// limit is how many workers of the newest template there may be; the others stay as they are, and are
	// replaced by good ones when they fail.
	limit int
	held  bool
	// goodSince is when its canary became good; zero while it is not.
	goodSince time.Time
	// turn is what becomes of the operation, if anything.
	turn *Turn
}

// goes says how far the rollout may go: all the way, or only as far as its canary, or no further.
func (p *planning) goes() rollout {
	r := rollout{limit: p.desired}
	for i := range p.Operations {
		if o := &p.Operations[i]; o.Change == pool.ChangeRolling || o.Kind == pool.OperationRestart {
			r.operation = o
		}
	}
	if r.operation == nil || r.operation.Phase == pool.OperationReverting || !slices.Contains(p.stale, true) {
		return r
	}
	fresh := p.number(func(i int) bool { return p.staying(i) && !p.stale[i] })
	update := p.Pool.Spec.Update
	if r.goodSince = r.operation.CanarySince; p.flaw.After(r.goodSince) && !r.operation.Promoted {
		r.goodSince = time.Time{}
	}
	open, until := update.Open(p.Now)
	if !until.IsZero() {
		p.result.wake(p.Now, until)
	}
	switch {
	case r.operation.Phase == pool.OperationPaused:
		r.held, r.limit = true, fresh
		r.turns(pool.OperationPaused, r.operation.Reason)
	case !open:
		r.held, r.limit = true, fresh
		r.turns(pool.OperationRunning, "waits for its window, which opens "+until.UTC().Format(time.RFC3339))
	case update.Canary != nil && !r.operation.Promoted:
		p.canary(&r, *update.Canary)
	default:
		r.turns(pool.OperationRunning, "")
	}
	return r
}

// canary lets the first workers go first, and the rest once these have been available for long enough.
func (p *planning) canary(r *rollout, c pool.Canary) {
	count, bake := 1, time.Duration(0)
	if c.Count != nil {
		count = int(*c.Count)
	}
	if c.Bake != nil {
		bake = c.Bake.Std()
	}
	r.held, r.limit = true, min(count, p.desired)
	good, complete := 0, time.Time{}
	for i := range p.Workers {
		if p.stale[i] || !p.available(i) {
			continue
		}
		good++
		complete = later(complete, settledAt(&p.World, p.Workers[i]))
	}
	if r.goodSince.IsZero() && good >= r.limit && p.number(p.fails) == 0 {
		r.goodSince = later(complete, p.flaw)
	}
	baked := r.goodSince.Add(bake)
	switch {
	case good < r.limit || r.goodSince.IsZero():
		r.turns(pool.OperationRunning, fmt.Sprintf("canary: %d of %d workers are available", good, r.limit))
	case p.Now.Before(baked):
		p.result.wake(p.Now, baked)
		r.turns(pool.OperationRunning, "canary: bakes until "+baked.UTC().Format(time.RFC3339))
	case c.Promote == pool.PromoteManual:
		r.turns(pool.OperationAwaiting, fmt.Sprintf("canary: %d of %d workers are available; promote the rollout to go on, or abort it", good, r.limit))
	default:
		r.held, r.limit = false, p.desired
		r.turn = &Turn{OperationID: r.operation.ID, Phase: pool.OperationRunning, Promoted: true, CanarySince: r.goodSince}
	}
}

// turns notes what the operation does from now on, if it does something else by now.
func (r *rollout) turns(phase pool.OperationPhase, reason string) {
	if o := r.operation; o.Phase != phase || o.Reason != reason || !o.CanarySince.Equal(r.goodSince) {
		r.turn = &Turn{OperationID: o.ID, Phase: phase, Reason: reason, Promoted: o.Promoted, CanarySince: r.goodSince}
	}
}

// lastFlaw is when a worker of the newest template last failed; zero if none did. One that is replaced because it
// is worn has not failed: else a canary whose workers do not live as long as it bakes would never be good.
func (p *planning) lastFlaw() (last time.Time) {
	if p.number(p.fails) > 0 {
		return p.Now
	}
	for _, v := range p.Vacancies {
		if v.Worker.TemplateHash == p.target {
			last = later(last, v.Worker.EndedAt)
		}
	}
	return last
}

// fails says that a worker of the newest template runs and does not work.
func (p *planning) fails(i int) bool {
	return !p.stale[i] && (p.classes[i] == sick || p.classes[i] == stuck)
}

// waits says that the time in which an operation must make progress does not run: it waits for a person, a
// window, or its canary to bake.
func (p *planning) waits(o pool.Operation) bool {
	if p.Pool.Paused || o.Phase.Waits() {
		return true
	}
	r := p.rollout
	if r.operation == nil || !r.held {
		return false
	}
	if r.operation.ID != o.ID {
		return o.WorkerID != "" && !p.another() // of a worker that goes with the others
	}
	return p.Pool.Spec.Update.Canary == nil || o.Promoted ||
		p.number(func(i int) bool { return !p.stale[i] && p.available(i) }) >= r.limit
}

// worn says why a worker of the newest template is replaced although nothing is wrong with it.
func worn(world *World, w *pool.Worker) string {
	limits := world.Pool.Spec.WorkerLimits
	asked := slices.ContainsFunc(world.Operations, func(o pool.Operation) bool {
		return o.WorkerID != "" && o.WorkerID == w.ID
	})
	switch {
	case asked:
		return "a person asked for it"
	case limits.MaxLeases != nil && (w.Leases >= *limits.MaxLeases || w.Spent) && w.Leased == 0: // the last job has its time
		return fmt.Sprintf("it has had %d leases", w.Leases)
	case limits.MaxAge != nil && !w.StartedAt.IsZero() && !world.Now.Before(w.StartedAt.Add(limits.MaxAge.Std())):
		return "it is older than " + limits.MaxAge.String()
	}
	return ""
}
