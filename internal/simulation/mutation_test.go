package simulation

import (
	"context"
	"database/sql"
	"errors"
	"maps"
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
	var names []string
	for _, p := range promises {
		names = append(names, p.name)
	}
	wanted := slices.Clone(names)
	for _, m := range mutations {
		require.Contains(t, names, m.Promise, m.Name)
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
		Name: "nobody looks for leases before a stop", Promise: "a lease keeps its worker until its drain is over",
		plans: workers(func(w *pool.Worker) {
			if w.State == pool.WorkerDraining {
				w.Leased = 0
			}
		}),
	},
	{
		Name: "every worker is said to have no jobs", Promise: "a job keeps its worker until its drain is over",
		runs: func(c *connection) runtime.Runtime { return &industrious{c} },
		plans: worlds(func(w *planner.World) {
			w.Readings = maps.Clone(w.Readings)
			for id, r := range w.Readings {
				r.Busy = ""
				w.Readings[id] = r
			}
		}),
	},
	{
		Name: "every drain times out", Promise: "a job keeps its worker until its drain is over",
		runs: func(c *connection) runtime.Runtime { return &industrious{c} },
		plans: drains(func(d *pool.Drain) {
			if d.ActiveJobs != nil && d.SignalAt == pool.SignalAfter {
				d.OnTimeout = pool.OnTimeoutTerminate
			}
		}),
	},
	{
		Name: "a worker that finishes on its signal gets its grace alone", Promise: "a worker that finishes on its signal is killed once its drain is over",
		plans: decisions(func(w planner.World, r *planner.Result) {
			for i, a := range r.Actions {
				if a.Kind == planner.Stop {
					r.Actions[i].KillAt = w.Now
				}
			}
		}),
	},
	{
		Name: "any worker in service gets the next lease", Promise: "a slot is granted once, on a worker that takes leases",
		writes: hands(func(tx store.Writer) store.Writer { return &generous{tx} }),
	},
	{
		Name: "who came last is served first", Promise: "nobody gets a slot before who has waited longer",
		writes: hands(func(tx store.Writer) store.Writer { return &unfair{tx} }),
	},
	{
		Name: "the queue is not looked at", Promise: "nobody waits beside a free slot",
		writes: hands(func(tx store.Writer) store.Writer { return &queueless{tx} }),
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
		Name: "leases are over as soon as they are looked at", Promise: "a lease expires when it could have been renewed",
		writes: func(s store.Store) store.Store { return &impatient{s} },
	},
	{
		Name: "nobody looks for the leases of a worker that ends", Promise: "a lease ends with its worker, once and with its event",
		writes: hands(func(tx store.Writer) store.Writer { return &blindfold{tx} }),
	},
	{
		Name: "lost leases are not told", Promise: "a lease ends with its worker, once and with its event",
		writes: hands(func(tx store.Writer) store.Writer {
			return &scribe{Writer: tx, event: func(e *pool.Event) {
				if e.Type == pool.EventLeaseLost {
					e.Type = pool.EventLeaseExpired
				}
			}}
		}),
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
		Name: "a destroy leaves the queue as it is", Promise: "no lease outlives its pool",
		writes: hands(func(tx store.Writer) store.Writer { return &forgetfulOfQueues{tx} }),
	},
	{
		Name: "a lease is counted twice", Promise: "a worker counts the leases that are held on it",
		keeps: func(_ *run, s store.Store) store.Store {
			return hands(func(tx store.Writer) store.Writer { return &miscounting{tx} })(s)
		},
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
		Name: "a canary is not waited for", Promise: "a canary goes before the rest",
		plans: worlds(func(w *planner.World) { w.Pool.Spec.Update.Canary = nil }),
	},
	{
		Name: "rollouts that fail do what they were not told", Promise: "a rollout that fails goes on as on_failure says",
		plans: worlds(func(w *planner.World) {
			if u := &w.Pool.Spec.Update; u.OnFailure == pool.OnFailurePause {
				u.OnFailure = pool.OnFailureRollback
			} else {
				u.OnFailure = pool.OnFailurePause
			}
		}),
	},
	{
		Name: "the way back takes the size back, too", Promise: "a pool returns to what was good, and keeps the rest",
		writes: hands(func(tx store.Writer) store.Writer {
			return &scribe{Writer: tx, pool: func(p *pool.Pool) {
				if before, err := tx.Pool(p.UID); err == nil && before.Generation < p.Generation && before.OperationID == p.OperationID {
					size := p.Spec.DesiredSize() + 1
					p.Spec.Size = new(int64)
					*p.Spec.Size = int64(size)
				}
			}}
		}),
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

// workers has the planner see other workers.
func workers(doctor func(*pool.Worker)) func(planner.World) planner.Result {
	return worlds(func(w *planner.World) {
		w.Workers = slices.Clone(w.Workers)
		for i := range w.Workers {
			doctor(&w.Workers[i])
		}
	})
}

// drains has the planner see other contracts.
func drains(doctor func(*pool.Drain)) func(planner.World) planner.Result {
	return worlds(func(w *planner.World) {
		doctor(&w.Pool.Spec.Drain)
		w.Contracts = maps.Clone(w.Contracts)
		for hash, spec := range w.Contracts {
			doctor(&spec.Drain)
			w.Contracts[hash] = spec
		}
	})
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

// industrious is a runtime whose workers begin with a job.
type industrious struct{ *connection }

func (i *industrious) Launch(ctx context.Context, l runtime.Launch) (pool.Instance, error) {
	made, err := i.connection.Launch(ctx, l)
	if worker := i.world().instances[l.WorkerID]; err == nil && worker != nil {
		worker.worksTill = time.Now().Add(time.Hour)
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

// generous has room on every worker that was ever ready.
type generous struct{ store.Writer }

func (g *generous) Room(poolUID, _ string) (pool.Worker, error) {
	living, err := g.Workers(poolUID)
	for _, w := range living {
		if !w.ReadyAt.IsZero() {
			return w, nil
		}
	}
	return pool.Worker{}, errors.Join(err, store.ErrNotFound)
}

// unfair turns the queue round.
type unfair struct{ store.Writer }

func (u *unfair) WaitingLeases(poolUID string, limit int) ([]pool.Lease, error) {
	queue, err := u.Writer.WaitingLeases(poolUID, 0)
	if limit != 1 || len(queue) == 0 {
		return queue, err
	}
	return queue[len(queue)-1:], err
}

// queueless shows nobody who waits but to a destroy, which asks for a pool's whole queue.
type queueless struct{ store.Writer }

func (q *queueless) WaitingLeases(poolUID string, limit int) ([]pool.Lease, error) {
	if poolUID != "" && limit == 0 {
		return q.Writer.WaitingLeases(poolUID, limit)
	}
	return nil, nil
}

// forgetfulOfQueues shows a pool's whole queue to nobody.
type forgetfulOfQueues struct{ store.Writer }

func (f *forgetfulOfQueues) WaitingLeases(poolUID string, limit int) ([]pool.Lease, error) {
	if poolUID != "" && limit == 0 {
		return nil, nil
	}
	return f.Writer.WaitingLeases(poolUID, limit)
}

// impatient is a store that takes every lease that is looked at for one that is over.
type impatient struct{ store.Store }

func (i *impatient) View(ctx context.Context, read func(store.Reader) error) error {
	return i.Store.View(ctx, func(r store.Reader) error { return read(&glance{r}) })
}

func (i *impatient) Update(ctx context.Context, change func(store.Writer) error) error {
	return i.Store.Update(ctx, func(tx store.Writer) error { return change(&glances{tx}) })
}

type glance struct{ store.Reader }

func (g *glance) DueLeases(at time.Time, limit int) ([]pool.Lease, error) {
	return allOver(g.Reader.DueLeases(at, limit))
}

type glances struct{ store.Writer }

func (g *glances) DueLeases(at time.Time, limit int) ([]pool.Lease, error) {
	return allOver(g.Writer.DueLeases(at, limit))
}

func allOver(leases []pool.Lease, err error) ([]pool.Lease, error) {
	for i := range leases {
		leases[i].ExpiresAt, leases[i].TTL = time.Time{}, 0
	}
	return leases, err
}

// blindfold sees no leases of a worker.
type blindfold struct{ store.Writer }

func (b *blindfold) LeasesOf(string) ([]pool.Lease, error) { return nil, nil }

// miscounting counts one lease too many on a busy worker.
type miscounting struct{ store.Writer }

func (m *miscounting) Marks(poolUID string) (map[string]pool.Marks, error) {
	marks, err := m.Writer.Marks(poolUID)
	for id, of := range marks {
		if of.Leased > 0 {
			of.Leased++
			marks[id] = of
		}
	}
	return marks, err
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

func (o *obliging) View(ctx context.Context, read func(store.Reader) error) error {
	return o.Store.View(ctx, func(r store.Reader) error {
		if byUser(ctx) {
			r = &outdatedView{r}
		}
		return read(r)
	})
}

// outdatedView shows pools at an older generation.
type outdatedView struct{ store.Reader }

func (o *outdatedView) Pool(uid string) (pool.Pool, error) {
	p, err := o.Reader.Pool(uid)
	p.Generation--
	return p, err
}

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
