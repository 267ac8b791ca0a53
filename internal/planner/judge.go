package planner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// stubborn is how long after its kill a worker may linger before an operation fails because it cannot be removed.
const stubborn = 30 * time.Second

// judge says how far the pool is and which operations have ended.
func (p *planning) judge() {
	remaining := p.remaining()
	p.result.Converged = remaining == 0
	if p.Pool.Phase == pool.PhaseDeleting {
		p.judgeDestroy(remaining)
		return
	}
	for _, o := range p.Operations {
		left := p.leftOf(o, remaining)
		switch failed := p.failure(o, left); {
		case left == 0 && o.Phase == pool.OperationReverting:
			p.result.Outcomes = append(p.result.Outcomes, Outcome{OperationID: o.ID, Phase: returned(o), Reason: o.Reason})
		case left == 0 || p.takenIn(o):
			p.result.Outcomes = append(p.result.Outcomes, Outcome{OperationID: o.ID, Phase: pool.OperationSucceeded})
		case failed != nil:
			p.result.Outcomes = append(p.result.Outcomes, *failed)
		default:
			p.follow(o, left)
		}
	}
}

// leftOf counts the steps that one operation has still to wait for. While a rollout is held, nobody else waits
// for it; and the way back to a good revision waits for nobody who may stay busy as long as he likes.
func (p *planning) leftOf(o pool.Operation, remaining int) int {
	switch {
	case o.Phase == pool.OperationReverting:
		return remaining - p.number(p.overstays)
	case p.held && o.Kind != pool.OperationDrain && (p.rollout.operation == nil || p.rollout.operation.ID != o.ID):
		there := p.number(func(i int) bool { return p.available(i) && p.staying(i) })
		tooMany := p.number(p.staying) - p.desired
		chosen := p.number(func(i int) bool { return p.Workers[i].ID == o.WorkerID && o.WorkerID != "" && !p.leaving(i) })
		return max(p.desired-there, 0) + max(tooMany, chosen) + p.number(p.leaving)
	}
	return remaining
}

// returned is how an operation ends once the pool is back at its last good revision.
func returned(o pool.Operation) pool.OperationPhase {
	if o.Aborted {
		return pool.OperationCanceled
	}
	return pool.OperationReverted
}

// remaining counts the steps still to go: workers to become available, workers to go.
func (p *planning) remaining() int {
	tooMany := p.number(func(i int) bool { return p.staying(i) && !p.old[i] }) - p.desired // while it is asked who is idle
	fresh := p.number(func(i int) bool { return p.available(i) && p.staying(i) && !p.old[i] })
	going := p.number(func(i int) bool { return !p.staying(i) || p.old[i] })
	return max(p.desired-fresh, 0) + max(tooMany, 0) + going
}

// takenIn says that an operation asked for nothing that a worker could still have to follow: what is yet to
// be done is another operation's, or healing. A pool that is yet to be created is waited for by whoever
// changes it.
func (p *planning) takenIn(o pool.Operation) bool {
	if o.Kind == pool.OperationDrain {
		if _, lives := p.find(o.WorkerID); !lives {
			return true
		}
	}
	return p.Pool.Phase != pool.PhaseCreating && o.Kind == pool.OperationUpdate && mild[o.Change] && (p.held || !slices.Contains(p.stale, true))
}

// mild are the changes that no worker is replaced or launched for.
var mild = map[pool.Change]bool{pool.ChangeCreation: true, pool.ChangeHot: true, pool.ChangeContract: true}

// follow notes progress: whenever fewer steps remain than ever before, the operation has its full time again.
func (p *planning) follow(o pool.Operation, remaining int) {
	if p.waits(o) {
		if !o.Deadline.IsZero() {
			p.result.Progress = append(p.result.Progress, Progress{OperationID: o.ID, Remaining: o.Remaining})
		}
		return
	}
	if int64(remaining) < o.Remaining || o.Deadline.IsZero() {
		o.Remaining = int64(remaining)
		o.Deadline = p.Now.Add(p.Pool.Spec.Update.ProgressDeadline.Std())
		p.result.Progress = append(p.result.Progress, Progress{o.ID, o.Remaining, o.Deadline})
	}
	p.result.wake(p.Now, p.deadline(o))
}

// deadline is when an operation fails. A worker that leaves within its own deadline is progress, unless it
// never served and leaves for that.
func (p *planning) deadline(o pool.Operation) time.Time {
	deadline := later(o.Deadline, p.Since.Add(p.Pool.Spec.Update.ProgressDeadline.Std()))
	for i := range p.Workers {
		w := p.Workers[i]
		if !p.leaving(i) || w.ReadyAt.IsZero() {
			continue
		}
		end := killAt(&p.World, w).Add(stubborn)
		if p.classes[i] == draining {
			end = drainBy(&p.World, w).Add(p.contract(w).Drain.Grace.Std())
		}
		deadline = later(deadline, end)
	}
	return deadline
}

// failure is the end of an operation that cannot succeed any more; nil while it can.
func (p *planning) failure(o pool.Operation, remaining int) *Outcome {
	failed := Outcome{OperationID: o.ID, Phase: p.failedPhase(o)}
	if p.waits(o) {
		return nil
	}
	for _, v := range p.openVacancies(p.target) {
		if v.Hopeless && !v.Worker.CreatedAt.Before(o.CreatedAt) {
			failed.Reason = v.Worker.Reason
			return &failed
		}
	}
	if names := p.overstaying(o); len(names) > 0 && o.Phase != pool.OperationReverting {
		failed.Reason = stillBusy(names)
		if p.number(func(i int) bool { return p.available(i) && !p.old[i] }) >= p.desired {
			failed.Phase = pool.OperationFailed // nothing is wrong with what it brought
		}
		return &failed
	}
	if o.Deadline.IsZero() || int64(remaining) < o.Remaining || p.Now.Before(p.deadline(o)) {
		return nil
	}
	failed.Reason = p.standstill()
	p.obstacles(&failed)
	if o.Phase == pool.OperationReverting {
		failed.Reason = "the return to the last good revision failed, too: " + failed.Reason + "; it was to mend: " + o.Reason
	}
	return &failed
}

// standstill says how far the pool is since when nothing happened.
func (p *planning) standstill() string {
	fresh := p.number(func(i int) bool { return p.available(i) && !p.old[i] })
	text := fmt.Sprintf("no progress for %s: %d of %d workers are available", p.Pool.Spec.Update.ProgressDeadline, fresh, p.desired)
	if left := p.number(func(i int) bool { return p.stale[i] }); left > 0 {
		text = fmt.Sprintf("no progress for %s: %d of %d new workers are available, %d old left", p.Pool.Spec.Update.ProgressDeadline, fresh, p.desired, left)
	}
	return text
}

// failedPhase is what becomes of an operation that cannot succeed: a rollout returns to the last good revision
// or waits for a person. What has nothing to return to fails, and so does the return itself.
func (p *planning) failedPhase(o pool.Operation) pool.OperationPhase {
	rolls := o.Change == pool.ChangeRolling && o.Phase == pool.OperationRunning
	switch {
	case rolls && p.Pool.Spec.Update.OnFailure == pool.OnFailurePause:
		return pool.OperationPaused
	case rolls && p.another():
		return pool.OperationReverting
	}
	return pool.OperationFailed
}

// obstacles adds what keeps workers from becoming available, a few of each kind.
func (p *planning) obstacles(failed *Outcome) {
	blame := func(w *pool.Worker, text string) {
		if len(failed.Culprits) < 3 {
			failed.Culprits = append(failed.Culprits, w.ID)
			failed.Reason += "; " + strings.TrimSuffix(text, ": ")
		}
	}
	for i, w := range p.Workers {
		c, useless := p.classes[i], p.leaving(i) && w.ReadyAt.IsZero()
		if w.ID != "" && !p.old[i] && (c == unready || c == sick || useless) {
			blame(w, fmt.Sprintf("worker %s is not ready: %s", w.ID, w.HealthReason))
		}
	}
	vacancies := p.openVacancies(p.target)
	slices.Reverse(vacancies) // the newest tell most
	for _, v := range vacancies {
		blame(&v.Worker, fmt.Sprintf("worker %s failed: %s", v.Worker.ID, v.Worker.Reason))
	}
}

// judgeDestroy ends a destroy when nothing is left, or says what is left although it was killed.
func (p *planning) judgeDestroy(remaining int) {
	if remaining == 0 {
		p.result.act(Action{Kind: Destroy, Reason: "no worker is left"})
		p.endAll(pool.OperationSucceeded, "")
		return
	}
	for _, o := range p.Operations {
		if names := p.overstaying(o); len(names) > 0 {
			p.endAll(pool.OperationFailed, stillBusy(names))
			return
		}
	}
	var left []string
	for _, w := range p.Workers {
		if w.State != pool.WorkerStopping {
			return // it wakes us itself
		}
		if at := p.stubbornAt(w); p.Now.Before(at) {
			p.result.wake(p.Now, at)
			return
		}
		left = append(left, fmt.Sprintf("worker %s (pid %d: %s)", w.ID, w.Instance.PID, w.Reason))
	}
	p.endAll(pool.OperationFailed, "could not be removed although killed: "+named(left))
}

func stillBusy(names []string) string {
	return "still busy at the drain deadline, and drain.on_timeout is \"fail\": " + named(names) + "; each goes when its work ends, or by force"
}

// named lists workers, the first ones by name.
func named(workers []string) string {
	if more := len(workers) - maxNamed; more > 0 {
		workers = append(workers[:maxNamed:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(workers, ", ")
}

// maxNamed is how many workers a reason names.
const maxNamed = 10

func (p *planning) endAll(phase pool.OperationPhase, reason string) {
	for _, o := range p.Operations {
		p.result.Outcomes = append(p.result.Outcomes, Outcome{OperationID: o.ID, Phase: phase, Reason: reason})
	}
}

// stubbornAt is when a condemned worker counts as one that cannot be removed. Every destroy that is asked
// for tries anew.
func (p *planning) stubbornAt(w *pool.Worker) time.Time {
	at := killAt(&p.World, w)
	if p.force {
		at = w.StoppingAt
	}
	for _, o := range p.Operations {
		at = later(at, o.CreatedAt)
	}
	return at.Add(stubborn)
}
