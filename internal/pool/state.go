package pool

// Phase is the stored standing of a pool, changed by compare-and-set and never backwards.
type Phase string

const (
	PhaseCreating  Phase = "creating"
	PhaseLive      Phase = "live"
	PhaseDeleting  Phase = "deleting"
	PhaseDestroyed Phase = "destroyed"
)

// State is what a pool shows; it is derived, never stored.
type State string

const (
	StateCreating     State = "creating"
	StateInitializing State = "initializing"
	StateActive       State = "active"
	StateUpdating     State = "updating"
	StateScaling      State = "scaling"
	StateDraining     State = "draining"
	StateDestroying   State = "destroying"
	StateDestroyed    State = "destroyed"
	StateError        State = "error"
)

// Standing is what a pool's shown state is derived from.
type Standing struct {
	Phase        Phase
	Failed       bool // the newest operation failed
	WorkersKnown bool // at least one worker was ever journaled
	Draining     bool // a worker is draining
	Old          bool // a living worker is old
	Resizing     bool // a changed size is not yet reached
}

// states is read from the top; the first match is shown.
var states = []struct {
	state State
	holds func(Standing) bool
}{
	{StateDestroyed, func(s Standing) bool { return s.Phase == PhaseDestroyed }},
	{StateDraining, func(s Standing) bool { return s.Phase == PhaseDeleting && s.Draining }},
	{StateDestroying, func(s Standing) bool { return s.Phase == PhaseDeleting }},
	{StateError, func(s Standing) bool { return s.Failed }},
	{StateInitializing, func(s Standing) bool { return s.Phase == PhaseCreating && s.WorkersKnown }},
	{StateCreating, func(s Standing) bool { return s.Phase == PhaseCreating }},
	{StateUpdating, func(s Standing) bool { return s.Old }},
	{StateScaling, func(s Standing) bool { return s.Resizing }},
	{StateActive, func(Standing) bool { return true }},
}

// Shown is the state to show for a standing.
func (s Standing) Shown() State {
	for _, row := range states {
		if row.holds(s) {
			return row.state
		}
	}
	panic("the last row always holds")
}

// WorkerState is where a worker is in its life; it only moves forward.
type WorkerState string

const (
	WorkerPending  WorkerState = "pending"  // the intent to launch it is journaled
	WorkerStarting WorkerState = "starting" // its instance runs and has not passed its check yet
	WorkerReady    WorkerState = "ready"    // has passed its check
	WorkerDraining WorkerState = "draining" // withdrawn; finishing its work
	WorkerStopping WorkerState = "stopping" // condemned: only a worker in this state is ever sent a signal
	WorkerStopped  WorkerState = "stopped"  // ended because it was told to
	WorkerFailed   WorkerState = "failed"   // ended by itself, or could not be launched
)

// Ended says that the worker has no instance any more.
func (s WorkerState) Ended() bool { return s == WorkerStopped || s == WorkerFailed }

// Leaving says that the worker is on its way out.
func (s WorkerState) Leaving() bool { return s == WorkerDraining || s == WorkerStopping }

// Health is a verdict on a worker or a pool.
type Health string

const (
	Healthy       Health = "healthy"
	Degraded      Health = "degraded" // pools only
	Unhealthy     Health = "unhealthy"
	HealthUnknown Health = "unknown"
)

// OperationKind is what was asked for.
type OperationKind string

const (
	OperationCreate  OperationKind = "create"
	OperationUpdate  OperationKind = "update"
	OperationResize  OperationKind = "resize"
	OperationRestart OperationKind = "restart"
	OperationDelete  OperationKind = "delete"
	OperationRevert  OperationKind = "revert" // to the template and contract of an older revision
	OperationDrain   OperationKind = "drain"  // replace one worker
)

// OperationPhase is how far an operation is.
type OperationPhase string

const (
	OperationRunning    OperationPhase = "running"
	OperationPaused     OperationPhase = "paused"             // waits until a person has it go on
	OperationAwaiting   OperationPhase = "awaiting_promotion" // its canary is good; a person decides about the rest
	OperationReverting  OperationPhase = "reverting"          // failed; the pool returns to the last good revision
	OperationSucceeded  OperationPhase = "succeeded"
	OperationFailed     OperationPhase = "failed"
	OperationReverted   OperationPhase = "reverted" // failed; the pool has returned to the last good revision
	OperationCanceled   OperationPhase = "canceled" // a person ended it; the pool has returned likewise
	OperationSuperseded OperationPhase = "superseded"
)

// Ended says that the operation's outcome is final.
func (p OperationPhase) Ended() bool {
	switch p {
	case OperationRunning, OperationPaused, OperationAwaiting, OperationReverting:
		return false
	}
	return true
}

// Waits says that the operation does not go on before a person says so.
func (p OperationPhase) Waits() bool { return p == OperationPaused || p == OperationAwaiting }

// DrainCause is why a worker was taken out of service.
type DrainCause string

const (
	DrainScaleIn DrainCause = "scale_in" // the size shrank
	DrainRollout DrainCause = "rollout"  // it is old
	DrainReplace DrainCause = "replace"  // it is unhealthy
	DrainDestroy DrainCause = "destroy"  // the pool is being destroyed
)

// EventType names an event.
type EventType string

const (
	EventPoolCreated      EventType = "pool.created"
	EventPoolInitialized  EventType = "pool.initialized"
	EventPoolRestored     EventType = "pool.restored"
	EventPoolUpdated      EventType = "pool.updated"
	EventPoolResized      EventType = "pool.resized"
	EventPoolScaled       EventType = "pool.scaled"
	EventPoolRestarted    EventType = "pool.restarted"
	EventPoolReverted     EventType = "pool.reverted"
	EventPoolPaused       EventType = "pool.paused"
	EventPoolResumed      EventType = "pool.resumed"
	EventRolloutPromoted  EventType = "rollout.promoted"
	EventRolloutAborted   EventType = "rollout.aborted"
	EventRolloutWaiting   EventType = "rollout.waiting"
	EventPoolDraining     EventType = "pool.draining"
	EventPoolDestroyed    EventType = "pool.destroyed"
	EventPoolConverged    EventType = "pool.converged"
	EventOperationFailed  EventType = "operation.failed"
	EventOperationEnded   EventType = "operation.ended"
	EventWorkerLaunching  EventType = "worker.launching"
	EventWorkerStarted    EventType = "worker.started"
	EventWorkerReady      EventType = "worker.ready"
	EventWorkerHealthy    EventType = "worker.healthy"
	EventWorkerUnhealthy  EventType = "worker.unhealthy"
	EventWorkerDraining   EventType = "worker.draining"
	EventWorkerStopping   EventType = "worker.stopping"
	EventWorkerStopped    EventType = "worker.stopped"
	EventWorkerFailed     EventType = "worker.failed"
	EventWorkerFinished   EventType = "worker.finished"
	EventWorkerTrouble    EventType = "worker.trouble"
	EventWorkerCordoned   EventType = "worker.cordoned"
	EventWorkerUncordoned EventType = "worker.uncordoned"
	EventWorkerExtended   EventType = "worker.extended"
	EventLeaseExpired     EventType = "lease.expired"
	EventLeaseLost        EventType = "lease.lost"
	EventLeaseRevoked     EventType = "lease.revoked"
)
