package planner

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Plan decides what is to be done now. Each step sees what the steps before it decided, and they are gone
// through until none has more to do: the same moment planned again, after a plan, wants nothing more.
func Plan(world World) Result {
	var r Result
	if world.Unobserved || world.Pool.Phase == pool.PhaseDestroyed {
		return r
	}
	p := &planning{World: world, census: takeCensus(&world), asked: map[string]bool{}, result: &r, force: forced(world)}
	p.Workers = slices.Clone(p.Workers) // the steps note in them what is decided
	p.end()
	for decided := -1; decided < len(r.Actions); {
		decided = len(r.Actions)
		for _, step := range []func(){p.scaleIn, p.drainOld, p.remedy, p.launch} {
			step()
		}
	}
	p.judge()
	return r
}

// planning is one run of Plan: the world, its census, and what was decided so far.
type planning struct {
	World
	census
	asked  map[string]bool // workers that are asked for their active jobs, by their id
	result *Result
	force  bool
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
	drain := p.contract(&w).Drain
	by := p.Now.Add(drain.DeregisterDelay.Std() + drain.Timeout.Std())
	p.result.act(Action{Kind: Drain, WorkerID: w.ID, Cause: cause, DrainBy: by, Idle: !p.busy(i), Reason: reason})
	p.classes[i] = draining
	p.Workers[i].State, p.Workers[i].DrainingAt, p.Workers[i].DrainBy, p.Workers[i].DrainCause = pool.WorkerDraining, p.Now, by, cause
	p.left(i, cause)
	p.endDraining(i)
}

func (p *planning) stop(i int, cause pool.DrainCause, reason string) {
	w := &p.Workers[i]
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
	j, lives := p.at[p.Workers[i].Replaces]
	return lives && !p.leaving(j)
}

// succeeded says that another worker was launched to take the worker's place; the two count as one.
func (p *planning) succeeded(i int) bool {
	_, ok := p.replaced[p.Workers[i].ID]
	return ok
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
	slices.SortStableFunc(victims, func(a, b int) int {
		return cmp.Or(
			cmp.Compare(p.service(a), p.service(b)),
			cmp.Compare(slices.Index(victimOrder, p.classes[a]), slices.Index(victimOrder, p.classes[b])),
			second(p.old[a], p.old[b]),
			cmp.Compare(p.Workers[a].Leased, p.Workers[b].Leased),
		)
	})
	return victims
}

// victimOrder is the order in which classes are taken out, before the age of their template is asked for.
var victimOrder = []class{stuck, unready, sick, settling, available}

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

// second orders what is so before what is not.
func second(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// drainOld takes old workers out for a rollout: those that are not available at once, the others as far
// as the budget goes.
func (p *planning) drainOld() {
	old := func(i int) bool { return p.old[i] && !p.leaving(i) }
	if p.count(old) {
		return
	}
	spare := p.number(p.available) - p.floor
	for _, i := range p.victims(old) {
		if p.available(i) {
			if spare <= 0 {
				break
			}
			spare--
		}
		p.condemn(i, pool.DrainRollout, "its template is old")
	}
}

// launch starts workers of the newest template for the places that are free.
func (p *planning) launch() {
	missing := p.desired - p.number(func(i int) bool { return p.staying(i) && !p.old[i] })
	missing = min(missing, p.desired+p.surge-p.live)
	if missing <= 0 {
		return
	}
	vacancies, growth := p.openVacancies(), p.growth()
	for n := range missing {
		if n >= len(vacancies) {
			p.start("", 0, growth)
			continue
		}
		v := vacancies[n].Worker
		failed := failures(v, v.EndedAt)
		if at := v.EndedAt.Add(backoff(failed)); p.Now.Before(at) {
			p.result.wake(p.Now, at)
			continue
		}
		p.start(v.ID, failed, fmt.Sprintf("worker %s failed: %s", v.ID, v.Reason))
	}
}

// start launches a worker and counts it from now on; it has no id yet.
func (p *planning) start(replaces string, attempt int, reason string) {
	p.result.act(Action{Kind: Launch, Replaces: replaces, Attempt: attempt, Reason: reason})
	if replaces != "" {
		p.replaced[replaces] = len(p.Workers)
	}
	p.Workers = append(p.Workers, pool.Worker{State: pool.WorkerPending, Replaces: replaces, CreatedAt: p.Now})
	p.classes, p.old = append(p.classes, unready), append(p.old, false)
	p.live++
}

// openVacancies are the free places among workers of the newest template (a changed spec starts without a
// past). A failed successor of a worker that still lives left no place.
func (p *planning) openVacancies() []Vacancy {
	target := p.Pool.Target()
	return slices.DeleteFunc(slices.Clone(p.Vacancies), func(v Vacancy) bool {
		_, filled := p.replaced[v.Worker.ID]
		_, lives := p.at[v.Worker.Replaces]
		return filled || lives || v.Worker.TemplateHash != target
	})
}

func (p *planning) growth() string {
	if slices.Contains(p.old, true) {
		return "the template is new"
	}
	return fmt.Sprintf("the size is %d", p.desired)
}

// crashWindow is how soon after its creation a worker must fail for the failure to count as a repeated one.
const crashWindow = 10 * time.Minute

// failures counts the failures in a worker's place, its own at the given time included.
func failures(w pool.Worker, at time.Time) int {
	if at.Sub(w.CreatedAt) >= crashWindow {
		return 1
	}
	return w.Attempt + 1
}

// maxBackoff bounds the wait between two launches in the same place.
const maxBackoff = time.Minute

// backoff is the wait before a place is filled again after so many failures: none after the first, then
// a second, doubled each time.
func backoff(failures int) time.Duration {
	if failures < 2 {
		return 0
	}
	return min(time.Second<<min(failures-2, 10), maxBackoff)
}
