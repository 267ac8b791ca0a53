package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// uidPrefix begins every pool's uid; no name has an underscore.
const uidPrefix = "p_"

// IsUID tells a pool's uid from its name.
func IsUID(ref string) bool { return strings.HasPrefix(ref, uidPrefix) }

// Validate checks a complete spec as a creation would, the host included, and changes nothing.
func (m *Manager) Validate(ctx context.Context, spec pool.Spec) error {
	if err := pool.ValidateCreation(spec, nil); err != nil {
		return invalid(err)
	}
	if err := within(scopeOf(ctx), spec); err != nil {
		return err
	}
	if faults := m.config.Runtime.Check(ctx, spec); len(faults) > 0 {
		return invalid(faults)
	}
	return nil
}

// proposal is what a request asks for: the spec as it is recorded, the secrets that it came with, and what of it the
// runtime could not run.
type proposal struct {
	spec    pool.Spec
	secrets map[string]string
	unfit   pool.Faults
}

func (m *Manager) propose(ctx context.Context, spec pool.Spec) (asked proposal) {
	asked.unfit = m.config.Runtime.Check(ctx, spec)
	asked.spec, asked.secrets = spec.TakeSecrets()
	return asked
}

// Put creates the pool of the spec's name, or changes it to the spec. A spec that is the newest already is
// answered with its operation, unless that failed: then it is tried again.
func (m *Manager) Put(ctx context.Context, by Request, spec pool.Spec) (Accepted, error) {
	if err := pool.Validate(spec, nil); err != nil {
		return Accepted{}, invalid(err)
	}
	if by.IfMatch == "" && !by.IfNoneMatch {
		return Accepted{}, refuse(api.ProblemPrecondition, "say whether pool %q is new (If-None-Match: *) or which state of it the change is based on (If-Match with its ETag, or *)", spec.Name)
	}
	asked := m.propose(ctx, spec)
	for {
		if by.IfNoneMatch {
			if err := m.decided(ctx, spec.Name); err != nil {
				return Accepted{}, err
			}
		}
		if done, err := m.put(ctx, by, asked); !errors.Is(err, errUndecided) {
			return done, err
		}
	}
}

func (m *Manager) put(ctx context.Context, by Request, asked proposal) (Accepted, error) {
	return m.mutate(ctx, by, func(tx store.Writer) (Accepted, error) {
		p, err := tx.PoolByName(asked.spec.Name)
		switch {
		case errors.Is(err, store.ErrNotFound) && by.IfMatch != "":
			return Accepted{}, notFound(asked.spec.Name)
		case errors.Is(err, store.ErrNotFound):
			return m.create(tx, by, asked)
		case err != nil:
			return Accepted{}, err
		}
		if by.IfNoneMatch {
			err := m.attach(tx, by, p, asked.spec)
			if err != nil && m.undecided(p) {
				err = errUndecided // it was made since we looked
			}
			if err != nil {
				return Accepted{}, err
			}
			return m.change(tx, by, p, asked)
		}
		if there := len(pool.Changes(p.Spec, placed(asked.spec, p))) == 0; !there || !by.names(p) {
			err = by.match(p) // what is there already may be based on any state of the pool
		}
		if err := cmp.Or(notDeleting(tx, p), err); err != nil {
			return Accepted{}, err
		}
		p.Claimed = true
		return m.change(tx, by, p, asked)
	})
}

// Patch changes the fields that a merge patch names. Resizing is a patch of the size.
func (m *Manager) Patch(ctx context.Context, by Request, ref string, patch []byte) (Accepted, error) {
	for {
		done, err := m.patch(ctx, by, ref, patch)
		if by.IfMatch != "*" || !errors.Is(err, errOvertaken) {
			return done, err
		}
	}
}

// errOvertaken: the pool was changed between the reading and the change of it.
var errOvertaken = refuse(api.ProblemStale, "the pool was changed at the same moment; try again")

func (m *Manager) patch(ctx context.Context, by Request, ref string, patch []byte) (Accepted, error) {
	var seen pool.Pool
	repeats := false
	err := m.config.Store.View(ctx, func(r store.Reader) (err error) {
		if by.Key != "" {
			_, err := r.IdempotentReply(by.Author, by.Key)
			if repeats = err == nil; !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		seen, err = find(r, ref)
		return err
	})
	if err != nil {
		return Accepted{}, err
	}
	if repeats { // it is answered as it was, whatever the pool is like by now
		return m.mutate(ctx, by, func(store.Writer) (Accepted, error) { return Accepted{}, errOvertaken })
	}
	spec, err := pool.Patch(seen.Spec, patch)
	if err == nil {
		err = pool.Validate(spec, nil)
	}
	if err != nil {
		return Accepted{}, invalid(err)
	}
	asked := m.propose(ctx, spec)
	return m.mutate(ctx, by, func(tx store.Writer) (Accepted, error) {
		p, err := tx.Pool(seen.UID)
		if err != nil {
			return Accepted{}, err
		}
		if err := cmp.Or(notDeleting(tx, p), by.match(p)); err != nil {
			return Accepted{}, err
		}
		if p.Generation != seen.Generation {
			return Accepted{}, errOvertaken
		}
		p.Claimed = true
		return m.change(tx, by, p, asked)
	})
}

// Restart replaces all workers step by step without a change of the spec.
func (m *Manager) Restart(ctx context.Context, by Request, ref string) (Accepted, error) {
	return m.mutate(ctx, by, func(tx store.Writer) (Accepted, error) {
		p, err := find(tx, ref)
		if err != nil {
			return Accepted{}, err
		}
		if err := cmp.Or(notDeleting(tx, p), by.match(p)); err != nil {
			return Accepted{}, err
		}
		p.Restarts++
		p.Claimed = true
		return m.accept(tx, by, p, pool.OperationRestart, pool.ChangeRolling, pool.EventPoolRestarted, "restart of all workers")
	})
}

// Delete begins the end of a pool, which is final. On a pool that is being deleted it answers the running
// operation; force, or a failed one, makes a new attempt. A destroyed pool is answered as it is.
func (m *Manager) Delete(ctx context.Context, by Request, ref string, force bool) (Accepted, error) {
	return m.mutate(ctx, by, func(tx store.Writer) (Accepted, error) {
		p, err := find(tx, ref)
		if err != nil {
			return Accepted{}, err
		}
		newest, err := tx.Operation(p.OperationID)
		if err != nil {
			return Accepted{}, err
		}
		switch {
		case p.Phase == pool.PhaseDestroyed,
			p.Phase == pool.PhaseDeleting && !newest.Phase.Ended() && (newest.Force || !force):
			return Accepted{Pool: p, Operation: newest}, nil
		case p.Phase == pool.PhaseDeleting: // another attempt needs no precondition
		case p.Spec.DeletionProtection && p.ConvergedGeneration > 0: // one that never was there protects nothing
			return Accepted{}, &Refusal{
				Problem: api.ProblemProtected, UID: p.UID,
				Detail: fmt.Sprintf("pool %q is protected: set deletion_protection to false and apply that first", p.Name),
			}
		default:
			if err := by.match(p); err != nil {
				return Accepted{}, err
			}
		}
		p.Phase = pool.PhaseDeleting
		return m.acceptForced(tx, by, p, force)
	})
}

func (m *Manager) create(tx store.Writer, by Request, asked proposal) (Accepted, error) {
	spec := asked.spec
	if err := pool.ValidateCreation(spec, nil); err != nil {
		return Accepted{}, invalid(err)
	}
	if len(asked.unfit) > 0 {
		return Accepted{}, invalid(asked.unfit)
	}
	now := m.config.Now()
	p := pool.Pool{
		UID: m.config.NewID("p"), Name: spec.Name, Phase: pool.PhaseCreating, Spec: spec, Host: m.config.Host,
		Author: by.Author, CreatedAt: now, UpdatedAt: now,
	}
	if spec.Autoscaling != nil {
		p.Count = spec.Start()
	}
	if err := tx.InsertPool(p); err != nil {
		return Accepted{}, err
	}
	if err := m.keepSecrets(tx, p.UID, spec.Worker.SecretVersion(), asked.secrets); err != nil {
		return Accepted{}, err
	}
	return m.accept(tx, by, p, pool.OperationCreate, pool.ChangeNone, pool.EventPoolCreated, "created")
}

// change accepts another spec for an existing pool.
func (m *Manager) change(tx store.Writer, by Request, p pool.Pool, asked proposal) (Accepted, error) {
	if err := notDeleting(tx, p); err != nil {
		return Accepted{}, err
	}
	spec := placed(asked.spec, p)
	if err := m.keepSecrets(tx, p.UID, spec.Worker.SecretVersion(), asked.secrets); err != nil {
		return Accepted{}, err
	}
	changes := pool.Changes(p.Spec, spec)
	if len(changes) == 0 {
		return m.again(tx, by, p)
	}
	if err := replaces(p, changes); err != nil {
		return Accepted{}, err
	}
	if len(asked.unfit) > 0 && pool.ChangeOf(p.Spec, spec) == pool.ChangeRolling {
		return Accepted{}, invalid(asked.unfit)
	}
	kind, event := pool.OperationUpdate, pool.EventPoolUpdated
	hardest, before := pool.ChangeOf(p.Spec, spec), p.Desired()
	p.Respec(spec)
	if hardest != pool.ChangeRolling && p.Desired() != before {
		kind, event = pool.OperationResize, pool.EventPoolResized
	}
	return m.accept(tx, by, p, kind, hardest, event, summary(changes))
}

// placed is a spec with the host that the pool has, where it names that one or leaves it out.
func placed(spec pool.Spec, p pool.Pool) pool.Spec {
	if spec.Runtime.Host() == p.Host || spec.Runtime.Host() == "" {
		spec.Runtime = p.Spec.Runtime
	}
	return spec
}

// tryAgain are the outcomes after which the same spec is asked for anew.
var tryAgain = map[pool.OperationPhase]bool{pool.OperationFailed: true, pool.OperationReverted: true, pool.OperationCanceled: true}

// again answers a spec that the pool has already.
func (m *Manager) again(tx store.Writer, by Request, p pool.Pool) (Accepted, error) {
	newest, err := tx.Operation(p.OperationID)
	if err != nil {
		return Accepted{}, err
	}
	if !tryAgain[newest.Phase] {
		return Accepted{Pool: p, Operation: newest}, nil
	}
	return m.accept(tx, by, p, pool.OperationUpdate, pool.ChangeNone, pool.EventPoolUpdated, "another attempt")
}

func (m *Manager) acceptForced(tx store.Writer, by Request, p pool.Pool, force bool) (Accepted, error) {
	message := "being destroyed"
	if force {
		message = "being destroyed by force"
	}
	done, err := m.accept(tx, by, p, pool.OperationDelete, pool.ChangeNone, pool.EventPoolDraining, message)
	if err != nil || !force {
		return done, err
	}
	done.Operation.Force = true
	return done, tx.PutOperation(done.Operation)
}

// accept makes a generation: the pool, its revision if the spec is new, the operation that will reach it,
// and the event that tells who asked.
func (m *Manager) accept(tx store.Writer, by Request, p pool.Pool, kind pool.OperationKind, change pool.Change, event pool.EventType, message string) (Accepted, error) {
	return m.acceptFor(tx, by, p, "", kind, change, event, message)
}

// acceptFor is accept for a change that is about one worker.
func (m *Manager) acceptFor(tx store.Writer, by Request, p pool.Pool, workerID string, kind pool.OperationKind, change pool.Change, event pool.EventType, message string) (Accepted, error) {
	now := m.config.Now()
	o := pool.Operation{
		ID: m.config.NewID("op"), PoolUID: p.UID, PoolName: p.Name, Kind: kind, Change: change, WorkerID: workerID,
		Phase: pool.OperationRunning, Author: by.Author, Comment: by.Comment, CreatedAt: now,
	}
	news, err := supersede(tx, p, o)
	if err != nil {
		return Accepted{}, err
	}
	p.Generation++
	p.OperationID, p.UpdatedAt, o.Generation = o.ID, now, p.Generation
	switch {
	case kind == pool.OperationDelete:
		p.Paused = false // a destroy is not held up
	case p.Paused:
		o.Phase, o.Reason = pool.OperationPaused, "the pool is paused"
	}
	inherits := change != pool.ChangeRolling && p.Good.Revision == p.Revision && p.Revision > 0
	if change != pool.ChangeNone && kind != pool.OperationRestart || p.Revision == 0 {
		p.Revision++
		err := tx.InsertRevision(pool.Revision{
			PoolUID: p.UID, Number: p.Revision, Spec: p.Spec, Author: by.Author, Reason: by.Comment, CreatedAt: now,
		})
		if err != nil {
			return Accepted{}, err
		}
	}
	if inherits { // it has the template that is good
		p.Good.Revision = p.Revision
	}
	if err := tx.UpdatePool(p); err != nil {
		return Accepted{}, err
	}
	if err := tx.PutOperation(o); err != nil {
		return Accepted{}, err
	}
	err = tx.AppendEvents(pool.Event{
		PoolUID: p.UID, PoolName: p.Name, Type: event, Time: now, Author: by.Author,
		Message: message, Comment: by.Comment, OperationID: o.ID, WorkerID: workerID,
	})
	if err != nil {
		return Accepted{}, err
	}
	serve := m.grant // its labels may be what somebody waits for
	if kind == pool.OperationDelete {
		serve = m.endWaiting
	}
	leases, err := serve(tx, p)
	return Accepted{Pool: p, Operation: o, Changed: true, news: news, leases: leases}, err
}

// supersede ends the running operations that a new one takes over, and returns their ids. The others go on;
// a rollout waits for the newest size, for which it has its full time again.
func supersede(tx store.Writer, p pool.Pool, by pool.Operation) (ids []string, err error) {
	running, err := tx.RunningOperations(p.UID)
	if err != nil {
		return nil, err
	}
	for _, o := range running {
		if !takesOver(by, o) {
			o.Deadline = time.Time{}
			if err := tx.PutOperation(o); err != nil {
				return nil, err
			}
			continue
		}
		o.Phase, o.SupersededBy, o.EndedAt = pool.OperationSuperseded, by.ID, by.CreatedAt
		o.Reason = fmt.Sprintf("superseded by %s %s of %s", by.Kind, by.ID, by.Author)
		if err := tx.PutOperation(o); err != nil {
			return nil, err
		}
		ids = append(ids, o.ID)
	}
	return ids, nil
}

// takesOver says whether one operation does all that an older one is for: a destroy ends everything, a rollout
// brings the newest of everything, a resize the newest size, another attempt the same again.
func takesOver(by, older pool.Operation) bool {
	switch {
	case by.Kind == pool.OperationDelete, by.Change == pool.ChangeRolling:
		return true
	case older.Kind == pool.OperationCreate, older.Change == pool.ChangeRolling, by.Kind == pool.OperationDrain:
		return false
	case older.WorkerID != "":
		return false // it says who goes
	}
	return by.Kind == older.Kind && (by.Kind == pool.OperationResize || by.Change == pool.ChangeNone)
}

// notDeleting refuses what only a pool that stays can have. A destroyed one is still found by its uid.
func notDeleting(tx store.Reader, p pool.Pool) error {
	var r *Refusal
	switch p.Phase {
	case pool.PhaseDeleting:
		r = refuse(api.ProblemDeleting, "pool %q is being destroyed, and a destroy is final", p.Name)
	case pool.PhaseDestroyed:
		r = refuse(api.ProblemNotFound, "pool %q (%s) is destroyed, and only its history is left", p.Name, p.UID)
	default:
		return nil
	}
	r.UID = p.UID
	if o, err := tx.Operation(p.OperationID); err == nil {
		r.Operation = &o
	}
	return r
}

// replaces refuses changes that only another pool can have.
func replaces(p pool.Pool, changes []pool.FieldChange) error {
	r := refuse(api.ProblemReplace, "pool %q cannot be changed into this in place", p.Name)
	for _, c := range changes {
		if c.Change == pool.ChangeReplace {
			r.Faults = append(r.Faults, pool.Fault{
				Path: c.Path, Value: fmt.Sprintf("%q", c.New), Reason: "cannot be changed in place",
				Valid: fmt.Sprintf("%q, or another pool", c.Old),
			})
		}
	}
	if len(r.Faults) > 0 {
		return r
	}
	return nil
}

// summary names the changed fields.
func summary(changes []pool.FieldChange) string {
	paths := make([]string, len(changes))
	for i, c := range changes {
		paths[i] = c.Path
	}
	return "changed " + strings.Join(paths, ", ")
}
