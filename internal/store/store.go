// Package store keeps the manager's records. It owns the SQL and the transactions; it decides nothing.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

var (
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("not found")
	// ErrNameTaken: another pool that is not destroyed has the name.
	ErrNameTaken = errors.New("the name is taken")
	// ErrUnwritable: nothing can be written at the moment: the disk is full, read-only or failing, the store's
	// file is not in its place any more, or its server cannot be reached or takes no change.
	// Nothing was changed; once the cause is gone the same store works again.
	ErrUnwritable = errors.New("the store cannot be written")
	// ErrInUse: another manager has the store open.
	ErrInUse = errors.New("the store is in use by another manager")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the store is closed")
)

// Identity names a manager and the life of its store.
type Identity struct {
	ManagerID   string `json:"manager_id"`
	Incarnation string `json:"incarnation"`
}

// String is the identity that instances carry.
func (i Identity) String() string { return i.ManagerID + "/" + i.Incarnation }

// Store is a database of records. Implementations are safe for concurrent use.
type Store interface {
	// Identity was made when the store was created and never changes.
	Identity() Identity
	// View runs read in one consistent snapshot, which holds at least every update that has returned. read
	// must not call View or Update, and must not keep the Reader.
	View(ctx context.Context, read func(Reader) error) error
	// Update runs change in one transaction and returns when it is durable. An error of change, or a
	// failure to commit, undoes all of it: an implementation that can lose the answer to a commit finds out
	// what became of it before it returns, for callers act on its word. Concurrent updates may share one
	// commit; change may run on another goroutine, must not block on anything but the transaction, and runs
	// exactly once. A statement that failed dooms its change, whatever change returns. A ctx that is done
	// before change has started keeps it from running; later it changes nothing.
	Update(ctx context.Context, change func(Writer) error) error
	// Close waits for the views and updates that were begun; later ones err with ErrClosed. For an update whose
	// answer is lost with its server it waits some seconds only: that one errs, and nobody knows what became of it.
	Close() error
}

// Page bounds a listing: what follows After, at most Limit entries (0: no bound).
type Page struct {
	After string
	Limit int
}

// Reader reads records. Single records err with ErrNotFound; listings are empty instead.
type Reader interface {
	// Pool finds a pool in any phase by its uid.
	Pool(uid string) (pool.Pool, error)
	// PoolByName finds the pool of that name that is not destroyed.
	PoolByName(name string) (pool.Pool, error)
	// Pools lists the pools that are not destroyed by name; page.After is a name.
	Pools(page Page) ([]pool.Pool, error)
	// CountPools counts the pools that are not destroyed.
	CountPools() (int, error)
	// PoolsByLabels lists the pools that are not destroyed and have all the labels, of which there is at
	// least one, by name.
	PoolsByLabels(labels map[string]string) ([]pool.Pool, error)
	Revision(poolUID string, number int64) (pool.Revision, error)
	// Revisions lists from the newest.
	Revisions(poolUID string, limit int) ([]pool.Revision, error)
	Worker(id string) (pool.Worker, error)
	// Workers lists a pool's workers that have not ended, oldest first.
	Workers(poolUID string) ([]pool.Worker, error)
	// Marks are the marks of a pool's workers that have not ended and have any, by the worker's id.
	Marks(poolUID string) (map[string]pool.Marks, error)
	// EndedWorkers lists a pool's ended workers from the newest end.
	EndedWorkers(poolUID string, limit int) ([]pool.Worker, error)
	Operation(id string) (pool.Operation, error)
	// Operations lists a pool's operations from the newest.
	Operations(poolUID string, limit int) ([]pool.Operation, error)
	// RunningOperations lists the pool's operations that have not ended, oldest first.
	RunningOperations(poolUID string) ([]pool.Operation, error)
	// Events lists a pool's events with a sequence above after, in order.
	Events(poolUID string, after int64, limit int) ([]pool.Event, error)
	Lease(id string) (pool.Lease, error)
	// HeldLeases and WaitingLeases list a pool's leases in the order in which they were asked for; "" stands
	// for those that wait for any pool of a selector.
	HeldLeases(poolUID string, limit int) ([]pool.Lease, error)
	WaitingLeases(poolUID string, limit int) ([]pool.Lease, error)
	// LeasesOf lists the leases that are held on a worker.
	LeasesOf(workerID string) ([]pool.Lease, error)
	// CountLeases counts a pool's held and waiting leases, or, for "", those that wait for any pool of a selector.
	CountLeases(poolUID string) (held, waiting int, err error)
	// NextWaiting finds the oldest lease that waits for a slot of the pool: by its name or, with a selector, by
	// its labels. ErrNotFound if none does.
	NextWaiting(p pool.Pool) (pool.Lease, error)
	// DueLeases lists the leases that expire at or before a time and have had their whole time to live since
	// another, the soonest first.
	DueLeases(at, since time.Time, limit int) ([]pool.Lease, error)
	// Room finds the worker that gets a pool's next lease: one of the given template before others, and of
	// those the fullest. ErrNotFound if no slot is free.
	Room(poolUID, templateHash string) (pool.Worker, error)
	// Latest is the newest moment that events and the grants, renewals and ends of leases tell of; zero if there
	// are none. One that waits tells by its expiry that it was asked for longestWait before at the latest.
	Latest(longestWait time.Duration) (time.Time, error)
	// Secret is one version of a pool's secrets; Secrets lists all of them, the oldest version first.
	Secret(poolUID string, version int64) (pool.Secret, error)
	Secrets(poolUID string) ([]pool.Secret, error)
	// SecretKeys are the ids of the keys that anything is sealed with, and SecretsSealedBy lists what one has sealed.
	SecretKeys() ([]string, error)
	SecretsSealedBy(keyID string, limit int) ([]pool.Secret, error)
	// TokenByHash finds the token of a hash, whether or not it has ended. Tokens lists those that end, or have ended,
	// after a moment, from the one that was made last.
	Token(id string) (Token, error)
	TokenByHash(hash string) (Token, error)
	Tokens(after time.Time) ([]Token, error)
	// IdempotentReply finds what was answered to a key, by any request.
	IdempotentReply(author, key string) (IdempotentReply, error)
}

// Writer changes records. Reads see the transaction's own writes. Records of a pool can be written once the
// pool is there (ErrNotFound otherwise); only events can tell of a pool that the store does not know.
type Writer interface {
	Reader
	// InsertPool errs with ErrNameTaken.
	InsertPool(pool.Pool) error
	UpdatePool(pool.Pool) error
	InsertRevision(pool.Revision) error
	// PutWorkers inserts or replaces, all but the marks.
	PutWorkers(...pool.Worker) error
	// Spend, Cordon and ExtendDrain mark a worker; a spent or cordoned one has no room.
	Spend(workerID string) error
	Cordon(workerID string, yes bool) error
	ExtendDrain(workerID string, to time.Time) error
	// PutLease inserts or replaces, and counts the leases of its worker.
	PutLease(pool.Lease) error
	// PruneLeases deletes leases that ended before a time, at most limit.
	PruneLeases(before time.Time, limit int) error
	// PruneWorkers deletes all but the newest keep ended workers of a pool and returns the ids.
	PruneWorkers(poolUID string, keep int) ([]string, error)
	// PutOperation inserts or replaces.
	PutOperation(pool.Operation) error
	// AppendEvents numbers the events per pool, without gaps, in the order given.
	AppendEvents(...pool.Event) error
	// PutSecret inserts or replaces.
	PutSecret(pool.Secret) error
	DeleteSecrets(poolUID string) error
	// PutToken inserts or replaces.
	PutToken(Token) error
	// PruneTokens deletes tokens that have ended before a time, at most limit.
	PruneTokens(before time.Time, limit int) error
	PutIdempotentReply(IdempotentReply) error
	// PruneIdempotentReplies deletes what is older than before.
	PruneIdempotentReplies(before time.Time) error
}

// IdempotentReply is the answer to a mutating request that carried an idempotency key.
type IdempotentReply struct {
	Author      string
	Key         string
	RequestHash string // of method, path and body: another request under the same key is refused
	Answered    string // id of the operation or lease that was answered
	CreatedAt   time.Time
}
