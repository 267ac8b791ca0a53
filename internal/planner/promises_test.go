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
	for _, judge := range []func(){e.order, e.budget, e.room, e.breaker, e.victims, e.patience, e.standstill, e.promotion, e.outcomes, e.rest} {
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
		served, spec := !w.ReadyAt.IsZero(), contract(e.before, w)
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
			if bySignal := served && spec.Drain.SignalAt == pool.SignalStart; bySignal && !e.force && a.KillAt.Before(e.drainBy(w).Add(grace)) {
				e.breach("%s is to be killed %s before its drain is over", w.ID, e.drainBy(w).Add(grace).Sub(a.KillAt))
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
			case !w.DrainBy.IsZero() && !e.force && spec.Drain.SignalAt == pool.SignalStart && spec.Drain.OnTimeout == pool.OnTimeoutFail:
				e.breach("%s is killed although its drain is to fail instead", w.ID)
			}
		}
		e.workers[a.WorkerID] = w
	}
}

// judgeStop: a worker that has served is stopped when it has no work left since it was told, or when its
// drain deadline has passed and nothing forbids it.
func (e *evidence) judgeStop(w pool.Worker, a planner.Action) {
	drain := contract(e.before, w).Drain
	over := !e.before.Now.Before(e.drainBy(w))
	switch {
	case drain.Hook != nil && w.HookedAt.IsZero() && !over:
		e.breach("%s is stopped before its hook has answered", w.ID)
	case drain.SignalAt == pool.SignalStart:
		if a.Revokes {
			e.breach("the leases of %s are revoked although it may finish", w.ID)
		}
	case !e.busy(w):
	case !over:
		e.breach("%s is stopped %s before its drain deadline although it is busy", w.ID, e.drainBy(w).Sub(e.before.Now))
	case drain.OnTimeout == pool.OnTimeoutFail:
		e.breach("%s is stopped although it is busy and its drain is to fail instead", w.ID)
	case !a.Revokes:
		e.breach("%s keeps its leases although it is stopped", w.ID)
	}
}

// drainBy is when a worker's drain is over: a person may have given it more time, and after a break it has its
// whole time again.
func (e *evidence) drainBy(w pool.Worker) time.Time {
	times := []time.Time{w.DrainBy, w.ExtendedTo, e.before.Since.Add(contract(e.before, w).Drain.Timeout.Std())}
	return slices.MaxFunc(times, time.Time.Compare)
}

// busy says whether somebody who knows no more than the planner must take the worker for busy.
func (e *evidence) busy(w pool.Worker) bool {
	if w.Leased > 0 || contract(e.before, w).Drain.ActiveJobs == nil {
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
		}) && !e.asked(pool.OperationResize, victim.ID)
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

// asked says that a person asked for something to be done with this very worker.
func (e *evidence) asked(kind pool.OperationKind, id string) bool {
	return slices.ContainsFunc(e.before.Operations, func(o pool.Operation) bool { return o.Kind == kind && o.WorkerID == id })
}

// worn says that a worker is to be replaced whatever its template is.
func (e *evidence) worn(w pool.Worker) bool {
	limits := e.before.Pool.Spec.WorkerLimits
	spent := limits.MaxLeases != nil && w.Leased == 0 && (w.Spent || w.Leases >= *limits.MaxLeases)
	aged := limits.MaxAge != nil && !w.StartedAt.IsZero() && e.before.Now.Sub(w.StartedAt) >= limits.MaxAge.Std()
	return e.asked(pool.OperationDrain, w.ID) || e.asked(pool.OperationResize, w.ID) || spent || aged
}

// places counts the places that workers of a template, the newest or not, are in: one and its successor share one.
func (e *evidence) places(world planner.World, newest bool) int {
	succeeded := map[string]bool{}
	for _, w := range world.Workers {
		succeeded[w.Replaces] = succeeded[w.Replaces] || !w.State.Leaving()
	}
	target := e.before.Pool.Target()
	return number(world.Workers, func(w pool.Worker) bool {
		return !w.State.Leaving() && !succeeded[w.ID] && (w.TemplateHash == target) == newest
	})
}

// held says that a rollout is held, and how many places workers of the newest template may have meanwhile: as
// many as the canary's count, or as they have already.
func (e *evidence) held() (rollout string, limit int, held bool) {
	var o *pool.Operation
	for i := range e.before.Operations {
		if e.before.Operations[i].Change == pool.ChangeRolling {
			o = &e.before.Operations[i]
		}
	}
	fresh, target := e.places(e.before, true), e.before.Pool.Target()
	stale := slices.ContainsFunc(e.before.Workers, func(w pool.Worker) bool { return w.TemplateHash != target })
	if o == nil || o.Phase == pool.OperationReverting || !stale || e.before.Pool.Phase == pool.PhaseDeleting {
		return "", 0, false
	}
	update := e.before.Pool.Spec.Update
	open, _ := update.Open(e.before.Now)
	promoted := o.Promoted || slices.ContainsFunc(e.result.Turns, func(t planner.Turn) bool { return t.OperationID == o.ID && t.Promoted })
	switch {
	case o.Phase == pool.OperationPaused, !open:
		return o.ID, fresh, true
	case update.Canary != nil && !promoted:
		return o.ID, min(int(*update.Canary.Count), e.desired()), true
	}
	return o.ID, 0, false
}

// standstill: nothing is done in a paused pool. While a rollout is held there are no more new workers than it may
// have, no old one goes for it but one too many, and whoever is launched in an old one's place is a good one.
func (e *evidence) standstill() {
	if e.before.Pool.Paused && e.before.Pool.Phase != pool.PhaseDeleting && len(e.result.Actions) > 0 {
		e.breach("something is done in a paused pool: %s", e.result.Actions[0].Kind)
	}
	_, limit, held := e.held()
	good, target := e.before.Good.Hash, e.before.Pool.Target()
	old := map[string]bool{} // living and failed workers of another template
	for _, v := range e.before.Vacancies {
		old[v.Worker.ID] = v.Worker.TemplateHash != target
	}
	for _, w := range e.before.Workers {
		old[w.ID] = w.TemplateHash != target
	}
	fresh := false
	for _, a := range e.launches() {
		fresh = fresh || !a.Good
		switch {
		case a.Good && !held:
			e.breach("a good worker is launched in the place of %q although no rollout is held", a.Replaces)
		case held && good != "" && !a.Good && old[a.Replaces]:
			e.breach("%s is followed by a new worker while the rollout is held", a.Replaces)
		}
	}
	if !held {
		return
	}
	before, after := e.places(e.before, true), e.places(e.after, true)
	if known := good != "" && good != target; known && fresh && after > max(limit, before) {
		e.breach("new workers have %d places instead of %d while the rollout is held, which may have %d", after, before, limit)
	}
	left, stay := e.places(e.after, false), min(e.places(e.before, false), e.desired()-limit)
	for _, a := range e.result.Actions {
		w := e.workers[a.WorkerID]
		if a.Cause == pool.DrainRollout && (a.Kind == planner.Drain || a.Kind == planner.Stop && w.DrainingAt.IsZero()) && old[w.ID] && !e.worn(w) && left < stay {
			e.breach("%s goes while the rollout is held, and leaves %d old ones instead of %d", w.ID, left, stay)
		}
	}
}

// promotion: the rest follows a canary by itself only if no person is to say so, all of it is available and it
// has been good for as long as it bakes.
func (e *evidence) promotion() {
	canary, target := e.before.Pool.Spec.Update.Canary, e.before.Pool.Target()
	for _, t := range e.result.Turns {
		i := slices.IndexFunc(e.before.Operations, func(o pool.Operation) bool { return o.ID == t.OperationID })
		if !t.Promoted || e.before.Operations[i].Promoted {
			continue
		}
		good := number(e.before.Workers, func(w pool.Worker) bool { return w.TemplateHash == target && available(e.before, w) })
		limit := min(int(*canary.Count), e.desired())
		switch {
		case canary.Promote == pool.PromoteManual:
			e.breach("%s is promoted although a person is to do that", t.OperationID)
		case good < limit:
			e.breach("%s is promoted although %d of %d canaries are available", t.OperationID, good, limit)
		case e.before.Now.Before(t.CanarySince.Add(canary.Bake.Std())):
			e.breach("%s is promoted before its canary has baked", t.OperationID)
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

// outcomes: an operation ends well when what it asked for is there, and a pool is closed when nobody is left.
func (e *evidence) outcomes() {
	for _, out := range e.result.Outcomes {
		i := slices.IndexFunc(e.before.Operations, func(o pool.Operation) bool { return o.ID == out.OperationID })
		if i < 0 {
			e.breach("an outcome of %s, which does not run", out.OperationID)
			continue
		}
		good := out.Phase == pool.OperationSucceeded || out.Phase == pool.OperationReverted || out.Phase == pool.OperationCanceled
		if good && !e.done(e.before.Operations[i]) {
			e.breach("%s is %s although %d of %d workers are available", out.OperationID, out.Phase, e.available(e.after), e.desired())
		}
		if !good && out.Reason == "" {
			e.breach("%s is %s without a reason", out.OperationID, out.Phase)
		}
	}
	if e.result.Converged && !e.reached() {
		e.breach("converged although %d of %d workers are available", e.available(e.after), e.desired())
	}
	closes := slices.ContainsFunc(e.result.Actions, func(a planner.Action) bool { return a.Kind == planner.Destroy })
	if closes && (len(e.before.Workers) > 0 || e.before.Pool.Phase != pool.PhaseDeleting) {
		e.breach("a pool with %d workers in phase %s is closed", len(e.before.Workers), e.before.Pool.Phase)
	}
}

// reached says that the pool is as its newest generation wants it.
func (e *evidence) reached() bool {
	target := e.before.Pool.Target()
	return e.available(e.after) == e.desired() && !slices.ContainsFunc(e.after.Workers, func(w pool.Worker) bool {
		return w.State.Leaving() || w.TemplateHash != target || e.worn(w)
	})
}

// done says that nothing is left to do for one operation. What no worker has to follow is done at once; whoever
// goes back waits for nobody who may stay as long as he likes, and nobody waits for a rollout that is held.
func (e *evidence) done(o pool.Operation) bool {
	rollout, _, held := e.held()
	lingers := func(w pool.Worker) bool {
		return w.State.Leaving() && contract(e.before, w).Drain.OnTimeout == pool.OnTimeoutFail && !e.before.Now.Before(e.drainBy(w))
	}
	target := e.before.Pool.Target()
	others := slices.ContainsFunc(e.after.Workers, func(w pool.Worker) bool {
		return !lingers(w) && (w.State.Leaving() || w.TemplateHash != target || e.worn(w))
	})
	switch {
	case e.reached(), o.Kind == pool.OperationUpdate && o.Change != pool.ChangeRolling:
		return true
	case o.Kind == pool.OperationDrain:
		_, lives := e.workers[o.WorkerID]
		return !lives
	case o.Phase == pool.OperationReverting:
		return e.available(e.after) == e.desired() && !others
	case held && o.ID != rollout:
		return e.available(e.after) >= e.desired() && !slices.ContainsFunc(e.after.Workers, func(w pool.Worker) bool { return w.State.Leaving() })
	}
	return false
}

// rest: a moment that was planned for has nothing left to be done, unless what was asked for has failed in it.
func (e *evidence) rest() {
	if !e.result.Next.IsZero() && !e.result.Next.After(e.before.Now) {
		e.breach("the next moment is not to come")
	}
	fails := func(o pool.Operation) bool {
		return (o.Change == pool.ChangeRolling || o.Kind == pool.OperationDrain) && slices.ContainsFunc(e.result.Outcomes, func(out planner.Outcome) bool {
			return out.OperationID == o.ID && (!out.Phase.Ended() || out.Phase == pool.OperationFailed)
		})
	}
	if slices.ContainsFunc(e.before.Operations, fails) {
		return // the pool goes back, waits, is held no more, or nobody wants a worker gone any longer
	}
	for _, a := range planner.Plan(e.after).Actions {
		if a.Kind != planner.Kill && a.Kind != planner.Count && a.Kind != planner.Hook {
			e.breach("the same moment planned twice acts twice: %s %s (%s)", a.Kind, a.WorkerID, a.Reason)
		}
	}
}
