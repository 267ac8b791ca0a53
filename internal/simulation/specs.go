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
	faulty   = "break"            // its workers end too early to be of use, while there are faults
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
	s.Labels = labels(r)
	for _, c := range changes {
		if c.atCreation {
			c.apply(r, &s)
		}
	}
	return s
}

// labels are what schedulers may select a pool by.
func labels(r *run) map[string]string { return map[string]string{"team": pick(r, "red", "blue")} }

// change is one thing that users change of a spec.
type change struct {
	name       string
	atCreation bool // whether it makes a new spec too
	apply      func(*run, *pool.Spec)
}

// changes are of every kind that a spec's fields have, but those that only another pool can have.
var changes = []change{
	{"description (hot)", false, func(r *run, s *pool.Spec) { s.Description = fmt.Sprint("for ", r.rand.IntN(100)) }},
	{"labels (hot)", false, func(r *run, s *pool.Spec) { s.Labels = labels(r) }},
	{"size or autoscaling (hot)", true, func(r *run, s *pool.Spec) {
		if r.rand.IntN(3) > 0 {
			return
		}
		if s.Autoscaling != nil {
			size := int64(r.rand.IntN(maxSize + 1))
			s.Size, s.Autoscaling = &size, nil
			return
		}
		least := int64(r.rand.IntN(3))
		most, idle := max(least, 1)+int64(r.rand.IntN(maxSize)), pool.Duration(pick(r, time.Second, 10*time.Second, time.Minute))
		s.Size, s.Autoscaling = nil, &pool.Autoscaling{Min: &least, Max: &most, IdleTimeout: &idle}
		s.Initialization = pick(r, pool.Prewarmed, pool.Dynamic)
	}},
	{"leases (contract)", true, func(r *run, s *pool.Spec) {
		s.Leases.Slots = pick(r, int64(1), 1, 2, 3)
		s.Leases.TTL = pool.Duration(pick(r, 5*time.Second, 20*time.Second, time.Minute))
	}},
	{"canary (hot)", true, func(r *run, s *pool.Spec) {
		s.Update.Canary = nil
		if r.rand.IntN(2) == 0 {
			count, bake := pick(r, int64(1), 2), pool.Duration(pick(r, 0, 5*time.Second, 2*time.Minute))
			s.Update.Canary = &pool.Canary{Count: &count, Bake: &bake, Promote: pick(r, "", pool.PromoteAuto, pool.PromoteManual)}
		}
	}},
	{"on_failure (hot)", true, func(r *run, s *pool.Spec) {
		s.Update.OnFailure = pick(r, pool.OnFailureRollback, pool.OnFailureRollback, pool.OnFailurePause)
	}},
	{"windows (hot)", false, func(r *run, s *pool.Spec) {
		s.Update.Windows = nil
		if r.rand.IntN(2) == 0 {
			s.Update.Windows = []pool.Window{{Cron: "*/10 * * * *", Duration: pool.Duration(5 * time.Minute)}}
		}
	}},
	{"worker_limits (hot)", true, func(r *run, s *pool.Spec) {
		s.WorkerLimits = pool.WorkerLimits{}
		switch r.rand.IntN(4) {
		case 0:
			most := pick(r, int64(1), 3)
			s.WorkerLimits.MaxLeases = &most
		case 1:
			age := pool.Duration(pick(r, 2*time.Minute, 20*time.Minute))
			s.WorkerLimits.MaxAge = &age
		}
	}},
	{"on_exit_zero (contract)", true, func(r *run, s *pool.Spec) {
		s.Worker.OnExitZero = pick(r, pool.ExitZeroReplace, pool.ExitZeroCrash)
	}},
	{"budgets (hot)", true, func(r *run, s *pool.Spec) {
		amounts := []pool.Amount{{}, {Value: 1}, {Value: 25, Percent: true}, {Value: 100, Percent: true}}
		s.Update.MaxSurge, s.Update.MaxUnavailable = pick(r, amounts...), pick(r, amounts...)
		if s.Update.MaxSurge.Value == 0 && s.Update.MaxUnavailable.Value == 0 {
			s.Update.MaxUnavailable.Value = 1
		}
	}},
	{"min_ready (hot)", true, func(r *run, s *pool.Spec) { s.Update.MinReady = pool.Duration(pick(r, 0, 0, 3*time.Second)) }},
	{"progress_deadline (hot)", true, func(r *run, s *pool.Spec) {
		s.Update.ProgressDeadline = pool.Duration(pick(r, 5*time.Second, 20*time.Second, 2*time.Minute))
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
		s.Drain.OnTimeout = pick(r, pool.OnTimeoutTerminate, pool.OnTimeoutTerminate, pool.OnTimeoutFail)
		s.Drain.Hook, s.Drain.ActiveJobs = nil, nil
		if len(s.Worker.Ports) == 0 {
			return
		}
		if r.rand.IntN(2) == 0 {
			s.Drain.Hook = &pool.DrainHook{HTTP: &pool.HTTPProbe{}}
		}
		if r.rand.IntN(3) > 0 {
			s.Drain.ActiveJobs = &pool.ActiveJobs{}
		}
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
		s.Size, s.Autoscaling = &size, nil
		s.RestartTriggers = map[string]string{"at": fmt.Sprint(r.rand.IntN(1000))}
		s.Drain.Grace = pool.Duration(3 * time.Second)
	}},
}
