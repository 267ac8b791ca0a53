package planner

import (
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// remedy replaces workers that run but do not work. Stuck ones never served and just make room. Sick ones
// get a successor first, which may exceed the surge by one, and drain when it is available; without any
// surge they drain first. The breaker keeps a fault that all workers share from taking the whole pool down.
func (p *planning) remedy() {
	p.endStuck()
	p.endSucceeded()
	if !p.Pool.Spec.Remediation.Enabled || p.Pool.Phase == pool.PhaseDeleting {
		return
	}
	p.sheds = p.excess() > 0
	inReplacement := p.number(func(i int) bool {
		return p.leaving(i) && p.Workers[i].DrainCause == pool.DrainReplace || p.classes[i] == sick && p.succeeded(i)
	})
	waiting := p.number(func(i int) bool {
		return p.classes[i] == sick && !p.succeeded(i) && !p.succeeds(i) && !p.passes(i)
	})
	limit := p.Pool.Spec.Remediation.MaxUnhealthy.RoundDown(p.desired)
	open := inReplacement+waiting > limit // too many are sick: one at a time
	lost := p.lostSuccessors()
	for i, w := range p.Workers {
		if p.classes[i] != sick || p.passes(i) || p.succeeded(i) {
			continue
		}
		if open && inReplacement > 0 && !p.succeeds(i) {
			continue
		}
		n, since := history(w, lost)
		if at := since.Add(p.backoff(n)); p.Now.Before(at) {
			p.result.wake(p.Now, at)
			continue
		}
		reason := fmt.Sprintf("worker %s is unhealthy: %s", w.ID, w.HealthReason)
		switch {
		case p.succeeds(i): // it is no help; the next one is launched for the same place, which is in replacement already
			p.condemn(i, pool.DrainReplace, "unhealthy: "+w.HealthReason)
			continue
		case p.surge == 0:
			p.condemn(i, pool.DrainReplace, "unhealthy: "+w.HealthReason)
		case p.live < p.desired+p.surge+1:
			p.start(Action{Replaces: w.ID, Attempt: n, Reason: reason, Good: p.stale[i]})
		default:
			continue
		}
		inReplacement++
	}
}

// passes says that a worker is replaced by the rollout anyway. While that is held, the old ones that are to
// stay are healed like others, if a good template for them is known.
func (p *planning) passes(i int) bool {
	return p.old[i] && (!p.keeps(i) || p.Good.Hash == "" || p.sheds)
}

// history counts the failures in a sick worker's place, and tells since when it needs a successor. A
// successor that failed before it was of use counts too.
func history(w *pool.Worker, lost map[string]pool.Worker) (int, time.Time) {
	if successor, ok := lost[w.ID]; ok {
		return failures(&successor, successor.EndedAt), successor.EndedAt
	}
	return failures(w, w.HealthAt), w.HealthAt
}

// lostSuccessors are the newest failed successors, by the id of the worker whose place they were to take.
func (p *planning) lostSuccessors() map[string]pool.Worker {
	lost := map[string]pool.Worker{}
	for _, v := range p.Vacancies {
		if v.Worker.Replaces != "" {
			lost[v.Worker.Replaces] = v.Worker
		}
	}
	return lost
}

func (p *planning) endStuck() {
	for i, w := range p.Workers {
		switch {
		case p.classes[i] == stuck:
			p.condemn(i, pool.DrainReplace, fmt.Sprintf("not ready within %s", p.Pool.Spec.Update.ProgressDeadline))
		case p.classes[i] == unready:
			p.result.wake(p.Now, stuckAt(&p.World, w))
		case p.classes[i] == settling:
			p.result.wake(p.Now, settledAt(&p.World, w))
		}
	}
}

// endSucceeded drains what has an available successor. A worker that recovered meanwhile goes all the same,
// because the two count as one, but only when nobody misses it.
func (p *planning) endSucceeded() {
	available := p.number(p.available)
	for i := range p.Workers {
		heir := p.heir[i]
		if heir == none || !p.available(heir) || p.leaving(i) {
			continue
		}
		if p.available(i) {
			if available <= p.floor {
				continue
			}
			available--
		}
		p.condemn(i, pool.DrainReplace, "replaced by worker "+p.Workers[heir].ID)
	}
}
