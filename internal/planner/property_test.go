package planner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// TestPlansKeepTheirPromisesInEveryWorld lets random users, faults and time act on a pool, checks every
// plan against the budgets, and asks that the pool converges once the faults stop.
func TestPlansKeepTheirPromisesInEveryWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFleet(rapid.Int64Range(0, 12).Draw(t, "size"), func(s *pool.Spec) {
			s.Update.MaxSurge = amount(t, "max_surge")
			s.Update.MaxUnavailable = amount(t, "max_unavailable")
			if s.Update.MaxSurge.Value == 0 && s.Update.MaxUnavailable.Value == 0 {
				s.Update.MaxUnavailable.Value = 1
			}
			s.Update.MinReady = pool.Duration(rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(t, "min_ready"))
			s.Remediation.Enabled = rapid.Bool().Draw(t, "remediation")
			s.Remediation.MaxUnhealthy = amount(t, "max_unhealthy")
			s.Drain.SignalAt = rapid.SampledFrom([]string{pool.SignalAfter, pool.SignalStart}).Draw(t, "signal_at")
			s.Drain.OnTimeout = rapid.SampledFrom([]string{pool.OnTimeoutTerminate, pool.OnTimeoutFail}).Draw(t, "on_timeout")
			s.Drain.Timeout = pool.Duration(rapid.SampledFrom([]time.Duration{0, 10 * time.Second, 5 * time.Minute}).Draw(t, "drain timeout"))
			if rapid.Bool().Draw(t, "hook") {
				s.Drain.Hook = &pool.DrainHook{HTTP: &pool.HTTPProbe{}}
			}
			if rapid.Bool().Draw(t, "active_jobs") {
				s.Drain.ActiveJobs = &pool.ActiveJobs{}
			}
			s.Drain.DeregisterDelay = pool.Duration(rapid.SampledFrom([]time.Duration{0, 2 * time.Second}).Draw(t, "deregister_delay"))
			s.Update.OnFailure = rapid.SampledFrom([]string{pool.OnFailureRollback, pool.OnFailurePause}).Draw(t, "on_failure")
			if rapid.Bool().Draw(t, "canary") {
				s.Update.Canary = &pool.Canary{
					Count: new(rapid.Int64Range(1, 3).Draw(t, "count")), Bake: lasting(rapid.SampledFrom([]int{0, 30}).Draw(t, "bake")),
					Promote: rapid.SampledFrom([]string{pool.PromoteAuto, pool.PromoteManual}).Draw(t, "promote"),
				}
			}
			if rapid.Bool().Draw(t, "windows") {
				everyTenMinutes(s)
			}
			if rapid.Bool().Draw(t, "max_leases") {
				s.WorkerLimits.MaxLeases = new(rapid.Int64Range(1, 3).Draw(t, "leases"))
			}
			if rapid.Bool().Draw(t, "max_age") {
				s.WorkerLimits.MaxAge = lasting(20 * 60)
			}
		})
		defer func() {
			if t.Failed() {
				t.Log(f.log.String())
			}
		}()
		if rapid.Bool().Draw(t, "live") {
			f.settle()
			f.retemplate()
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			checkedStep(t, f)
			if f.Pool.Phase == pool.PhaseDestroyed {
				return
			}
			disturb(t, f)
		}
		settle(t, f)
	})
}

func amount(t *rapid.T, label string) pool.Amount {
	return rapid.SampledFrom([]pool.Amount{{}, {Value: 1}, {Value: 3}, {Value: 25, Percent: true}, {Value: 100, Percent: true}}).Draw(t, label)
}

// disturb lets one thing happen.
func disturb(t *rapid.T, f *fleet) {
	kinds := []string{"ready", "ready", "ready", "end", "end", "time", "time", "time", "crash", "sicken", "recover", "resize", "retemplate", "hot", "outage", "destroy", "lease", "lease", "lease", "release", "release", "hooked", "answer", "work", "restart", "contract", "probe", "both", "pause", "resume", "resume", "promote", "abort", "revert", "replace", "replace", "take out", "extend"}
	kind := rapid.SampledFrom(kinds).Draw(t, "event")
	among := func(match func(pool.Worker) bool) (string, bool) {
		var ids []string
		for _, w := range f.Workers {
			if match(w) {
				ids = append(ids, w.ID)
			}
		}
		if len(ids) == 0 {
			return "", false
		}
		return rapid.SampledFrom(ids).Draw(t, "worker"), true
	}
	state := func(s pool.WorkerState) func(pool.Worker) bool {
		return func(w pool.Worker) bool { return w.State == s }
	}
	if deleting := f.Pool.Phase == pool.PhaseDeleting; deleting && slices.Contains([]string{"resize", "retemplate", "hot", "destroy", "restart", "contract", "probe", "both", "pause", "resume", "promote", "abort", "revert", "replace", "take out"}, kind) {
		kind = "force" // a destroy is final: only force changes anything
	}
	switch kind {
	case "ready":
		if id, ok := among(state(pool.WorkerStarting)); ok {
			f.ready(id)
		}
	case "end":
		if id, ok := among(state(pool.WorkerStopping)); ok {
			f.end(id)
		}
	case "crash":
		if id, ok := among(func(pool.Worker) bool { return true }); ok {
			f.end(id)
		}
	case "sicken":
		if id, ok := among(state(pool.WorkerReady)); ok {
			f.sicken(id)
		}
	case "recover":
		if id, ok := among(func(w pool.Worker) bool { return w.State == pool.WorkerReady && w.Health != pool.Healthy }); ok {
			f.recover(id)
		}
	case "lease":
		if id, ok := among(pool.Worker.Leasable); ok {
			f.lease(id)
		}
	case "release":
		if id, ok := among(func(w pool.Worker) bool { return w.Leased > 0 }); ok {
			f.release(id)
		}
	case "hooked":
		if id, ok := among(state(pool.WorkerDraining)); ok {
			f.hooked(id)
		}
	case "answer":
		f.answer()
	case "work":
		if id, ok := among(state(pool.WorkerReady)); ok {
			f.jobs = map[string]int{id: rapid.IntRange(0, 2).Draw(t, "jobs")}
			f.note("%s works on %d jobs", id, f.jobs[id])
		}
	case "time":
		f.Now = f.Now.Add(time.Duration(rapid.Int64Range(1, 20_000).Draw(t, "ms")) * time.Millisecond)
	case "resize":
		size := rapid.Int64Range(0, 12).Draw(t, "new size")
		f.resize(size)
	case "retemplate":
		f.retemplate()
	case "hot":
		f.ask(pool.Operation{Kind: pool.OperationUpdate, Change: pool.ChangeHot}, func(*pool.Pool) {})
	case "restart":
		f.restart()
	case "contract":
		f.respec(contracts(t))
	case "probe":
		f.respec(otherProbe)
	case "both":
		f.retemplate(contracts(t), otherProbe)
	case "pause":
		f.pause()
	case "resume":
		f.resume()
	case "promote":
		f.promote()
	case "abort":
		f.abort()
	case "revert":
		f.revert(rapid.Int64Range(1, f.Pool.Revision).Draw(t, "revision"))
	case "replace":
		if id, ok := among(func(w pool.Worker) bool { return !w.State.Leaving() }); ok {
			f.replace(id)
		}
	case "take out":
		if id, ok := among(func(w pool.Worker) bool { return !w.State.Leaving() }); ok && f.Pool.Desired() > 0 {
			f.takeOut(id)
		}
	case "extend":
		if id, ok := among(state(pool.WorkerDraining)); ok {
			f.extend(id, time.Duration(rapid.IntRange(1, 60).Draw(t, "more"))*time.Second)
		}
	case "outage":
		f.Now = f.Now.Add(time.Duration(rapid.Int64Range(1, 30).Draw(t, "minutes")) * time.Minute)
		f.note("back after an outage")
		f.Since = f.Now
	case "destroy", "force":
		if rapid.IntRange(0, 4).Draw(t, "meant") == 0 { // seldom, to leave the others their turn

			f.destroy(kind == "force")
		}
	}
}

// contracts draws another contract.
func contracts(t *rapid.T) func(*pool.Spec) {
	return func(s *pool.Spec) {
		s.Drain.Grace = seconds(rapid.SampledFrom([]int{1, 10, 60}).Draw(t, "grace"))
		s.Drain.Timeout = seconds(rapid.SampledFrom([]int{0, 10, 300}).Draw(t, "drain timeout"))
		s.Drain.OnTimeout = rapid.SampledFrom([]string{pool.OnTimeoutTerminate, pool.OnTimeoutFail}).Draw(t, "on_timeout")
		if s.Drain.Hook = nil; rapid.Bool().Draw(t, "hook") {
			s.Drain.Hook = &pool.DrainHook{HTTP: &pool.HTTPProbe{}}
		}
	}
}

// otherProbe has workers probed that were not, or none any more.
func otherProbe(s *pool.Spec) {
	if s.Health.HTTP == nil {
		probed(s)
	} else {
		unprobed(s)
	}
}

// checkedStep is one step of the planner that is held against its promises.
func checkedStep(t *rapid.T, f *fleet) {
	before := f.snapshot()
	r := f.step()
	if found := breaches(before, r, f.snapshot()); len(found) > 0 {
		t.Fatalf("%s\nin %s", strings.Join(found, "\n"), describe(f))
	}
}

// settle stops the faults and asks for convergence within a bound.
func settle(t *rapid.T, f *fleet) {
	for _, w := range f.Workers {
		if w.Health == pool.Unhealthy && (!f.Pool.Spec.Remediation.Enabled || rapid.Bool().Draw(t, "heals")) {
			f.worker(w.ID).Health = pool.Healthy
		}
	}
	f.jobs = nil
	for range 1000 {
		if f.Pool.Phase != pool.PhaseDeleting && (f.Pool.Paused || slices.ContainsFunc(f.Operations, func(o pool.Operation) bool { return o.Phase == pool.OperationPaused })) {
			f.resume()
		}
		if o := f.rollout(); o != nil && !o.Promoted {
			f.promote()
		}
		for _, w := range f.Workers {
			if w.State == pool.WorkerReady && w.Health == pool.HealthUnknown {
				f.recover(w.ID)
			}
		}
		checkedStep(t, f)
		f.answer()
		checkedStep(t, f) // every answer is looked at at once
		f.readyAll()
		f.endAll()
		for _, w := range f.Workers {
			f.hooked(w.ID)
			f.worker(w.ID).Leased = 0
		}
		if f.Pool.Phase == pool.PhaseDestroyed {
			return
		}
		r := planner.Plan(f.World)
		if len(r.Actions) > 0 {
			continue // it is to be done at this moment
		}
		if f.Pool.Phase != pool.PhaseDeleting && r.Converged {
			if n := f.available(); n != f.Pool.Desired() || len(f.Workers) != n {
				t.Fatalf("converged with %d workers, %d available, of %d", len(f.Workers), n, f.Pool.Desired())
			}
			return
		}
		f.passTime()
	}
	t.Fatalf("not converged: %s", describe(f))
}

func describe(f *fleet) string {
	text := fmt.Sprintf("desired %d;", f.Pool.Desired())
	for _, w := range f.Workers {
		text += fmt.Sprintf(" %s %s %s old=%t replaces=%s cause=%s;", w.ID, w.State, w.Health, w.TemplateHash != f.Pool.Target(), w.Replaces, w.DrainCause)
	}
	return text
}
