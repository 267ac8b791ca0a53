package planner_test

import (
	"fmt"
	"slices"
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
			s.Drain.SignalAt = rapid.SampledFrom([]string{pool.SignalAfter, pool.SignalStart}).Draw(t, "signal_at")
			s.Drain.DeregisterDelay = pool.Duration(rapid.SampledFrom([]time.Duration{0, 2 * time.Second}).Draw(t, "deregister_delay"))
		})
		defer func() {
			if t.Failed() {
				t.Log(f.log.String())
			}
		}()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			checkedStep(t, f)
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
	kinds := []string{"ready", "ready", "ready", "end", "end", "time", "time", "time", "crash", "sicken", "recover", "resize", "retemplate"}
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
	switch kind {
	case "ready":
		if id, ok := among(state(pool.WorkerStarting)); ok {
			f.note("ready %s", id)
			f.ready(id)
		}
	case "end":
		if id, ok := among(state(pool.WorkerStopping)); ok {
			f.note("ended %s", id)
			f.end(id)
		}
	case "crash":
		if id, ok := among(func(pool.Worker) bool { return true }); ok {
			f.note("crashed %s", id)
			f.end(id)
		}
	case "sicken":
		if id, ok := among(state(pool.WorkerReady)); ok {
			f.note("sick %s", id)
			f.sicken(id)
		}
	case "recover":
		if id, ok := among(func(w pool.Worker) bool { return w.State == pool.WorkerReady && w.Health == pool.Unhealthy }); ok {
			f.note("recovered %s", id)
			w := f.worker(id)
			w.Health, w.HealthAt, w.ReadyAt = pool.Healthy, f.Now, f.Now
		}
	case "time":
		f.Now = f.Now.Add(time.Duration(rapid.Int64Range(1, 20_000).Draw(t, "ms")) * time.Millisecond)
	case "resize":
		size := rapid.Int64Range(0, 12).Draw(t, "new size")
		f.note("resize %d", size)
		f.resize(size)
	case "retemplate":
		f.note("retemplate")
		f.retemplate()
	}
}

// checkedStep is one step of the planner whose actions are held against the promises.
func checkedStep(t *rapid.T, f *fleet) {
	before := f.World
	before.Workers = slices.Clone(f.Workers)
	wasAvailable := map[string]bool{}
	for _, w := range before.Workers {
		wasAvailable[w.ID] = planner.Available(f.Pool.Spec, w, f.Now)
	}
	r := f.step()
	desired := f.Pool.Desired()
	surge := f.Pool.Spec.Update.MaxSurge.RoundUp(desired)
	unavailable := f.Pool.Spec.Update.MaxUnavailable.RoundDown(desired)
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}

	taken := 0
	for _, a := range r.Actions {
		if wasAvailable[a.WorkerID] {
			taken++
			wasAvailable[a.WorkerID] = false
		}
		if a.Kind == planner.Kill {
			w := before.Workers[slices.IndexFunc(before.Workers, func(w pool.Worker) bool { return w.ID == a.WorkerID })]
			if w.State != pool.WorkerStopping || f.Now.Before(w.KillAt) {
				t.Fatalf("worker %s is killed in state %s, %s before its time", w.ID, w.State, w.KillAt.Sub(f.Now))
			}
		}
	}
	if left := f.available(); taken > 0 && left < desired-unavailable {
		t.Fatalf("planned actions take %d workers and leave %d available, fewer than %d - %d", taken, left, desired, unavailable)
	}
	live := f.count(func(w pool.Worker) bool {
		return !w.State.Leaving() || w.DrainCause == pool.DrainRollout || w.DrainCause == pool.DrainReplace
	})
	launched := slices.ContainsFunc(r.Actions, func(a planner.Action) bool { return a.Kind == planner.Launch })
	if launched && live > desired+surge+1 {
		t.Fatalf("%d workers are live after a launch, more than %d + %d and one replacement", live, desired, surge)
	}
	for _, a := range planner.Plan(f.World).Actions {
		if a.Kind != planner.Kill {
			t.Fatalf("the same moment planned twice acts twice: %s %s (%s)", a.Kind, a.WorkerID, a.Reason)
		}
	}
}

// settle stops the faults and asks for convergence within a bound.
func settle(t *rapid.T, f *fleet) {
	for _, w := range f.Workers {
		if w.Health == pool.Unhealthy && rapid.Bool().Draw(t, "heals") {
			f.worker(w.ID).Health = pool.Healthy
		}
	}
	for range 300 {
		checkedStep(t, f)
		f.readyAll()
		f.endAll()
		if r := planner.Plan(f.World); r.Converged && len(r.Actions) == 0 {
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
