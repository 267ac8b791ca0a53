package planner

import (
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// World is everything a plan follows from.
type World struct {
	Now time.Time
	// Since is when the pool's workers began to be watched without a break. What passed before, nobody could
	// answer, so no time that a worker or an operation is given ends because of it.
	Since time.Time
	Pool  pool.Pool
	// Target is the pool's template hash, for those who have it at hand; empty: it is made.
	Target string
	// Operations are the pool's running operations, oldest first.
	Operations []pool.Operation
	// Workers are those that have not ended, oldest first.
	Workers []pool.Worker
	// Contracts hold the spec by which workers of another template than the pool's are treated, by its hash.
	Contracts map[string]pool.Spec
	// Good is the template that the places of old workers are filled with while a rollout is held, and that a
	// failed one returns to. Its hash is the pool's own if nothing else is known to be good.
	Good Baseline
	// Readings are what workers last answered when they were asked for their active jobs, by their id.
	Readings map[string]Reading
	// Holders name who holds leases on draining workers, by their id.
	Holders map[string]string
	// Vacancies are places of workers that failed and have no successor yet, oldest first.
	Vacancies []Vacancy
}

// Baseline is a template that workers are known to be good with.
type Baseline struct {
	Hash     string // empty: none is known
	Revision int64
}

// Reading is one answer of a worker that was asked for its active jobs.
type Reading struct {
	AskedAt time.Time
	// Draining says that it was asked after it was withdrawn. The times alone do not: one who gives work to whoever serves
	// can do so between a question and a withdrawal at the same moment.
	Draining bool
	Busy     string // what there is to do, or why that cannot be known; empty: nothing
}

// Vacancy is the place that a failed worker left.
type Vacancy struct {
	Worker pool.Worker
	// Hopeless says that a launch cannot succeed until the spec or the host is changed.
	Hopeless bool
}

// ActionKind is what is to be done.
type ActionKind string

const (
	Launch  ActionKind = "launch"  // journal a new worker and start it
	Drain   ActionKind = "drain"   // withdraw the worker; its work goes on
	Hook    ActionKind = "hook"    // tell a draining worker that it drains
	Count   ActionKind = "count"   // ask a worker for its active jobs
	Stop    ActionKind = "stop"    // condemn the worker and signal it
	Kill    ActionKind = "kill"    // end a condemned worker at once
	Destroy ActionKind = "destroy" // nothing is left: clean up and close the pool
)

// Action is one thing to do, with its reason.
type Action struct {
	Kind     ActionKind
	WorkerID string // of the worker acted on; empty for launch and destroy
	Replaces string // launch: the worker whose place it takes, if any
	Attempt  int    // launch: failures before it in its place
	Good     bool   // launch: from the baseline instead of the newest template
	Cause    pool.DrainCause
	DrainBy  time.Time // drain: when it is over, busy or not
	KillAt   time.Time // stop: when it is killed
	// Idle says of a drain that the worker was chosen because it has no work: it must not have got any meanwhile.
	Idle bool
	// Revokes says of a stop that the worker's leases end with it.
	Revokes bool
	// Late says of a kill that the worker's drain is over: it must not have got more time meanwhile.
	Late   bool
	Reason string
}

// Outcome ends an operation.
type Outcome struct {
	OperationID string
	Phase       pool.OperationPhase
	Reason      string
	Culprits    []string // workers whose logs may tell more
}

// Turn is an operation that goes on or waits from now on.
type Turn struct {
	OperationID string
	Phase       pool.OperationPhase
	Reason      string // what it waits for
	Promoted    bool   // its canary is good, and the rest follows
	CanarySince time.Time
}

// Progress moves an operation's low-water mark and deadline.
type Progress struct {
	OperationID string
	Remaining   int64
	Deadline    time.Time // zero: none
}

// Result is what Plan decides.
type Result struct {
	Actions  []Action
	Outcomes []Outcome
	Turns    []Turn
	Progress []Progress
	// Converged says that the pool is as its newest generation wants it.
	Converged bool
	// Next is when time alone changes the answer; zero if never.
	Next time.Time
}

// wake asks for another plan at t, if t is still to come.
func (r *Result) wake(now, t time.Time) {
	if t.After(now) && (r.Next.IsZero() || t.Before(r.Next)) {
		r.Next = t
	}
}

func (r *Result) act(a Action) { r.Actions = append(r.Actions, a) }
