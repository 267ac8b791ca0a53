package pool

import "time"

// Pool is the stored record of one pool.
type Pool struct {
	UID                 string    `json:"uid" doc:"Identity of the pool; never used again"`
	Name                string    `json:"name"`
	Phase               Phase     `json:"phase"`
	Spec                Spec      `json:"spec"`
	Host                string    `json:"host" doc:"Host whose processes the workers are"`
	Revision            int64     `json:"revision" doc:"Number of the newest accepted spec, from 1"`
	Restarts            int64     `json:"restarts" doc:"How often a restart was asked for"`
	Generation          int64     `json:"generation" doc:"Counts accepted changes"`
	ConvergedGeneration int64     `json:"converged_generation" doc:"The last generation that was fully reached"`
	Good                Template  `json:"good,omitzero" doc:"The newest template whose rollout succeeded: what a failed rollout returns to"`
	Paused              bool      `json:"paused,omitempty" doc:"Whether nothing is launched, stopped or replaced; leases go on"`
	Steered             int64     `json:"steered,omitempty" doc:"How often it was paused, resumed, or its rollout promoted or aborted"`
	Count               int64     `json:"count,omitempty" doc:"Workers that its autoscaling has decided on"`
	Scaling             bool      `json:"scaling,omitempty" doc:"Whether that count is not reached yet"`
	OperationID         string    `json:"operation_id" doc:"The newest operation that a user asked for"`
	Claimed             bool      `json:"claimed" doc:"Whether its creator knows that it exists"`
	Author              string    `json:"author" doc:"Who created it"`
	CreatedAt           time.Time `json:"created_at"`
	UpdatedAt           time.Time `json:"updated_at" doc:"When its newest generation was made"`
}

// Template names what workers are made from: a revision, and how often a restart had been asked for.
type Template struct {
	Revision int64 `json:"revision"`
	Restarts int64 `json:"restarts"`
}

// Target is the template hash that the pool's workers should have.
func (p Pool) Target() string { return TemplateHash(p.Spec, p.Restarts) }

// Desired is the count of workers in force: 0 once a destroy is accepted.
func (p Pool) Desired() int {
	if p.Phase == PhaseDeleting || p.Phase == PhaseDestroyed {
		return 0
	}
	if a := p.Spec.Autoscaling; a != nil {
		return int(a.Clamp(p.Count))
	}
	return int(valueOf(p.Spec.Size))
}

// Respec gives the pool another spec. An autoscaled one begins with the count in force, within its bounds.
func (p *Pool) Respec(spec Spec) {
	count := int64(p.Desired())
	p.Spec, p.Count = spec, 0
	if spec.Autoscaling != nil {
		p.Count = spec.Autoscaling.Clamp(count)
	}
}

// Revision is one accepted spec; it is never rewritten.
type Revision struct {
	PoolUID   string    `json:"pool_uid"`
	Number    int64     `json:"number" doc:"From 1"`
	Spec      Spec      `json:"spec"`
	Author    string    `json:"author"`
	Reason    string    `json:"reason,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// Operation is the durable record of one asked-for change.
type Operation struct {
	ID           string         `json:"id"`
	PoolUID      string         `json:"pool_uid"`
	PoolName     string         `json:"pool_name"`
	Kind         OperationKind  `json:"kind"`
	Change       Change         `json:"change" doc:"The hardest kind of change in it"`
	Phase        OperationPhase `json:"phase"`
	Generation   int64          `json:"generation" doc:"The generation it made"`
	Reason       string         `json:"reason,omitempty" doc:"Why it ended as it did, or what it waits for"`
	LogTail      string         `json:"log_tail,omitempty" doc:"Last log lines of the workers that made it fail"`
	SupersededBy string         `json:"superseded_by,omitempty" doc:"The operation that took over"`
	WorkerID     string         `json:"worker_id,omitempty" doc:"The worker that it is about"`
	CanarySince  time.Time      `json:"canary_since,omitzero" doc:"Since when its canary is good: its bake began then"`
	Promoted     bool           `json:"promoted,omitempty" doc:"Whether the rest follows its canary"`
	Aborted      bool           `json:"aborted,omitempty" doc:"Whether a person ended it"`
	Force        bool           `json:"force,omitempty" doc:"Whether workers are stopped without waiting for them"`
	Author       string         `json:"author"`
	Comment      string         `json:"comment,omitempty" doc:"The author's reason"`
	Remaining    int64          `json:"remaining" doc:"Steps still to go, at their lowest so far: workers to become available, to be drained, to end"`
	CreatedAt    time.Time      `json:"created_at"`
	Deadline     time.Time      `json:"deadline,omitzero" doc:"When it fails unless it makes progress before"`
	EndedAt      time.Time      `json:"ended_at,omitzero"`
}

// Instance is how a runtime knows the thing that a worker runs as. A process is identified by boot, pid
// and start time together, because pids are used again.
type Instance struct {
	BootID    string         `json:"boot_id,omitempty"`
	PID       int            `json:"pid,omitempty"`
	StartTime int64          `json:"start_time,omitempty" doc:"In the unit of the operating system, comparable within one boot"`
	Ports     map[string]int `json:"ports,omitempty" doc:"Chosen port by its name in worker.ports"`
}

// Exit tells how an instance ended.
type Exit struct {
	Code    int    `json:"code" doc:"Exit code, if it was not ended by a signal"`
	Signal  string `json:"signal,omitempty" doc:"Signal that ended it, like KILL"`
	Unknown bool   `json:"unknown,omitempty" doc:"The kernel gave its status to somebody else, as it does for adopted instances"`
}

// Clean says that the instance exited with code 0.
func (e Exit) Clean() bool { return !e.Unknown && e.Signal == "" && e.Code == 0 }

// Worker is the stored record of one worker.
type Worker struct {
	ID           string      `json:"id"`
	PoolUID      string      `json:"pool_uid"`
	State        WorkerState `json:"state"`
	Health       Health      `json:"health"`
	HealthReason string      `json:"health_reason,omitempty"`
	HealthAt     time.Time   `json:"health_at,omitzero" doc:"When its health last changed"`
	Revision     int64       `json:"revision" doc:"Revision it was made from"`
	TemplateHash string      `json:"template_hash"`
	Slots        int64       `json:"slots" doc:"Leases that it takes at a time"`
	Instance     Instance    `json:"instance,omitzero"`
	Replaces     string      `json:"replaces,omitempty" doc:"Id of the worker it was launched to replace"`
	Attempt      int         `json:"attempt,omitempty" doc:"How many of the workers before it in its place failed soon after their start"`
	DrainCause   DrainCause  `json:"drain_cause,omitempty"`
	Reason       string      `json:"reason,omitempty" doc:"Why it is in its state"`
	CreatedAt    time.Time   `json:"created_at"`
	StartedAt    time.Time   `json:"started_at,omitzero"`
	ReadyAt      time.Time   `json:"ready_at,omitzero" doc:"When it was last found healthy after not being so"`
	StartUp      Duration    `json:"start_up,omitzero" doc:"How long it took from its creation until it was ready for the first time"`
	DrainingAt   time.Time   `json:"draining_at,omitzero"`
	DrainBy      time.Time   `json:"drain_by,omitzero" doc:"When its drain is over, busy or not"`
	HookedAt     time.Time   `json:"hooked_at,omitzero" doc:"When its drain hook had answered"`
	StoppingAt   time.Time   `json:"stopping_at,omitzero"`
	EndedAt      time.Time   `json:"ended_at,omitzero"`
	KillAt       time.Time   `json:"kill_at,omitzero" doc:"When it is killed, unless its drain is extended; stays once it runs"`
	Exit         *Exit       `json:"exit,omitempty"`
	Marks
}

// Leasable says whether the worker takes leases, if it has a free slot.
func (w Worker) Leasable() bool {
	return w.State == WorkerReady && w.Health == Healthy && !w.Cordoned && !w.Spent
}

// Secret is one version of a pool's secret environment, sealed: only a manager with its key can read it.
type Secret struct {
	PoolUID   string    `json:"pool_uid"`
	Version   int64     `json:"version"`
	Names     []string  `json:"names" doc:"Of its variables, in order"`
	KeyID     string    `json:"key_id"`
	Sealed    []byte    `json:"sealed"`
	CreatedAt time.Time `json:"created_at"`
}

// Event is one entry of a pool's log.
type Event struct {
	PoolUID     string    `json:"pool_uid"`
	PoolName    string    `json:"pool_name"`
	Sequence    int64     `json:"sequence" doc:"From 1, without gaps in one pool"`
	Type        EventType `json:"type"`
	Time        time.Time `json:"time"`
	Author      string    `json:"author"`
	Message     string    `json:"message"`
	Comment     string    `json:"comment,omitempty" doc:"The author's reason"`
	WorkerID    string    `json:"worker_id,omitempty"`
	OperationID string    `json:"operation_id,omitempty"`
}

// Status is what is derived from a pool's records and workers at one moment.
type Status struct {
	State         State      `json:"state"`
	Reason        string     `json:"reason,omitempty" doc:"Why it is in that state"`
	Health        Health     `json:"health"`
	HealthReasons []string   `json:"health_reasons,omitempty"`
	Desired       int        `json:"desired" doc:"Workers that there should be"`
	Current       int        `json:"current" doc:"Workers that run, draining ones included"`
	Ready         int        `json:"ready" doc:"Workers that are ready and not draining"`
	Available     int        `json:"available" doc:"Ready workers that pass their check since min_ready"`
	Unhealthy     int        `json:"unhealthy"`
	Draining      int        `json:"draining"`
	Old           int        `json:"old" doc:"Workers made from another template than the newest"`
	Missing       int        `json:"missing" doc:"Workers that should be there and are not, while no operation runs"`
	Operation     *Operation `json:"operation,omitempty" doc:"The newest operation that a user asked for"`
	Rollout       *Operation `json:"rollout,omitempty" doc:"An older operation whose rollout goes on, or waits"`
}

// View is a pool as the API shows it.
type View struct {
	Pool
	SecretNames []string `json:"secret_names,omitempty" doc:"Variables of its secret environment, whose values nobody is answered"`
	Status      Status   `json:"status"`
}
