package simulation

import (
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
const within = 250

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
		Name: "more time is taken for none", Promise: "a worker that was given more time has it",
		plans: stops(func(w pool.Worker, now time.Time) bool {
			return !w.ExtendedTo.IsZero() && now.After(w.DrainingAt.Add(3*time.Second))
		}),
	},
	{
		Name: "nobody looks for leases before a stop", Promise: "a lease keeps its worker until its drain is over",
		plans: workers(func(w *pool.Worker) {
			if w.State == pool.WorkerDraining && w.ExtendedTo.IsZero() {
				w.Leased = 0
			}
		}),
	},
	{
		Name: "every worker is said to have no jobs", Promise: "a job keeps its worker until its drain is over",
		runs: func(c *connection) runtime.Runtime { return &industrious{c} },
		plans: worlds(func(w *planner.World) {
			w.Readings = maps.Clone(w.Readings)
			for _, worker := range w.Workers {
				if r, asked := w.Readings[worker.ID]; asked && worker.ExtendedTo.IsZero() {
					r.Busy = ""
					w.Readings[worker.ID] = r
				}
			}
		}),
	},
	{
		Name: "every drain times out", Promise: "a job keeps its worker until its drain is over",
		runs: func(c *connection) runtime.Runtime { return &industrious{c} },
		plans: stops(func(w pool.Worker, now time.Time) bool {
			return w.Leased == 0 && w.ExtendedTo.IsZero() && !now.Before(w.DrainBy)
		}),
	},
	{
		Name: "a worker that finishes on its signal gets its grace alone", Promise: "a worker that finishes on its signal is killed once its drain is over",
		plans: decisions(func(w planner.World, r *planner.Result) {
			for _, worker := range w.Workers {
				if worker.State == pool.WorkerStopping {
					r.Actions = append(r.Actions, planner.Action{Kind: planner.Kill, WorkerID: worker.ID})
				}
			}
		}),
	},
	{
		Name: "any worker in service gets the next lease", Promise: "a slot is granted once, on a worker that takes leases",
		writes: hands(func(tx store.Writer) store.Writer { return &generous{tx} }),
	},
	{
		Name: "a cordon is not looked at", Promise: "a slot is granted once, on a worker that takes leases",
		writes: hands(func(tx store.Writer) store.Writer { return &unguarded{tx} }),
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
		Name: "an update is made and said to have failed", Promise: "launches stay within size, surge and one replacement",
		writes: func(s store.Store) store.Store { return &denier{s} },
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
		Name: "nobody knows who was chosen", Promise: "whoever is chosen by hand goes",
		plans: worlds(func(w *planner.World) {
			w.Operations = slices.Clone(w.Operations)
			for i := range w.Operations {
				w.Operations[i].WorkerID = ""
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
					size := p.Desired() + 1
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
