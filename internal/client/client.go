// Package client is the Go client of a manager's API. The provider and the command line reach a manager
// through nothing else. It knows the protocol and how long to be patient; it starts no manager and decides
// nothing about pools.
package client

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/backup"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Problem is an error answer of the manager; every call's error wraps one if the manager answered.
type Problem = api.Problem

// ErrUnreachable: no manager answered. Every call's error wraps it, and names the endpoint, if neither an
// answer came nor the caller's context ended. A Config.Transport whose error is already ErrUnreachable has
// tried all that can be tried: such an error is passed on as it is and the request is not repeated.
var ErrUnreachable = errors.New("no manager answered")

// ErrToken: the configured token could be no manager's.
var ErrToken = errors.New("the token is not valid text: it holds a line break or another control character; if it is read from a file, leave out what ends the line (in Terraform with trimspace)")

// Change says who asks for a mutation, for the audit log.
type Change struct {
	Reason string // why, in the author's words
	Key    string // idempotency key; empty makes a new one
	ETag   string // the pool's entity tag that the change is based on; empty reads the newest first
}

// Backup is a whole backup file, and how many pools are in it.
type Backup struct {
	File  []byte
	Pools int
}

// Manager is a manager's API as calls. Client implements it over HTTP.
type Manager interface {
	Manager(ctx context.Context) (api.Manager, error)
	Stop(ctx context.Context) error
	// Validate checks a spec (JSON or YAML) as creation would and changes nothing.
	Validate(ctx context.Context, spec []byte) (pool.Spec, error)
	// Plan says what a Put of the spec (JSON or YAML) would do, and does nothing.
	Plan(ctx context.Context, spec []byte) (api.Plan, error)
	// PlanPatch says what a Patch of the pool would do, and does nothing.
	PlanPatch(ctx context.Context, name string, patch []byte) (api.Plan, error)
	Pool(ctx context.Context, name string) (pool.View, error)
	// PoolByUID also finds the tombstone of a destroyed pool. It claims the pool.
	PoolByUID(ctx context.Context, uid string) (pool.View, error)
	// EachPool tells the pools by name, page by page; an error ends it. Pools has them all.
	EachPool(ctx context.Context) iter.Seq2[pool.View, error]
	Pools(ctx context.Context) ([]pool.View, error)
	// Create errs with ProblemExists if a pool has the name, unless it is an unclaimed one of the same author and
	// spec that nobody waits for: that is attached to.
	Create(ctx context.Context, spec pool.Spec, c Change) (api.Accepted, error)
	// Update errs with ProblemStale if c.ETag is not the newest, with ProblemReplace if the change needs
	// another pool.
	Update(ctx context.Context, spec pool.Spec, c Change) (api.Accepted, error)
	// Patch applies a merge patch.
	Patch(ctx context.Context, name string, patch []byte, c Change) (api.Accepted, error)
	Resize(ctx context.Context, name string, size int64, c Change) (api.Accepted, error)
	Restart(ctx context.Context, name string, c Change) (api.Accepted, error)
	// Delete takes a name or a uid. On a pool that is being deleted it answers the running operation;
	// force then hurries it.
	Delete(ctx context.Context, ref string, force bool, c Change) (api.Accepted, error)
	Operation(ctx context.Context, id string) (pool.Operation, error)
	// Wait returns the operation once it has ended or waits for a person, or its newest state with an error: ctx's, or that no
	// manager has told of it for too long. It survives restarts of the manager. progress, if not nil, is told
	// every answer in between.
	Wait(ctx context.Context, id string, progress func(pool.Operation)) (pool.Operation, error)
	// Backup reads the named pools, or all, with their histories as a backup file, whole.
	Backup(ctx context.Context, pools []string, events, secrets bool) (Backup, error)
	// Restore brings one pool of a backup back, or only says what that would do.
	Restore(ctx context.Context, kept backup.Pool, dryRun bool, c Change) (api.Restored, error)
	Workers(ctx context.Context, name string) ([]pool.Worker, error)
	Logs(ctx context.Context, name, workerID string, maxBytes int64) ([]byte, error)
	// Pause stops all that is done with a pool's workers but their leases; Resume has it go on, also a rollout
	// that waits after its failure.
	Pause(ctx context.Context, name string, c Change) (pool.View, error)
	Resume(ctx context.Context, name string, c Change) (pool.View, error)
	// Promote has the rest of a rollout follow its canary; Abort returns the pool to its last good revision.
	// Both err with ProblemNoRollout if there is nothing of the kind.
	Promote(ctx context.Context, name string, c Change) (pool.View, error)
	Abort(ctx context.Context, name string, c Change) (pool.View, error)
	// Revert gives a pool the template and contract of one of its revisions.
	Revert(ctx context.Context, name string, revision int64, c Change) (api.Accepted, error)
	Cordon(ctx context.Context, name, workerID string, c Change) (pool.Worker, error)
	Uncordon(ctx context.Context, name, workerID string, c Change) (pool.Worker, error)
	ExtendDrain(ctx context.Context, name, workerID string, by time.Duration, c Change) (pool.Worker, error)
	// DrainWorker replaces a worker; without a replacement the pool gets smaller by one.
	DrainWorker(ctx context.Context, name, workerID string, replace bool, c Change) (api.Accepted, error)
	Registry(ctx context.Context) (api.Registry, error)
	// WatchRegistry tells the registry as it is, and again whenever it has changed, until it errs.
	WatchRegistry(ctx context.Context, changed func(api.Registry) error) error
	// Acquire claims a slot and returns once it is held. While none is free it waits in the queue, as long as
	// ctx allows; a wait that is given up frees its place. It survives restarts of the manager.
	Acquire(ctx context.Context, want api.LeaseRequest) (api.LeaseView, error)
	// Renew errs with ProblemLeaseEnded if the lease is over; the problem's Lease says how it ended.
	Renew(ctx context.Context, leaseID string) (api.LeaseView, error)
	Release(ctx context.Context, leaseID string) (pool.Lease, error)
	Leases(ctx context.Context, name string) ([]pool.Lease, error)
	Revisions(ctx context.Context, name string) ([]pool.Revision, error)
	Events(ctx context.Context, name string, after int64) (api.EventList, error)
	// MakeToken makes an access token and tells its secret, this once.
	MakeToken(ctx context.Context, want api.TokenRequest) (api.NewToken, error)
	// Tokens lists the access tokens that live, or also those that have ended lately.
	Tokens(ctx context.Context, ended bool) ([]api.Token, error)
	// RevokeToken ends an access token. Once more is no error.
	RevokeToken(ctx context.Context, id string) (api.Token, error)
}

var _ Manager = (*Client)(nil)

// retryFor bounds how long a call waits for a manager that is out of reach for a moment.
const retryFor = 10 * time.Second

// MaxAbsence is how long a wait bears that no manager tells of its operation, unless configured otherwise:
// longer than a restart of a manager or of its machine takes, and short enough for a person who watches.
const MaxAbsence = 5 * time.Minute

// expectation is the key of Expecting's value in a context.
type expectation struct{}

// Expecting makes every call under the returned context be refused, with ProblemOtherManager, by any
// manager whose id is another. It goes before Config.ExpectManager; an empty id expects nothing.
func Expecting(ctx context.Context, managerID string) context.Context {
	return context.WithValue(ctx, expectation{}, managerID)
}
