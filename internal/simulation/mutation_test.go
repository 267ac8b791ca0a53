package simulation

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// within is how many seeds a broken promise may take to be found.
const within = 60

// TestEveryBrokenPromiseIsFound runs engines that are broken in one way each: a promise that is kept by all
// of them says nothing of the one that is not.
func TestEveryBrokenPromiseIsFound(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= within; seed++ {
				if found := Run(t, seed, &m).Breaches; len(found) > 0 {
					require.Equal(t, m.Promise, found[0].Promise, "seed %d: %s", seed, found[0].Text)
					return
				}
			}
			t.Errorf("not found within %d seeds", within)
		})
	}
}

// TestEveryPromiseHasAMutation that breaks it.
func TestEveryPromiseHasAMutation(t *testing.T) {
	var wanted []string
	for _, p := range promises {
		wanted = append(wanted, p.name)
	}
	for _, m := range mutations {
		require.Contains(t, wanted, m.Promise, m.Name)
		wanted = slices.DeleteFunc(wanted, func(name string) bool { return name == m.Promise })
	}
	require.Empty(t, wanted)
}

// mutations break the planner, what is written, what is kept, and what is asked of the runtime.
var mutations = []Mutation{
	{
		Name: "a signal goes to a worker in service too", Promise: "only a condemned worker is signalled",
		runs: func(c *connection) runtime.Runtime { return &misguided{c, (*misguided).signalAnother} },
	},
	{
		Name: "a kill goes to a worker in service too", Promise: "only a condemned or ended worker is killed",
		runs: func(c *connection) runtime.Runtime { return &misguided{c, (*misguided).killAnother} },
	},
	{
		Name: "a sweep goes to a worker in service too", Promise: "only what an ended worker left is swept",
		runs: func(c *connection) runtime.Runtime { return &misguided{c, (*misguided).sweepAnother} },
	},
	{
		Name: "workers are stopped without a drain", Promise: "a worker that served is withdrawn before it is stopped",
		plans: decisions(func(w planner.World, r *planner.Result) {
			for i, a := range r.Actions {
				if a.Kind == planner.Drain {
					r.Actions[i].Kind, r.Actions[i].KillAt = planner.Stop, w.Now
				}
			}
		}),
	},
	{
		Name: "a draining worker is taken back into service", Promise: "a worker's life never goes backwards",
		writes: hands(func(tx store.Writer) store.Writer {
			return &scribe{Writer: tx, worker: func(w *pool.Worker) {
				if before, err := tx.Worker(w.ID); err == nil && before.State == pool.WorkerDraining {
					w.State, w.Health = pool.WorkerReady, pool.Healthy
				}
			}}
		}),
	},
	{
		Name: "a rollout takes all at once", Promise: "planned actions leave as many available as the budget says",
		plans: worlds(func(w *planner.World) { w.Pool.Spec.Update.MaxUnavailable = pool.Amount{Value: 100, Percent: true} }),
	},
	{
		Name: "a rollout launches all at once", Promise: "launches stay within size, surge and one replacement",
		plans: worlds(func(w *planner.World) { w.Pool.Spec.Update.MaxSurge = pool.Amount{Value: 3} }),
	},
	{
		Name: "a worker is launched under another id", Promise: "a worker is launched once, after its record",
		runs: func(c *connection) runtime.Runtime { return &misguided{c, (*misguided).launchAnother} },
	},
	{
		Name: "a restarted manager finds nothing", Promise: "a worker is closed when its instance is gone",
		runs: func(c *connection) runtime.Runtime { return &blind{c} },
	},
	{
		Name: "a pool is called further than it is", Promise: "generations only grow, and converged ones follow",
		writes: hands(func(tx store.Writer) store.Writer {
			return &scribe{Writer: tx, pool: func(p *pool.Pool) { p.ConvergedGeneration = p.Generation + 1 }}
		}),
	},
	{
		Name: "an operation that succeeded fails all the same", Promise: "what has ended stays as it ended",
		writes: hands(func(tx store.Writer) store.Writer { return &reviser{tx} }),
	},
	{
		Name: "a change is answered and forgotten", Promise: "an accepted change is on record",
		writes: func(s store.Store) store.Store { return &forgetful{s} },
	},
	{
		Name: "a key is kept with another operation", Promise: "a repeated request has the first one's answer",
		writes: hands(func(tx store.Writer) store.Writer {
			return &scribe{Writer: tx, reply: func(r *store.IdempotentReply) { r.Answered = "op_00001" }}
		}),
	},
	{
		Name: "a launch starts twins", Promise: leaks,
		runs: func(c *connection) runtime.Runtime { return &fertile{c} },
	},
	{
		Name: "a pool is closed over its workers", Promise: "a destroyed pool leaves nothing, or says what",
		plans: decisions(func(w planner.World, r *planner.Result) {
			if w.Pool.Phase == pool.PhaseDeleting {
				r.Actions = []planner.Action{{Kind: planner.Destroy, Reason: "nobody looked"}}
			}
		}),
	},
	{
		Name: "scale-in takes one more", Promise: "a worker leaves for a reason that the records show",
		plans: decisions(func(w planner.World, r *planner.Result) {
			if len(w.Workers) == 1 && w.Workers[0].State == pool.WorkerReady && len(r.Actions) == 0 && w.Pool.Desired() == 1 {
				r.Actions = []planner.Action{{Kind: planner.Drain, WorkerID: w.Workers[0].ID, Cause: pool.DrainScaleIn, Reason: "why not"}}
			}
		}),
	},
	{
		Name: "every pool is called converged", Promise: "a pool is converged when it is as wanted",
		plans: decisions(func(_ planner.World, r *planner.Result) { r.Converged = true }),
	},
	{
		Name: "preconditions are not looked at", Promise: "what cannot be accepted changes nothing",
		writes: func(s store.Store) store.Store { return &obliging{s} },
	},
	{
		Name: "a failure has no reason", Promise: "what fails says why",
		plans: decisions(func(_ planner.World, r *planner.Result) {
			for i := range r.Outcomes {
				r.Outcomes[i].Reason = ""
			}
		}),
	},
	{
		Name: "ends of workers are not told", Promise: "every change of a worker or pool has its event and author",
		writes: hands(func(tx store.Writer) store.Writer {
			return &scribe{Writer: tx, event: func(e *pool.Event) {
				if e.Type == pool.EventWorkerStopped {
					e.Type = pool.EventWorkerHealthy
				}
			}}
		}),
	},
	{
		Name: "operations never end", Promise: rests,
		plans: decisions(func(_ planner.World, r *planner.Result) { r.Outcomes = nil }),
	},
	{
		Name: "a write is changed on its way", Promise: audited,
		keeps: func(_ *run, s store.Store) store.Store {
			return hands(func(tx store.Writer) store.Writer {
				return &scribe{Writer: tx, worker: func(w *pool.Worker) { w.Reason += "?" }}
			})(s)
		},
	},
	{
		Name: "the first event is torn out of its log", Promise: gapless,
		keeps: func(r *run, s store.Store) store.Store { return &torn{s, filepath.Join(r.dir, database)} },
	},
	{
		Name: "a store does not close", Promise: opens,
		keeps: func(_ *run, s store.Store) store.Store { return &jammed{s} },
	},
	{
		Name: "a call goes on after its manager's death", Promise: joins,
		runs: func(c *connection) runtime.Runtime { return &undead{c} },
	},
}

// decisions has what the planner decides changed.
func decisions(doctor func(planner.World, *planner.Result)) func(planner.World) planner.Result {
	return func(w planner.World) planner.Result {
		r := planner.Plan(w)
		doctor(w, &r)
		return r
	}
}

// worlds has the planner see another world.
func worlds(doctor func(*planner.World)) func(planner.World) planner.Result {
	return func(w planner.World) planner.Result {
		doctor(&w)
		return planner.Plan(w)
	}
}

// misguided is a runtime that does more than it is asked for.
type misguided struct {
	*connection
	more func(*misguided, context.Context, runtime.Launch)
}

func (m *misguided) Launch(ctx context.Context, l runtime.Launch) (pool.Instance, error) {
	m.more(m, ctx, l)
	return m.connection.Launch(ctx, l)
}

// inService is a worker in service with an instance.
func (m *misguided) inService() (w pool.Worker, some bool) {
	for _, id := range m.world().running() {
		if w := m.life.run.books.workers[id]; w.State == pool.WorkerReady {
			return w, true
		}
	}
	return w, false
}

func (m *misguided) signalAnother(ctx context.Context, _ runtime.Launch) {
	if w, some := m.inService(); some {
		_ = m.Signal(ctx, w.ID, w.Instance, "TERM") // only that it is sent counts
	}
}

func (m *misguided) killAnother(ctx context.Context, _ runtime.Launch) {
	if w, some := m.inService(); some {
		_ = m.Kill(ctx, w.ID, w.Instance) // only that it is sent counts
	}
}

func (m *misguided) sweepAnother(ctx context.Context, _ runtime.Launch) {
	if w, some := m.inService(); some {
		_, _ = m.Sweep(ctx, w.ID, w.Instance) // only that it is sent counts
	}
}

func (m *misguided) launchAnother(ctx context.Context, l runtime.Launch) {
	if w, some := m.inService(); some {
		l.WorkerID = w.ID
		_, _ = m.connection.Launch(ctx, l) // only that it is sent counts
	}
}

// blind is a runtime that has lost sight of what runs.
type blind struct{ *connection }

func (b *blind) Adopt(context.Context, string, string, pool.Instance) error { return runtime.ErrGone }

// fertile is a runtime that starts more than it was asked for.
type fertile struct{ *connection }

func (f *fertile) Launch(ctx context.Context, l runtime.Launch) (pool.Instance, error) {
	made, err := f.connection.Launch(ctx, l)
	if err == nil {
		twin := l
		twin.WorkerID += "_twin"
		f.world().start(f.life, twin).habit = habits[0]
	}
	return made, err
}

// undead is a runtime whose calls outlive their manager.
type undead struct{ *connection }

func (u *undead) Launch(ctx context.Context, l runtime.Launch) (pool.Instance, error) {
	made, err := u.connection.Launch(ctx, l)
	if errors.Is(err, errCrashed) {
		<-time.After(time.Minute)
	}
	return made, err
}

// scribe writes records otherwise than it was told.
type scribe struct {
	store.Writer
	pool      func(*pool.Pool)
	worker    func(*pool.Worker)
	operation func(*pool.Operation)
	event     func(*pool.Event)
	reply     func(*store.IdempotentReply)
}

func (s *scribe) UpdatePool(p pool.Pool) error {
	if s.pool != nil {
		s.pool(&p)
	}
	return s.Writer.UpdatePool(p)
}

func (s *scribe) PutWorkers(workers ...pool.Worker) error {
	workers = slices.Clone(workers)
	for i := range workers {
		if s.worker != nil {
			s.worker(&workers[i])
		}
	}
	return s.Writer.PutWorkers(workers...)
}

func (s *scribe) PutOperation(o pool.Operation) error {
	if s.operation != nil {
		s.operation(&o)
	}
	return s.Writer.PutOperation(o)
}

func (s *scribe) AppendEvents(events ...pool.Event) error {
	events = slices.Clone(events)
	for i := range events {
		if s.event != nil {
			s.event(&events[i])
		}
	}
	return s.Writer.AppendEvents(events...)
}

func (s *scribe) PutIdempotentReply(r store.IdempotentReply) error {
	if s.reply != nil {
		s.reply(&r)
	}
	return s.Writer.PutIdempotentReply(r)
}

// reviser changes its mind about what has ended.
type reviser struct{ store.Writer }

func (r *reviser) PutOperation(o pool.Operation) error {
	newest, err := r.Operations(o.PoolUID, 3)
	if err != nil {
		return err
	}
	for _, old := range newest {
		if old.ID != o.ID && old.Phase == pool.OperationSucceeded {
			old.Phase, old.Reason = pool.OperationFailed, "on second thoughts"
			if err := r.Writer.PutOperation(old); err != nil {
				return err
			}
		}
	}
	return r.Writer.PutOperation(o)
}

// hands has all writes go through other hands.
func hands(others func(store.Writer) store.Writer) func(store.Store) store.Store {
	return func(s store.Store) store.Store { return &handed{s, others} }
}

type handed struct {
	store.Store
	hands func(store.Writer) store.Writer
}

func (h *handed) Update(ctx context.Context, change func(store.Writer) error) error {
	return h.Store.Update(ctx, func(tx store.Writer) error { return change(h.hands(tx)) })
}

// byUser says that a user makes the call.
func byUser(ctx context.Context) bool { return ctx.Value(callerKey{}) != nil }

// forgetful is a store that undoes what users ask for, and says that it is done.
type forgetful struct{ store.Store }

func (f *forgetful) Update(ctx context.Context, change func(store.Writer) error) error {
	if !byUser(ctx) {
		return f.Store.Update(ctx, change)
	}
	forgotten := errors.New("forgotten")
	err := f.Store.Update(ctx, func(tx store.Writer) error {
		if err := change(tx); err != nil {
			return err
		}
		return forgotten
	})
	if errors.Is(err, forgotten) {
		return nil
	}
	return err
}

// obliging is a store that shows users pools as they were one change ago.
type obliging struct{ store.Store }

func (o *obliging) Update(ctx context.Context, change func(store.Writer) error) error {
	return o.Store.Update(ctx, func(tx store.Writer) error {
		if byUser(ctx) {
			tx = &outdated{Writer: tx}
		}
		return change(tx)
	})
}

// outdated shows pools at an older generation, and writes them as if it had not.
type outdated struct {
	store.Writer
	back int64 // generations that were taken off
}

func (o *outdated) Pool(uid string) (pool.Pool, error) {
	p, err := o.Writer.Pool(uid)
	o.back = 1
	p.Generation -= o.back
	return p, err
}

func (o *outdated) UpdatePool(p pool.Pool) error {
	p.Generation += o.back
	return o.Writer.UpdatePool(p)
}

func (o *outdated) PutOperation(op pool.Operation) error {
	if old, err := o.Operation(op.ID); errors.Is(err, store.ErrNotFound) || old.Generation > op.Generation {
		op.Generation += o.back
	}
	return o.Writer.PutOperation(op)
}

// torn is a store that loses events when it is closed.
type torn struct {
	store.Store
	path string
}

func (t *torn) Close() error {
	if err := t.Store.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", t.path)
	if err != nil {
		return err
	}
	_, err = db.Exec(`DELETE FROM events WHERE sequence = 1
		AND EXISTS (SELECT 1 FROM events AS next WHERE next.pool_uid = events.pool_uid AND next.sequence = 2)`)
	return errors.Join(err, db.Close())
}

// jammed is a store that cannot say that it is closed.
type jammed struct{ store.Store }

func (j *jammed) Close() error { return errors.Join(j.Store.Close(), errTrouble) }
