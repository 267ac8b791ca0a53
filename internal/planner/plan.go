package planner

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Plan decides what is to be done now. Each step sees what the steps before it decided, and they are gone
// through until none has more to do: the same moment planned again, after a plan, wants nothing more.
func Plan(world World) Result {
	var r Result
	if world.Pool.Phase == pool.PhaseDestroyed {
		return r
	}
	p := &planning{World: world, Workers: refer(world.Workers), census: takeCensus(&world), asked: map[string]bool{}, result: &r, force: forced(world)}
	if world.Pool.Paused && world.Pool.Phase != pool.PhaseDeleting {
		return r
	}
	p.flaw = p.lastFlaw()
	p.end()
	p.age()
	for decided := -1; decided < len(r.Actions); {
		decided = len(r.Actions)
		p.rollout = p.goes()
		for _, step := range []func(){p.scaleIn, p.drainOld, p.remedy, p.launch} {
			step()
		}
	}
	if turn := p.rollout.turn; turn != nil {
		r.Turns = append(r.Turns, *turn)
	}
	p.judge()
	return r
}

// planning is one run of Plan: the world, its census, and what was decided so far.
type planning struct {
	World
	Workers []*pool.Worker // the world's; one in which a decision is noted is a copy from then on
	census
	asked map[string]bool // workers that are asked for their active jobs, by their id
	rollout
	flaw   time.Time // when a worker of the newest template last failed
	sheds  bool      // a rollout has more old workers than are to stay while it is held
	result *Result
	force  bool
}

func refer(workers []pool.Worker) []*pool.Worker {
	to := make([]*pool.Worker, len(workers))
	for i := range workers {
		to[i] = &workers[i]
	}
	return to
}

// own has a copy of a worker take its place, to note in it what is decided.
func (p *planning) own(i int) *pool.Worker {
	w := *p.Workers[i]
	p.Workers[i] = &w
	return &w
}

// forced says whether a person asked not to wait for workers.
func forced(world World) bool {
	return slices.ContainsFunc(world.Operations, func(o pool.Operation) bool { return o.Force })
}

// condemn takes a worker out of service: one that never was ready has no work and is stopped at once,
// others drain first. A draining worker is nobody's victim again.
func (p *planning) condemn(i int, cause pool.DrainCause, reason string) {
	w := p.Workers[i]
	if w.ReadyAt.IsZero() || p.force {
		p.stop(i, cause, reason)
		return
	}
	drain := p.contract(w).Drain
	by := p.Now.Add(drain.DeregisterDelay.Std() + drain.Timeout.Std())
	p.result.act(Action{Kind: Drain, WorkerID: w.ID, Cause: cause, DrainBy: by, Idle: !p.busy(i), Reason: reason})
	p.classes[i] = draining
	w = p.own(i)
	w.State, w.DrainingAt, w.DrainBy, w.DrainCause = pool.WorkerDraining, p.Now, by, cause
	p.left(i, cause)
	p.endDraining(i)
}

func (p *planning) stop(i int, cause pool.DrainCause, reason string) {
	w := p.own(i)
	drain := p.contract(w).Drain
	killAt, revokes := p.Now.Add(drain.Grace.Std()), true
	switch {
	case p.force:
		killAt = p.Now
	case finishesOnSignal(drain) && w.State == pool.WorkerDraining:
		killAt, revokes = drainBy(&p.World, w).Add(drain.Grace.Std()), false
	}
	p.result.act(Action{Kind: Stop, WorkerID: w.ID, Cause: cause, KillAt: killAt, Revokes: revokes, Reason: reason})
	if !p.leaving(i) {
		p.left(i, cause)
	}
	p.classes[i] = stopping
	w.State, w.DrainCause, w.StoppingAt, w.KillAt = pool.WorkerStopping, cause, p.Now, killAt
	p.endStopping(i)
}

// left keeps the census true when a worker begins to leave.
func (p *planning) left(i int, cause pool.DrainCause) {
	if w := p.Workers[i]; w.Replaces != "" && p.replaced[w.Replaces] == i {
		delete(p.replaced, w.Replaces)
		p.inherits(w.Replaces, none)
	}
	if cause == pool.DrainScaleIn || cause == pool.DrainDestroy {
		p.live--
	}
}

// scaleIn takes out what is more than the size, or than the size and the surge while a rollout goes on.
func (p *planning) scaleIn() {
	if p.Pool.Phase == pool.PhaseDeleting {
		for i := range p.Workers {
			if !p.leaving(i) {
				p.condemn(i, pool.DrainDestroy, "the pool is being destroyed")
			}
		}
		return
	}
	fresh := p.number(func(i int) bool { return p.staying(i) && !p.old[i] })
	all := p.number(p.staying)
	room := p.desired
	if fresh < all {
		room += p.surge
	}
	serving := func(i int) bool { return !p.leaving(i) }
	if all <= room && fresh <= p.desired || p.count(serving) {
		return
	}
	reason := fmt.Sprintf("the size is %d", p.desired)
	spare := p.number(p.available) - p.floor
	awaited := false // a worker is spared until others are available
	for _, i := range p.victims(serving) {
		tooMany := all > room || !p.old[i] && fresh > p.desired
		switch {
		case !tooMany, awaited && p.classes[i] == settling:
			continue
		case p.available(i) && spare <= 0:
			awaited = true
			continue
		case p.available(i):
			spare--
		}
		p.condemn(i, pool.DrainScaleIn, reason)
		if p.succeeds(i) || p.succeeded(i) {
			continue // its place is still taken
		}
		all--
		if !p.old[i] {
			fresh--
		}
	}
}

// staying says that a worker takes a place of its own: a worker and its successor share one.
func (p *planning) staying(i int) bool { return !p.leaving(i) && !p.succeeded(i) }

// succeeds says that the worker whose place it was launched for is still in it.
func (p *planning) succeeds(i int) bool {
	j, lives := p.find(p.Workers[i].Replaces)
	return lives && !p.leaving(j)
}

// find is the index of a worker by its id.
func (p *planning) find(workerID string) (i int, lives bool) {
	if workerID == "" {
		return 0, false
	}
	if p.at == nil {
		p.at = make(map[string]int, len(p.Workers))
		for i := range p.Workers {
			p.at[p.Workers[i].ID] = i
		}
	}
	i, lives = p.at[workerID]
	return i, lives
}

// succeeded says that another worker was launched to take the worker's place; the two count as one.
func (p *planning) succeeded(i int) bool { return p.heir[i] != none }

// inherits notes who is the successor of a worker, if that still lives.
func (p *planning) inherits(workerID string, successor int) {
	if i, lives := p.find(workerID); lives {
		p.heir[i] = successor
	}
}

// victims lists the workers for which match holds, first victim first: those that do not serve yet, then
// those without work, then the busy; among equals the sick, the old and those with the fewest leases go first.
func (p *planning) victims(match func(i int) bool) []int {
	var victims []int
	for i := range p.Workers {
		if match(i) {
			victims = append(victims, i)
		}
	}
	ranks := make([][5]int, len(p.Workers))
	for _, i := range victims {
		ranks[i] = [5]int{
			first(p.chosen(i)), p.service(i), slices.Index(victimOrder, p.classes[i]), first(p.old[i]), p.Workers[i].Leased,
		}
	}
	slices.SortStableFunc(victims, func(a, b int) int { return slices.Compare(ranks[a][:], ranks[b][:]) })
	return victims
}

// victimOrder is the order in which classes are taken out, before the age of their template is asked for.
var victimOrder = []class{stuck, unready, sick, settling, available}

// chosen says that a person wants this very worker to go.
func (p *planning) chosen(i int) bool {
	return slices.ContainsFunc(p.Operations, func(o pool.Operation) bool {
		return o.Kind == pool.OperationResize && o.WorkerID != "" && o.WorkerID == p.Workers[i].ID
	})
}

// service says how much is lost with a worker: nothing if it does not serve yet, little if it is idle.
func (p *planning) service(i int) int {
	switch {
	case p.classes[i] == stuck || p.classes[i] == unready:
		return 0
	case p.busy(i):
		return 2
	}
	return 1
}

// first orders what is so before what is not.
func first(so bool) int {
	if so {
		return 0
	}
	return 1
}

// drainOld takes old workers out for a rollout: those that do not serve at once, the others as far as the
// budget goes. One that serves and is not available yet, because it is young, is missed as well; a new one
// that is not available yet does not make up for it.
func (p *planning) drainOld() {
	old := func(i int) bool { return p.old[i] && !p.leaving(i) }
	if p.count(old) {
		return
	}
	serving := p.number(func(i int) bool { return p.available(i) || p.old[i] && p.serves(i) }) - p.floor
	spare := p.number(p.available) - p.floor
	excess := p.excess()
	for _, i := range p.victims(old) {
		if p.keeps(i) && excess <= 0 {
			continue
		}
		if p.serves(i) {
			if serving <= 0 || p.available(i) && spare <= 0 {
				continue
			}
			serving--
		}
		if p.available(i) {
			spare--
		}
		if p.keeps(i) {
			excess--
		}
		p.condemn(i, pool.DrainRollout, p.why[i])
	}
}

// keeps says that the rollout is held, and a worker of an older template stays as it is meanwhile. One that is
// worn does not, if there is a good template for its successor.
func (p *planning) keeps(i int) bool { return p.held && p.stale[i] && !(p.worn[i] && p.another()) }

// another says that a good template is known beside the newest.
func (p *planning) another() bool { return p.Good.Hash != "" && p.Good.Hash != p.target }

// excess is how many workers of an older template there are beyond those that stay while the rollout is held;
// one and its successor are in the same place.
func (p *planning) excess() int {
	return p.number(func(i int) bool { return p.keeps(i) && p.staying(i) }) - max(p.desired-p.limit, 0)
}

// age names the moments at which workers become too old.
func (p *planning) age() {
	limit := p.Pool.Spec.WorkerLimits.MaxAge
	if limit == nil {
		return
	}
	for _, w := range p.Workers {
		if !w.State.Leaving() && !w.StartedAt.IsZero() {
			p.result.wake(p.Now, w.StartedAt.Add(limit.Std()))
		}
	}
}
