package planner_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// breaches holds what was planned against what the planner promises: before is the world that was planned
// for, after the same moment once the plan is done. It shares no code with the planner but Available.
func breaches(before planner.World, r planner.Result, after planner.World) []string {
	e := &evidence{before: before, result: r, after: after, workers: map[string]pool.Worker{}}
	for _, w := range before.Workers {
		e.workers[w.ID] = w
	}
	e.force = slices.ContainsFunc(before.Operations, func(o pool.Operation) bool { return o.Force })
	for _, judge := range []func(){e.order, e.budget, e.room, e.breaker, e.victims, e.patience, e.outcomes, e.rest} {
		judge()
	}
	return e.found
}

// evidence is what the promises are judged by.
type evidence struct {
	before, after planner.World
	result        planner.Result
	workers       map[string]pool.Worker // before, by id
	force         bool
	found         []string
}

func (e *evidence) breach(format string, args ...any) {
	e.found = append(e.found, fmt.Sprintf(format, args...))
}

func (e *evidence) desired() int { return e.before.Pool.Desired() }
func (e *evidence) surge() int   { return e.before.Pool.Spec.Update.MaxSurge.RoundUp(e.desired()) }

func (e *evidence) floor() int {
	unavailable := e.before.Pool.Spec.Update.MaxUnavailable.RoundDown(e.desired())
	if unavailable == 0 && e.surge() == 0 {
		unavailable = 1
	}
	return e.desired() - unavailable
}

func (e *evidence) available(world planner.World) int {
	return number(world.Workers, func(w pool.Worker) bool { return available(world, w) })
}

// contract is the spec by which a worker is treated.
func contract(world planner.World, w pool.Worker) pool.Spec {
	if spec, other := world.Contracts[w.TemplateHash]; other {
		return spec
	}
	return world.Pool.Spec
}

// available says whether a worker counts as available under the pool's budgets and its own contract.
func available(world planner.World, w pool.Worker) bool {
	spec := world.Pool.Spec
	spec.Health = contract(world, w).Health
	return planner.Available(spec, w, world.Now)
}

func number(workers []pool.Worker, match func(pool.Worker) bool) int {
	n := 0
	for _, w := range workers {
		if match(w) {
			n++
		}
	}
	return n
}

func (e *evidence) launches() (launches []planner.Action) {
	for _, a := range e.result.Actions {
		if a.Kind == planner.Launch {
			launches = append(launches, a)
		}
	}
	return launches
}

// order: a worker drains, is stopped and is killed, each once, each only when the time for it has come.
func (e *evidence) order() {
	spec := e.before.Pool.Spec
	now := e.before.Now
	for _, a := range e.result.Actions {
		if a.Kind == planner.Launch || a.Kind == planner.Destroy || a.Kind == planner.Count || a.Kind == planner.Hook {
			continue
		}
		w, known := e.workers[a.WorkerID]
		if !known {
			e.breach("%s of %q, which there is not", a.Kind, a.WorkerID)
			continue
		}
		served := !w.ReadyAt.IsZero()
		switch a.Kind {
		case planner.Drain:
			if w.State.Leaving() {
				e.breach("%s drains although it is %s", w.ID, w.State)
			}
			if a.Idle && e.busy(w) {
				e.breach("%s is called idle although it is busy", w.ID)
			}
			w.State, w.DrainingAt, w.DrainBy = pool.WorkerDraining, now, a.DrainBy
		case planner.Stop:
			if w.State == pool.WorkerStopping {
				e.breach("%s is stopped twice", w.ID)
			}
			drained := w.State == pool.WorkerDraining && !now.Before(w.DrainingAt.Add(spec.Drain.DeregisterDelay.Std()))
			if served && !drained && !e.force {
				e.breach("%s is stopped before schedulers can know that it drains", w.ID)
			}
			if served && !e.force {
				e.judgeStop(w, a)
			}
			grace := spec.Drain.Grace.Std()
			if bySignal := served && spec.Drain.SignalAt == pool.SignalStart; bySignal && !e.force && a.KillAt.Before(w.DrainBy.Add(grace)) {
				e.breach("%s is to be killed %s before its drain is over", w.ID, w.DrainBy.Add(grace).Sub(a.KillAt))
			} else if !bySignal && !e.force && a.KillAt.Sub(now) != grace {
				e.breach("%s has %s from its signal to its kill instead of %s", w.ID, a.KillAt.Sub(now), grace)
			}
			w.State, w.KillAt = pool.WorkerStopping, a.KillAt
		case planner.Kill:
			switch {
			case w.State != pool.WorkerStopping:
				e.breach("%s is killed although it is %s", w.ID, w.State)
			case now.Before(w.KillAt) && !e.force:
				e.breach("%s is killed %s before its time", w.ID, w.KillAt.Sub(now))
			case served && !e.force && spec.Drain.SignalAt == pool.SignalStart && spec.Drain.OnTimeout == pool.OnTimeoutFail:
				e.breach("%s is killed although its drain is to fail instead", w.ID)
			}
		}
		e.workers[a.WorkerID] = w
	}
}

// judgeStop: a worker that has served is stopped when it has no work left since it was told, or when its
// drain deadline has passed and nothing forbids it.
func (e *evidence) judgeStop(w pool.Worker, a planner.Action) {
	drain := e.before.Pool.Spec.Drain
	over := !e.before.Now.Before(w.DrainBy)
	switch {
	case drain.Hook != nil && w.HookedAt.IsZero() && !over:
		e.breach("%s is stopped before its hook has answered", w.ID)
	case drain.SignalAt == pool.SignalStart:
		if a.Revokes {
			e.breach("the leases of %s are revoked although it may finish", w.ID)
		}
	case !e.busy(w):
	case !over:
		e.breach("%s is stopped %s before its drain deadline although it is busy", w.ID, w.DrainBy.Sub(e.before.Now))
	case drain.OnTimeout == pool.OnTimeoutFail:
		e.breach("%s is stopped although it is busy and its drain is to fail instead", w.ID)
	case !a.Revokes:
		e.breach("%s keeps its leases although it is stopped", w.ID)
	}
}

// busy says whether somebody who knows no more than the planner must take the worker for busy.
func (e *evidence) busy(w pool.Worker) bool {
	if w.Leased > 0 || e.before.Pool.Spec.Drain.ActiveJobs == nil {
		return w.Leased > 0
	}
	lately := e.before.Now.Add(-5 * time.Second)
	if w.State == pool.WorkerDraining {
		lately = w.DrainingAt
	}
	reading, asked := e.before.Readings[w.ID]
	return !asked || reading.AskedAt.Before(lately) || reading.Busy != ""
}

// budget: no planned action leaves fewer available workers than the update's budget allows.
func (e *evidence) budget() {
	before, after := e.available(e.before), e.available(e.after)
	if after < before && after < e.floor() && !e.force {
		e.breach("planned actions leave %d of %d workers available, fewer than %d", after, before, e.floor())
	}
}

// room: no launch makes more workers than the size, the surge and one replacement; none happens in a pool
// that is being destroyed.
func (e *evidence) room() {
	launches := e.launches()
	if len(launches) == 0 {
		return
	}
	live := number(e.after.Workers, func(w pool.Worker) bool {
		return !w.State.Leaving() || w.DrainCause == pool.DrainRollout || w.DrainCause == pool.DrainReplace
	})
	room := e.desired() + e.surge()
	if slices.ContainsFunc(launches, func(a planner.Action) bool { _, replaces := e.workers[a.Replaces]; return replaces }) {
		room++
	}
	if live > room {
		e.breach("%d workers are live after a launch, more than %d", live, room)
	}
	if e.before.Pool.Phase == pool.PhaseDeleting {
		e.breach("a launch in a pool that is being destroyed")
	}
}

// breaker: while more workers are sick than max_unhealthy, no replacement of a running one begins beside
// another; without remediation none begins at all.
func (e *evidence) breaker() {
	replaced := map[string]bool{}
	for _, w := range e.before.Workers {
		if !w.State.Leaving() && w.Replaces != "" {
			replaced[w.Replaces] = true
		}
	}
	begun := 0
	for _, a := range e.result.Actions {
		w, known := e.workers[a.WorkerID]
		if a.Kind == planner.Launch {
			w, known = e.workers[a.Replaces]
		}
		_, successor := e.workers[w.Replaces] // to replace it goes on with the replacement of the other
		begins := a.Kind == planner.Launch || a.Kind == planner.Drain && a.Cause == pool.DrainReplace && !successor
		if known && begins && !replaced[w.ID] && !w.ReadyAt.IsZero() && w.Health == pool.Unhealthy {
			begun++
		}
	}
	now := map[string]bool{}
	for _, w := range e.after.Workers {
		now[w.Replaces] = now[w.Replaces] || !w.State.Leaving()
	}
	underWay := number(e.after.Workers, func(w pool.Worker) bool {
		leaves := w.State.Leaving() && w.DrainCause == pool.DrainReplace
		return leaves || w.State == pool.WorkerReady && w.Health == pool.Unhealthy && now[w.ID]
	})
	limit := max(e.before.Pool.Spec.Remediation.MaxUnhealthy.RoundDown(e.desired()), 1)
	if begun > 0 && underWay > limit {
		e.breach("%d workers are in replacement, more than %d", underWay, limit)
	}
	if begun > 0 && !e.before.Pool.Spec.Remediation.Enabled {
		e.breach("a sick worker is replaced although remediation is off")
	}
}

// worth orders workers as scale-in takes them, the least missed first.
func (e *evidence) worth(w pool.Worker) int {
	kind := 0
	switch {
	case w.State != pool.WorkerReady:
		return 0
	case w.Health == pool.Unhealthy:
		kind = 1
	case !available(e.before, w):
		kind = 2
	default:
		kind = 3
	}
	if e.busy(w) {
		kind += 3
	}
	return kind
}

// victims: scale-in takes nobody while there is one of the same template who would be missed less.
func (e *evidence) victims() {
	if e.before.Pool.Phase == pool.PhaseDeleting {
		return
	}
	left := map[string]bool{}
	for _, w := range e.after.Workers {
		left[w.ID] = w.State.Leaving()
	}
	for _, victim := range e.before.Workers {
		taken := slices.ContainsFunc(e.result.Actions, func(a planner.Action) bool {
			return a.WorkerID == victim.ID && a.Cause == pool.DrainScaleIn && !victim.State.Leaving()
		})
		for _, spared := range e.before.Workers {
			if available(e.before, spared) && e.available(e.after) <= e.floor() {
				continue // it cannot be missed
			}
			if taken && !left[spared.ID] && spared.TemplateHash == victim.TemplateHash && e.worth(spared) < e.worth(victim) {
				e.breach("scale-in takes %s and spares %s, who would be missed less", victim.ID, spared.ID)
			}
		}
	}
}

// patience: the place of a worker that failed again is filled after a wait that doubles.
func (e *evidence) patience() {
	for _, a := range e.launches() {
		for _, v := range e.before.Vacancies {
			if v.Worker.ID != a.Replaces {
				continue
			}
			again := v.Worker.Attempt > 0 && v.Worker.EndedAt.Sub(v.Worker.CreatedAt) < 10*time.Minute
			wait := time.Duration(0)
			if again {
				wait = min(time.Second<<min(v.Worker.Attempt-1, 10), time.Minute)
			}
			if e.before.Now.Before(v.Worker.EndedAt.Add(wait)) {
				e.breach("the place of %s is filled %s after its end, sooner than %s", v.Worker.ID, e.before.Now.Sub(v.Worker.EndedAt), wait)
			}
		}
	}
}

// outcomes: an operation succeeds when what it asked for is there, and a pool is closed when nobody is left.
func (e *evidence) outcomes() {
	target := e.before.Pool.Target()
	reached := e.available(e.after) == e.desired() && !slices.ContainsFunc(e.after.Workers, func(w pool.Worker) bool {
		return w.State.Leaving() || w.TemplateHash != target
	})
	for _, out := range e.result.Outcomes {
		i := slices.IndexFunc(e.before.Operations, func(o pool.Operation) bool { return o.ID == out.OperationID })
		if i < 0 {
			e.breach("an outcome of %s, which does not run", out.OperationID)
			continue
		}
		atOnce := e.before.Operations[i].Kind == pool.OperationUpdate && e.before.Operations[i].Change != pool.ChangeRolling
		if out.Phase == pool.OperationSucceeded && !reached && !atOnce {
			e.breach("%s succeeds although %d of %d workers are available", out.OperationID, e.available(e.after), e.desired())
		}
		if out.Phase == pool.OperationFailed && out.Reason == "" {
			e.breach("%s fails without a reason", out.OperationID)
		}
	}
	if e.result.Converged && !reached {
		e.breach("converged although %d of %d workers are available", e.available(e.after), e.desired())
	}
	closes := slices.ContainsFunc(e.result.Actions, func(a planner.Action) bool { return a.Kind == planner.Destroy })
	if closes && (len(e.before.Workers) > 0 || e.before.Pool.Phase != pool.PhaseDeleting) {
		e.breach("a pool with %d workers in phase %s is closed", len(e.before.Workers), e.before.Pool.Phase)
	}
}

// rest: a moment that was planned for has nothing left to be done, unless a rollout has failed in it.
func (e *evidence) rest() {
	if !e.result.Next.IsZero() && !e.result.Next.After(e.before.Now) {
		e.breach("the next moment is not to come")
	}
	if slices.ContainsFunc(e.result.Outcomes, func(o planner.Outcome) bool { return !o.Phase.Ended() }) {
		return // the pool goes back, or waits: it is another one from now on
	}
	for _, a := range planner.Plan(e.after).Actions {
		if a.Kind != planner.Kill && a.Kind != planner.Count && a.Kind != planner.Hook {
			e.breach("the same moment planned twice acts twice: %s %s (%s)", a.Kind, a.WorkerID, a.Reason)
		}
	}
}
