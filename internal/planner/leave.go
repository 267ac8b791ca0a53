package planner

import (
	"cmp"
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// A worker that leaves service goes step by step: withdrawn, told by its hook, waited for until it has no
// work left, signalled, killed.

// end moves workers that are leaving on: draining ones to their stop, condemned ones to their kill.
func (p *planning) end() {
	for i := range p.Workers {
		switch p.classes[i] {
		case draining:
			p.endDraining(i)
		case stopping:
			p.endStopping(i)
		}
	}
}

// endStopping kills a condemned worker once its time is over.
func (p *planning) endStopping(i int) {
	w := p.Workers[i]
	drain := p.contract(w).Drain
	if !p.force && outstays(drain, w) {
		return
	}
	if at := killAt(&p.World, w); !p.force && p.Now.Before(at) {
		p.result.wake(p.Now, at)
		return
	}
	p.result.act(Action{Kind: Kill, WorkerID: w.ID, Cause: w.DrainCause, Late: !p.force && worksOn(drain, w), Reason: killReason(p.force)})
}

func killReason(force bool) string {
	if force {
		return "forced"
	}
	return "did not end within its grace"
}

// endDraining takes a draining worker one step further, if it is time.
func (p *planning) endDraining(i int) {
	w := p.Workers[i]
	drain := p.contract(w).Drain
	over := drainBy(&p.World, w)
	inTime := p.Now.Before(over)
	if inTime {
		p.result.wake(p.Now, over)
	}
	told := w.DrainingAt.Add(drain.DeregisterDelay.Std())
	switch {
	case p.force:
		p.stop(i, w.DrainCause, "forced")
	case p.Now.Before(told):
		p.result.wake(p.Now, told)
	case drain.Hook != nil && w.HookedAt.IsZero() && inTime:
		p.result.act(Action{Kind: Hook, WorkerID: w.ID, Cause: w.DrainCause, Reason: "its endpoints are withdrawn"})
	case finishesOnSignal(drain), !p.busy(i):
		p.stop(i, w.DrainCause, "drained")
	case !inTime && drain.OnTimeout == pool.OnTimeoutTerminate:
		p.stop(i, w.DrainCause, "still busy at its drain deadline: "+p.work(i))
	case drain.ActiveJobs != nil && w.Leased == 0:
		p.result.act(Action{Kind: Count, WorkerID: w.ID, Reason: "to find out whether it is done"})
	}
}

// finishesOnSignal says that the signal begins the drain of a worker, which ends by itself when its work is done.
func finishesOnSignal(drain pool.Drain) bool { return drain.SignalAt == pool.SignalStart }

// worksOn says that a condemned worker is still in its drain, which its signal began.
func worksOn(drain pool.Drain, w *pool.Worker) bool {
	return finishesOnSignal(drain) && !w.DrainBy.IsZero()
}

// outstays says that a condemned worker is not killed for taking long: its operation fails instead.
func outstays(drain pool.Drain, w *pool.Worker) bool {
	return worksOn(drain, w) && drain.OnTimeout == pool.OnTimeoutFail
}

// Extendable says whether a worker can be given more time: it drains, or works on after its signal and is not to be
// killed yet.
func Extendable(world World, w pool.Worker) bool {
	if w.State != pool.WorkerStopping {
		return w.State == pool.WorkerDraining
	}
	drain := world.contract(&w).Drain
	inTime := outstays(drain, &w) || world.Now.Before(killAt(&world, &w))
	return worksOn(drain, &w) && w.Exit == nil && inTime && !forced(world)
}

// contract is the spec by which a worker is treated: the newest one with its template.
func (w *World) contract(worker *pool.Worker) pool.Spec {
	if spec, other := w.Contracts[worker.TemplateHash]; other {
		return spec
	}
	return w.Pool.Spec
}

// drainBy is when a worker's drain is over. After a break it has its whole time again, because its holders
// could not be told, and could not renew.
func drainBy(world *World, w *pool.Worker) time.Time {
	return later(later(w.DrainBy, w.ExtendedTo), world.Since.Add(world.contract(w).Drain.Timeout.Std()))
}

// readingAge is how old the answer of a serving worker may be.
const readingAge = 5 * time.Second

// jobs says what work of a worker no lease stands for: none only if it said so lately, and of a draining
// worker, since it was told.
func (p *planning) jobs(i int) string {
	w := p.Workers[i]
	drain := p.contract(w).Drain
	if drain.ActiveJobs == nil || w.Instance.PID == 0 {
		return ""
	}
	since, drains := p.Now.Add(-readingAge), p.classes[i] == draining
	if drains {
		since = later(w.HookedAt, w.DrainingAt.Add(drain.DeregisterDelay.Std()))
	}
	reading, asked := p.Readings[w.ID]
	if !asked || reading.AskedAt.Before(since) || drains && !reading.Draining {
		return unread
	}
	return reading.Busy
}

const unread = "its active jobs are not known yet"

// count asks the workers for which match holds for their active jobs, unless they have answered lately. It
// says whether there are answers to wait for.
func (p *planning) count(match func(i int) bool) (waits bool) {
	for i, w := range p.Workers {
		if !match(i) || p.jobs(i) != unread {
			continue
		}
		waits = true
		if !p.asked[w.ID] {
			p.asked[w.ID] = true
			p.result.act(Action{Kind: Count, WorkerID: w.ID, Reason: "to find out who is idle"})
		}
	}
	return waits
}

// busy says whether a worker has work, as far as anybody can know.
func (p *planning) busy(i int) bool { return p.Workers[i].Leased > 0 || p.jobs(i) != "" }

// work says in words what keeps a worker busy.
func (p *planning) work(i int) string {
	w := p.Workers[i]
	switch held := p.Holders[w.ID]; {
	case held != "":
		return "held by " + held
	case w.Leased == 1:
		return "a lease is held on it"
	case w.Leased > 1:
		return fmt.Sprintf("%d leases are held on it", w.Leased)
	}
	return p.jobs(i)
}

// overstays says that a worker is busy past its drain deadline and may not be stopped for that.
func (p *planning) overstays(i int) bool {
	w := p.Workers[i]
	return p.contract(w).Drain.OnTimeout == pool.OnTimeoutFail && p.leaving(i) && !w.DrainBy.IsZero() && !p.Now.Before(drainBy(&p.World, w))
}

// overstaying says who keeps an operation from its end: workers that are busy past their drain deadline,
// and which only their work's end or force takes out of service. Every attempt has the whole time again.
func (p *planning) overstaying(o pool.Operation) (names []string) {
	for i := range p.Workers {
		w := p.Workers[i]
		drain := p.contract(w).Drain
		if p.force || drain.OnTimeout != pool.OnTimeoutFail || !p.leaving(i) || w.DrainBy.IsZero() {
			continue
		}
		over := later(drainBy(&p.World, w), o.CreatedAt.Add(drain.Timeout.Std()))
		if p.Now.Before(over) {
			p.result.wake(p.Now, over)
			continue
		}
		names = append(names, fmt.Sprintf("worker %s (%s)", w.ID, cmp.Or(p.work(i), "it has not ended since its signal")))
	}
	return names
}
