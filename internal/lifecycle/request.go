package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/failpoint"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// Request is what every mutation carries.
type Request struct {
	Author  string // who asks, as the server knows it
	Comment string // why, in the author's words
	// Key makes a repeated request harmless: it is answered with what the first one was about. Empty: none.
	Key string
	// Fingerprint names what is asked for, so that a key is not used for two different things. What is recorded is a mark
	// of it: from a fingerprint, short secrets of a request could be guessed.
	Fingerprint string
	// IfMatch is the entity tag that the change is based on; "*" is any.
	IfMatch string
	// IfNoneMatch says that the pool must be new.
	IfNoneMatch bool
}

// Accepted is an accepted change.
type Accepted struct {
	Pool      pool.Pool
	Operation pool.Operation
	// Changed is false if the pool was as asked for already, or if the request is a repetition.
	Changed bool
	// news are the operations that ended because of it, and leases those that ended or got a slot.
	news   []string
	leases []pool.Lease
}

// Refusal is why a request was not accepted; nothing was changed.
type Refusal struct {
	Problem   string // one of the api.Problem names
	Detail    string
	Faults    pool.Faults
	Operation *pool.Operation
	UID       string
	Lease     *pool.Lease
}

func (r *Refusal) Error() string {
	if len(r.Faults) > 0 {
		return r.Detail + "\n" + r.Faults.Error()
	}
	return r.Detail
}

func refuse(problem, format string, args ...any) *Refusal {
	return &Refusal{Problem: problem, Detail: fmt.Sprintf(format, args...)}
}

// invalid turns the faults of a spec into a refusal and leaves other errors as they are.
func invalid(err error) error {
	var faults pool.Faults
	if errors.As(err, &faults) {
		return &Refusal{Problem: api.ProblemInvalid, Detail: "the spec is not valid", Faults: faults}
	}
	return err
}

func notFound(ref string) *Refusal { return refuse(api.ProblemNotFound, "there is no pool %q", ref) }

// replyAge is how long a repeated request is recognized: longer than any client repeats one.
const replyAge = 24 * time.Hour

// mutate runs one change in one transaction, answers repeated keys, and wakes the pool's controller.
func (m *Manager) mutate(ctx context.Context, by Request, change func(store.Writer) (Accepted, error)) (Accepted, error) {
	var done Accepted
	err := m.config.Store.Update(ctx, func(tx store.Writer) (err error) {
		done = Accepted{}
		id, err := m.answered(tx, by)
		if err != nil {
			return err
		}
		if id != "" {
			done, err = repeatedChange(tx, id)
			return err
		}
		if done, err = change(tx); err != nil {
			return err
		}
		if done.Changed && done.Operation.Kind == pool.OperationCreate { // before the next creation can see the pool
			m.claims.expect(done.Operation.ID, m.config.Now())
		}
		return m.remember(tx, by, done.Operation.ID, m.config.Now())
	})
	if err != nil {
		return Accepted{}, err
	}
	failpoint.Reach(failpoint.Accepted)
	if done.Changed {
		m.wake(done.Pool)
	}
	for _, id := range done.news {
		m.waiting.wake(id)
	}
	m.announce(done.leases...)
	return done, nil
}

// answered is the id of what a repeated request was answered with; empty for a new request.
func (m *Manager) answered(tx store.Reader, by Request) (id string, err error) {
	if by.Key == "" {
		return "", nil
	}
	reply, err := tx.IdempotentReply(by.Author, by.Key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", nil
	case err == nil && !m.config.Keys.Marks(reply.RequestHash, by.Fingerprint):
		return "", refuse(api.ProblemKeyReused, "the idempotency key %q was used for another request", by.Key)
	}
	return reply.Answered, err
}

// repeatedChange answers a request that was answered with an operation before.
func repeatedChange(tx store.Reader, operationID string) (done Accepted, err error) {
	if done.Operation, err = tx.Operation(operationID); err != nil {
		return done, err
	}
	done.Pool, err = tx.Pool(done.Operation.PoolUID)
	return done, err
}

// remember keeps the answer to a request that carries a key.
func (m *Manager) remember(tx store.Writer, by Request, answered string, now time.Time) error {
	if by.Key == "" {
		return nil
	}
	err := tx.PutIdempotentReply(store.IdempotentReply{
		Author: by.Author, Key: by.Key, RequestHash: m.config.Keys.Mark(by.Fingerprint), Answered: answered, CreatedAt: now,
	})
	if err != nil {
		return err
	}
	return tx.PruneIdempotentReplies(now.Add(-replyAge))
}

// find looks a pool up by its name or uid. Only a uid finds a destroyed pool.
func find(r store.Reader, ref string) (pool.Pool, error) {
	look := r.PoolByName
	if IsUID(ref) {
		look = r.Pool
	}
	p, err := look(ref)
	if errors.Is(err, store.ErrNotFound) {
		return p, notFound(ref)
	}
	return p, err
}

// names says whether a change is based on any state of this very pool.
func (by Request) names(p pool.Pool) bool { return strings.HasPrefix(by.IfMatch, `"`+p.UID+`.`) }

// match refuses a change that is not based on the newest state of the pool.
func (by Request) match(p pool.Pool) error {
	switch by.IfMatch {
	case "*", api.ETag(p):
		return nil
	case "":
		return refuse(api.ProblemPrecondition, "say which state of pool %q the change is based on: If-Match with its ETag, or *", p.Name)
	}
	return &Refusal{
		Problem: api.ProblemStale, UID: p.UID,
		Detail: fmt.Sprintf("pool %q was changed meanwhile: the change is based on %s, the newest is %s", p.Name, by.IfMatch, api.ETag(p)),
	}
}
