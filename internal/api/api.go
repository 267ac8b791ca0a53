// Package api is the protocol between a manager and its clients: paths, request bodies, headers and
// problems. The records that travel in it are those of package pool.
package api

import (
	"fmt"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Headers of the protocol beside HTTP's own.
const (
	HeaderReason         = "Poolkeeper-Reason"         // why a change is made, for the audit log
	HeaderClient         = "Poolkeeper-Client"         // what makes it: program/version
	HeaderIdempotencyKey = "Idempotency-Key"           // a repeated request with the same key is answered once
	HeaderManager        = "Poolkeeper-Manager"        // in answers: id of the manager
	HeaderExpectManager  = "Poolkeeper-Expect-Manager" // in requests: refused with 421 by any other manager
)

// Limits of the protocol.
const (
	MaxBody    = 1 << 20          // bytes of a request
	MaxRestore = 64 << 20         // bytes of a request that restores a pool with its history
	MaxWait    = 60 * time.Second // of one long poll
)

// Manager describes a running manager.
type Manager struct {
	ID          string    `json:"id" doc:"Identity of the manager; stays over restarts"`
	Incarnation string    `json:"incarnation" doc:"Life of its store"`
	Version     string    `json:"version"`
	Host        string    `json:"host" doc:"Host whose processes it runs"`
	PID         int       `json:"pid"`
	StartedAt   time.Time `json:"started_at"`
	DataDir     string    `json:"data_dir"`
	Embedded    bool      `json:"embedded" doc:"Whether it ends by itself some time after its last pool is gone"`
	Pools       int       `json:"pools" doc:"Pools that are not destroyed"`
	Foreign     []Foreign `json:"foreign" doc:"Instances under its identity or of its data directory that its store does not know"`
}

// Foreign is an instance that nobody but a person may stop.
type Foreign struct {
	WorkerID string `json:"worker_id"`
	PoolName string `json:"pool_name"`
	PoolUID  string `json:"pool_uid"`
	PID      int    `json:"pid"`
}

// Resize is the body of a resize.
type Resize struct {
	Size int64 `json:"size" minimum:"0" doc:"Desired number of workers"`
}

// What a Put of a spec would do.
const (
	PlanNone    = "none"    // the pool is as the spec says
	PlanCreate  = "create"  // there is no pool of the name
	PlanUpdate  = "update"  // it is changed in place
	PlanReplace = "replace" // it is refused: only another pool can have the spec
)

// Plan is a dry run: what a Put of a spec would do to a pool and its workers, if nothing else happened.
type Plan struct {
	Action    string             `json:"action" enum:"none,create,update,replace"`
	Change    pool.Change        `json:"change" doc:"The hardest kind of change in it"`
	Changes   []pool.FieldChange `json:"changes"`
	Launches  int                `json:"launches" doc:"Workers that are started"`
	Drains    int                `json:"drains" doc:"Workers that go"`
	Waves     []Wave             `json:"waves"`
	WorstTime pool.Duration      `json:"worst_time" doc:"How long it takes if whoever is busy stays so until its drain deadline, and starts take as long as they usually do; 0s beside waits that say that it takes longer than is foreseen"`
	Waits     string             `json:"waits,omitempty" doc:"What it comes to a halt at"`
}

// PathRestore is where a pool of a backup is brought back, with a larger body than elsewhere.
const PathRestore = "/v1/pools:restore"

// Restored is what a restore does, or would do, to a pool: make it with its history, change it to the spec of the backup,
// or nothing.
type Restored struct {
	Name      string             `json:"name"`
	UID       string             `json:"uid" doc:"Of the pool that there is then; of a new one in a dry run, the one that it would get now"`
	Action    string             `json:"action" enum:"none,create,update"`
	Changes   []pool.FieldChange `json:"changes,omitempty"`
	Operation *pool.Operation    `json:"operation,omitempty" doc:"What brings the pool there; none in a dry run"`
}

// Wave is what happens at one moment of a plan.
type Wave struct {
	After    pool.Duration `json:"after"`
	Launches int           `json:"launches"`
	Drains   []Victim      `json:"drains"`
}

// Victim is a worker that goes, and why.
type Victim struct {
	WorkerID string `json:"worker_id"`
	Reason   string `json:"reason"`
}

// Revert is the body of a return to an older revision.
type Revert struct {
	Revision int64 `json:"revision" minimum:"1" doc:"Number of the revision whose template and contract the pool gets"`
}

// DrainWorker is the body of the drain of one worker.
type DrainWorker struct {
	Replace *bool `json:"replace,omitempty" doc:"Whether another worker takes its place; else the pool gets smaller by one. Left out, it does"`
}

// ExtendDrain is the body of an extension of a running drain.
type ExtendDrain struct {
	By string `json:"by" doc:"How much longer the worker has, like 10m"`
}

// Registry is what schedulers read: the pools that live, with the workers that serve.
type Registry struct {
	Pools   []RegisteredPool `json:"pools"`
	Waiting int              `json:"waiting" doc:"Leases that wait for a slot of any pool with their labels"`
}

// RegisteredPool is one pool of the registry.
type RegisteredPool struct {
	UID       string            `json:"uid"`
	Name      string            `json:"name"`
	Labels    map[string]string `json:"labels,omitempty"`
	Host      string            `json:"host" doc:"Host that its workers run on"`
	Waiting   int               `json:"waiting" doc:"Leases that wait for a slot of it by its name; those that wait by labels are the registry's"`
	Endpoints []Endpoint        `json:"endpoints"`
}

// WaitingByLabels is told by a watch of the registry before it is complete, and when it changes.
type WaitingByLabels struct {
	Waiting int `json:"waiting" doc:"Leases that wait for a slot of any pool with their labels"`
}

// RegistryComplete is told by a watch of the registry once it has told all pools.
type RegistryComplete struct {
	Pools int `json:"pools" doc:"How many there are"`
}

// PoolGone is told by a watch of the registry when a pool is being destroyed.
type PoolGone struct {
	UID  string `json:"uid"`
	Name string `json:"name"`
}

// StillThere is told by a watch when there is nothing else to tell.
type StillThere struct {
	Time time.Time `json:"time"`
}

// The names of what a watch of the registry tells.
const (
	EventPool     = "pool"
	EventWaiting  = "waiting"
	EventComplete = "complete"
	EventGone     = "gone"
	EventAlive    = "alive"
)

// Endpoint is a worker that serves: ready, healthy, neither draining nor cordoned.
type Endpoint struct {
	WorkerID string         `json:"worker_id"`
	Revision int64          `json:"revision"`
	Ports    map[string]int `json:"ports,omitempty"`
	Slots    int64          `json:"slots"`
	Leased   int            `json:"leased" doc:"Slots that are taken"`
}

// Targets is a group of Prometheus's HTTP service discovery.
type Targets struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// LeaseRequest is the body of a claim on a slot: of one pool, or of any pool with some labels.
type LeaseRequest struct {
	Pool     string            `json:"pool,omitempty" maxLength:"100" doc:"Name or uid of the pool; else there is a selector"`
	Selector map[string]string `json:"selector,omitempty" doc:"Labels that the pool has to have"`
	Holder   string            `json:"holder,omitempty" maxLength:"253" doc:"Who will hold it, for people: a job's or a machine's name"`
	Wait     string            `json:"wait,omitempty" doc:"How long to wait for a free slot, at most 60s; the lease keeps its place in the queue also afterwards"`
}

// LeaseView is a lease with what its holder has to know of its worker.
type LeaseView struct {
	pool.Lease
	Worker *LeasedWorker `json:"worker,omitempty" doc:"While it is held"`
}

// LeasedWorker is the worker of a lease.
type LeasedWorker struct {
	State   pool.WorkerState `json:"state" doc:"A draining worker is waited for until its leases are released or its drain is over"`
	Health  pool.Health      `json:"health"`
	Host    string           `json:"host" doc:"Host that it runs on"`
	Ports   map[string]int   `json:"ports,omitempty"`
	DrainBy time.Time        `json:"drain_by,omitzero" doc:"When its drain is over and the lease may be revoked"`
}

// LeaseList is a pool's living leases: those that are held, then those that wait, each in the order in which
// they were asked for.
type LeaseList struct {
	Leases []pool.Lease `json:"leases"`
}

// Accepted is the answer to a mutation: what was accepted and the operation that will reach it. A mutation
// that changes nothing is answered with the pool's newest operation.
type Accepted struct {
	Pool      pool.View      `json:"pool"`
	Operation pool.Operation `json:"operation"`
	Changed   bool           `json:"changed" doc:"False if the pool was as asked for already, or if the request is a repetition"`
}

// PoolList is one page of pools, by name.
type PoolList struct {
	Pools []pool.View `json:"pools"`
	Next  string      `json:"next,omitempty" doc:"after= of the next page; empty on the last"`
}

// WorkerList is a pool's workers: those that live, oldest first, then those that ended, newest first.
type WorkerList struct {
	Workers []pool.Worker `json:"workers"`
}

// RevisionList is a pool's revisions from the newest.
type RevisionList struct {
	Revisions []pool.Revision `json:"revisions"`
}

// EventList is a part of a pool's log, in order.
type EventList struct {
	Events []pool.Event `json:"events"`
	Next   int64        `json:"next" doc:"after= that continues behind this part"`
}

// Validated is the answer to a spec that is valid: the spec with its defaults.
type Validated struct {
	Spec pool.Spec `json:"spec"`
}

// Names of problems: the last part of a problem's type URI.
const (
	ProblemInvalid      = "invalid-spec"           // 422: errors carry the fields
	ProblemNotFound     = "not-found"              // 404
	ProblemExists       = "exists"                 // 409: a claimed pool has the name
	ProblemDeleting     = "deleting"               // 409: the pool is being destroyed
	ProblemProtected    = "deletion-protected"     // 409
	ProblemReplace      = "replacement-required"   // 409: the change needs another pool
	ProblemStale        = "stale"                  // 412: If-Match is not the newest
	ProblemPrecondition = "precondition-required"  // 428: If-Match or If-None-Match is missing
	ProblemKeyReused    = "idempotency-key-reused" // 422
	ProblemNoRollout    = "no-rollout"             // 409: there is nothing of the kind to steer
	ProblemAutoscaled   = "autoscaled"             // 409: the pool sizes itself
	ProblemWorkerState  = "worker-state"           // 409: the worker is in no state for it
	ProblemLeaseEnded   = "lease-ended"            // 410: the lease is over; the problem says how
	ProblemOtherManager = "other-manager"          // 421
	ProblemStopping     = "stopping"               // 503: the manager is ending
	ProblemUnauthorized = "unauthorized"           // 401
	ProblemForbidden    = "forbidden"              // 403: the caller's role or labels do not allow it
	ProblemInvalidToken = "invalid-token-request"  // 422: errors carry the fields
	ProblemTooLarge     = "too-large"              // 413
	ProblemStore        = "store"                  // 503: the store cannot be written (disk full, read-only)
)

// ProblemBase stands before a problem's name in its type URI.
const ProblemBase = "urn:poolkeeper:problem:"

// Problem is an error answer (RFC 9457).
type Problem struct {
	Type      string          `json:"type"`
	Title     string          `json:"title"`
	Status    int             `json:"status"`
	Detail    string          `json:"detail,omitempty"`
	Errors    pool.Faults     `json:"errors,omitempty" doc:"Each fault of an invalid spec"`
	Operation *pool.Operation `json:"operation,omitempty" doc:"The operation in the way"`
	UID       string          `json:"uid,omitempty" doc:"The pool in the way"`
	Lease     *pool.Lease     `json:"lease,omitempty" doc:"The lease that is over"`
}

// Name is the problem's name, one of the Problem constants.
func (p *Problem) Name() string { return strings.TrimPrefix(p.Type, ProblemBase) }

func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = fmt.Sprintf("%s (status %d)", p.Title, p.Status)
	}
	if len(p.Errors) > 0 {
		text += "\n" + p.Errors.Error()
	}
	return text
}

// ETag is the entity tag of a pool: it changes with every accepted change and names the uid.
func ETag(p pool.Pool) string { return fmt.Sprintf(`"%s.%d"`, p.UID, p.Generation) }
