package simulation

import (
	"fmt"
	"maps"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const (
	maxSize  = 4
	hopeless = "/no/such/program" // while the host is broken
)

var names = []string{"web", "jobs"}

// pick is one of the values.
func pick[T any](r *run, values ...T) T { return values[r.rand.IntN(len(values))] }

// newSpec is a valid spec that a user may begin with.
func (r *run) newSpec(name string) pool.Spec {
	size := int64(r.rand.IntN(maxSize + 1))
	s := pool.Default()
	s.Name, s.Size, s.Worker.Command = name, &size, []string{"serve", "1"}
	if r.rand.IntN(3) > 0 {
		s.Worker.Ports = []pool.Port{{Name: "http"}}
		s.Health.HTTP = &pool.HTTPProbe{}
	}
	for _, c := range changes {
		if c.atCreation {
			c.apply(r, &s)
		}
	}
	return s
}

// change is one thing that users change of a spec.
type change struct {
	name       string
	atCreation bool // whether it makes a new spec too
	apply      func(*run, *pool.Spec)
}

// changes are of every kind that a spec's fields have, but those that only another pool can have.
var changes = []change{
	{"description (hot)", false, func(r *run, s *pool.Spec) { s.Description = fmt.Sprint("for ", r.rand.IntN(100)) }},
	{"budgets (hot)", true, func(r *run, s *pool.Spec) {
		amounts := []pool.Amount{{}, {Value: 1}, {Value: 25, Percent: true}, {Value: 100, Percent: true}}
		s.Update.MaxSurge, s.Update.MaxUnavailable = pick(r, amounts...), pick(r, amounts...)
		if s.Update.MaxSurge.Value == 0 && s.Update.MaxUnavailable.Value == 0 {
			s.Update.MaxUnavailable.Value = 1
		}
	}},
	{"min_ready (hot)", true, func(r *run, s *pool.Spec) { s.Update.MinReady = pool.Duration(pick(r, 0, 0, 3*time.Second)) }},
	{"progress_deadline (hot)", true, func(r *run, s *pool.Spec) {
		s.Update.ProgressDeadline = pool.Duration(pick(r, 20*time.Second, 2*time.Minute))
	}},
	{"remediation (hot)", true, func(r *run, s *pool.Spec) {
		s.Remediation.Enabled = r.rand.IntN(4) > 0
		s.Remediation.MaxUnhealthy = pick(r, pool.Amount{}, pool.Amount{Value: 40, Percent: true}, pool.Amount{Value: 100, Percent: true})
	}},
	{"health (contract)", true, func(r *run, s *pool.Spec) {
		s.Health.Interval = pool.Duration(pick(r, 2*time.Second, 10*time.Second))
		s.Health.UnhealthyThreshold = pick(r, int64(1), 3)
		s.Health.Timeout = pool.Duration(pick(r, time.Second, 20*time.Second))
	}},
	{"drain (contract)", true, func(r *run, s *pool.Spec) {
		s.Drain.DeregisterDelay = pool.Duration(pick(r, 0, 2*time.Second))
		s.Drain.Grace = pool.Duration(pick(r, 0, time.Second, 10*time.Second))
		s.Drain.Timeout = pool.Duration(pick(r, time.Second, time.Minute))
		s.Drain.SignalAt = pick(r, pool.SignalAfter, pool.SignalStart)
	}},
	{"env (rolling)", false, func(r *run, s *pool.Spec) {
		s.Worker.Env = maps.Clone(s.Worker.Env)
		if s.Worker.Env == nil {
			s.Worker.Env = map[string]string{}
		}
		s.Worker.Env["VERSION"] = fmt.Sprint(r.rand.IntN(1000))
	}},
	{"env (rolling), back to the first", false, func(_ *run, s *pool.Spec) { s.Worker.Env = nil }},
	{"command (rolling)", true, func(r *run, s *pool.Spec) {
		s.Worker.Command = []string{pick(r, "serve", "serve", "serve", hopeless), fmt.Sprint(r.rand.IntN(5))}
	}},
	{"everything at once", false, func(r *run, s *pool.Spec) {
		size := int64(r.rand.IntN(maxSize + 1))
		s.Size = &size
		s.RestartTriggers = map[string]string{"at": fmt.Sprint(r.rand.IntN(1000))}
		s.Drain.Grace = pool.Duration(3 * time.Second)
	}},
}
