package planner_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// TestEveryBrokenPromiseIsFound gives the judges of the property test plans that break one promise each:
// a judge that finds nothing in them would find nothing in a broken planner either.
func TestEveryBrokenPromiseIsFound(t *testing.T) {
	act := func(actions ...planner.Action) func(*fleet, *planner.Result) {
		return func(_ *fleet, r *planner.Result) { r.Actions = append(r.Actions, actions...) }
	}
	drain := func(id string, cause pool.DrainCause) planner.Action {
		return planner.Action{Kind: planner.Drain, WorkerID: id, Cause: cause}
	}
	stop := func(id string, killAt time.Time) planner.Action {
		return planner.Action{Kind: planner.Stop, WorkerID: id, Cause: pool.DrainRollout, KillAt: killAt}
	}
	launch := planner.Action{Kind: planner.Launch}
	drop := func(kind planner.ActionKind) func(*fleet, *planner.Result) {
		return func(_ *fleet, r *planner.Result) {
			r.Actions = slices.DeleteFunc(r.Actions, func(a planner.Action) bool { return a.Kind == kind })
		}
	}
	rolling := func() *fleet { f := settled(4); f.retemplate(); return f }
	creating := func() *fleet { return newFleet(4) }
	destroying := func() *fleet { f := settled(4); f.destroy(false); return f }
	shrinking := func() *fleet { f := settled(4); f.sicken("w2"); f.resize(3); return f }
	crashed := func() *fleet { // twice in one place
		f := settled(4)
		f.end("w1")
		f.step()
		f.end("w5")
		return f
	}
	manySick := func() *fleet {
		f := settled(4)
		f.sicken("w1")
		f.sicken("w2")
		return f
	}
	draining := func() *fleet { f := destroying(); f.step(); return f }
	paused := func() *fleet { f := rolling(); f.pause(); return f }
	closed := func() *fleet { // one new worker beside three old ones
		f := settled(4, budget(1, 0), everyTenMinutes)
		f.retemplate()
		f.run(habit{until: time.Second})
		f.Now = start.Add(time.Minute)
		f.run(habit{until: time.Second})
		return f
	}
	baking := func() *fleet {
		f := settled(4, budget(3, 0), canary(pool.Canary{Count: new(int64(1)), Bake: lasting(30), Promote: pool.PromoteManual}))
		f.retemplate()
		f.run(habit{until: 10 * time.Second})
		return f
	}
	bereft := func() *fleet { f := baking(); f.end("w4"); return f }
	promotes := func(since time.Time) func(*fleet, *planner.Result) {
		return func(_ *fleet, r *planner.Result) {
			r.Turns = []planner.Turn{{OperationID: "op_2", Phase: pool.OperationRunning, Promoted: true, CanarySince: since}}
		}
	}
	extended := func() *fleet {
		f := settled(2)
		f.lease("w1")
		f.resize(1)
		f.takeOut("w1")
		f.step()
		f.extend("w1", time.Hour)
		f.Now = f.worker("w1").DrainBy
		return f
	}
	aged := func() *fleet { f := settled(2); f.replace("w1"); return f }

	for _, c := range []struct {
		name   string
		fleet  func() *fleet
		doctor func(*fleet, *planner.Result)
		breach string
	}{
		{"a rollout ignores max_unavailable", rolling, act(drain("w1", pool.DrainRollout)), "leave 3 of 4 workers available"},
		{"a rollout ignores max_surge", rolling, act(launch), "6 workers are live after a launch"},
		{"a worker in service is stopped without a drain", rolling, act(stop("w1", start.Add(time.Hour))), "stopped before schedulers can know"},
		{"a drained worker is stopped without its deregister_delay", draining, act(stop("w1", start.Add(time.Hour))), "stopped before schedulers can know"},
		{"a worker is killed with its signal", creating, func(f *fleet, r *planner.Result) {
			f.step()
			*r = planner.Result{Actions: []planner.Action{stop("w1", f.Now)}}
		}, "0s from its signal to its kill instead of 10s"},
		{"a worker in service is killed", rolling, act(planner.Action{Kind: planner.Kill, WorkerID: "w1"}), "killed although it is ready"},
		{"a condemned worker is killed within its grace", draining, func(f *fleet, r *planner.Result) {
			f.passTime()
			f.step()
			r.Actions = []planner.Action{{Kind: planner.Kill, WorkerID: "w1"}}
		}, "killed 10s before its time"},
		{"a draining worker drains again", draining, act(drain("w1", pool.DrainDestroy)), "drains although it is draining"},
		{"a worker is stopped twice", draining, func(f *fleet, r *planner.Result) {
			f.passTime()
			f.step()
			r.Actions = []planner.Action{stop("w1", f.Now)}
		}, "w1 is stopped twice"},
		{"an action names nobody", creating, act(stop("", start)), `stop of "", which there is not`},
		{"a launch in a dying pool", destroying, act(launch), "a launch in a pool that is being destroyed"},
		{"the breaker is ignored", manySick, act(planner.Action{Kind: planner.Launch, Replaces: "w2"}), "2 workers are in replacement, more than 1"},
		{"remediation is done although it is off", manySick, func(f *fleet, _ *planner.Result) { f.Pool.Spec.Remediation.Enabled = false }, "although remediation is off"},
		{"scale-in takes a healthy worker before a sick one", shrinking, func(_ *fleet, r *planner.Result) { r.Actions[0].WorkerID = "w4" }, "takes w4 and spares w2"},
		{"a crash loop is not slowed down", crashed, act(planner.Action{Kind: planner.Launch, Replaces: "w5"}), "sooner than 1s"},
		{"a needed launch is left out", creating, drop(planner.Launch), "planned twice acts twice: launch"},
		{"a needed drain is left out", destroying, drop(planner.Drain), "planned twice acts twice: drain w1"},
		{"an operation succeeds too soon", creating, func(f *fleet, r *planner.Result) {
			r.Outcomes = []planner.Outcome{{OperationID: "op_1", Phase: pool.OperationSucceeded}}
		}, "op_1 is succeeded although 0 of 4 workers are available"},
		{"an operation fails and does not say why", creating, func(f *fleet, r *planner.Result) {
			r.Outcomes = []planner.Outcome{{OperationID: "op_1", Phase: pool.OperationFailed}}
		}, "op_1 is failed without a reason"},
		{"an operation ends that does not run", rolling, func(f *fleet, r *planner.Result) {
			r.Outcomes = []planner.Outcome{{OperationID: "op_1", Phase: pool.OperationSucceeded}}
		}, "an outcome of op_1, which does not run"},
		{"a rollout that has just begun is called converged", rolling, func(_ *fleet, r *planner.Result) { r.Converged = true }, "converged although"},
		{"a pool is closed over its workers", destroying, act(planner.Action{Kind: planner.Destroy}), "a pool with 4 workers in phase deleting is closed"},
		{"something is done in a paused pool", paused, act(launch), "something is done in a paused pool: launch"},
		{"there are more canaries than asked for", baking, act(launch), "new workers have 2 places instead of 1 while the rollout is held"},
		{"a rollout goes on outside its window", closed, act(launch), "new workers have 2 places instead of 1 while the rollout is held"},
		{"a rollout drains outside its window", closed, act(drain("w4", pool.DrainRollout)), "w4 goes while the rollout is held"},
		{"a canary takes the place of an old worker that died", bereft, func(_ *fleet, r *planner.Result) { r.Actions[0].Good = false }, "w4 is followed by a new worker while the rollout is held"},
		{"a good worker is launched while no rollout is held", rolling, act(planner.Action{Kind: planner.Launch, Good: true}), "although no rollout is held"},
		{"a canary is promoted that a person is to promote", baking, promotes(start), "op_2 is promoted although a person is to do that"},
		{"a canary is promoted before it has baked", func() *fleet { f := baking(); f.Pool.Spec.Update.Canary.Promote = pool.PromoteAuto; return f }, promotes(start), "op_2 is promoted before its canary has baked"},
		{"a canary is promoted that is not there", func() *fleet {
			f := baking()
			f.Pool.Spec.Update.Canary.Promote = pool.PromoteAuto
			f.end("w5")
			return f
		}, promotes(start), "op_2 is promoted although 0 of 1 canaries are available"},
		{"an extended drain is cut short", extended, act(stop("w1", start.Add(24*time.Hour))), "w1 is stopped 1h0m0s before its drain deadline although it is busy"},
		{"a pool with a worker to be replaced is called converged", aged, func(_ *fleet, r *planner.Result) { r.Actions, r.Converged = nil, true }, "converged although"},
		{"a hand drain succeeds with its worker there", aged, func(_ *fleet, r *planner.Result) {
			r.Outcomes = []planner.Outcome{{OperationID: "op_2", Phase: pool.OperationSucceeded}}
		}, "op_2 is succeeded although"},
		{"a rollout that goes back is there too soon", func() *fleet { f := baking(); f.abort(); return f }, func(_ *fleet, r *planner.Result) {
			r.Outcomes = []planner.Outcome{{OperationID: "op_2", Phase: pool.OperationCanceled}}
		}, "op_2 is canceled although"},
		{"the next moment is now", rolling, func(f *fleet, r *planner.Result) { r.Next = f.Now }, "the next moment is not to come"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.fleet()
			r := planner.Plan(f.World)
			require.Empty(t, judged(c.fleet(), r), "the plan as it is")
			c.doctor(f, &r)
			require.Contains(t, strings.Join(judged(f, r), "\n"), c.breach)
		})
	}
}

// judged applies a result to a fleet and returns the promises that it breaks.
func judged(f *fleet, r planner.Result) []string {
	before := f.snapshot()
	for _, a := range r.Actions {
		if f.lives(a.WorkerID) || a.Kind == planner.Launch {
			f.do(a)
		}
	}
	return breaches(before, r, f.snapshot())
}
