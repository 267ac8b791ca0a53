package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Status derives what a pool shows from its records, its newest operation, those that have not ended, and its
// living workers.
func Status(p pool.Pool, newest pool.Operation, running []pool.Operation, workers []pool.Worker, now time.Time) pool.Status {
	s := pool.Status{Desired: p.Desired(), Operation: &newest}
	target, draining := p.Target(), false
	for _, w := range workers {
		if w.Instance.PID != 0 {
			s.Current++
		}
		switch {
		case w.State.Leaving():
			s.Draining++
		case w.State == pool.WorkerReady:
			s.Ready++
		}
		draining = draining || w.State != pool.WorkerStopping
		if w.TemplateHash != target {
			s.Old++
		}
		if w.Health == pool.Unhealthy {
			s.Unhealthy++
		}
		if planner.Available(p.Spec, w, now) {
			s.Available++
		}
	}
	if p.Phase == pool.PhaseLive && len(running) == 0 {
		s.Missing = max(s.Desired-s.Ready, 0)
	}
	failed := newest.Phase == pool.OperationFailed && p.ConvergedGeneration < p.Generation // it may be reached all the same by now
	s.State = pool.Standing{
		Phase:        p.Phase,
		Failed:       failed,
		WorkersKnown: len(workers) > 0,
		Draining:     draining,
		Old:          s.Old > 0,
		Resizing:     p.Scaling || slices.ContainsFunc(running, func(o pool.Operation) bool { return o.Kind == pool.OperationResize }),
	}.Shown()
	if failed {
		s.Reason = newest.Reason
	}
	for _, o := range running {
		if o.Change == pool.ChangeRolling && o.ID != newest.ID {
			s.Rollout = &o
		}
	}
	s.Health, s.HealthReasons = judge(p, s, workers)
	return s
}

// judge says how healthy a pool is, and why it is not.
func judge(p pool.Pool, s pool.Status, workers []pool.Worker) (pool.Health, []string) {
	var reasons []string
	for _, w := range workers {
		if w.Health == pool.Unhealthy && !w.State.Leaving() && len(reasons) < 10 {
			reasons = append(reasons, fmt.Sprintf("worker %s is unhealthy: %s", w.ID, w.HealthReason))
		}
	}
	if s.Available < s.Desired {
		reasons = append(reasons, fmt.Sprintf("%d of %d workers are available", s.Available, s.Desired))
	}
	unheard := unheardOf(workers)
	if n := len(unheard); n > 0 && len(reasons) > 0 {
		reasons = append(reasons, fmt.Sprintf("%d have passed no check yet%s", n, firstObstacle(unheard)))
	}
	switch {
	case p.Phase == pool.PhaseDestroyed:
		return pool.HealthUnknown, nil
	case len(reasons) == 0:
		return pool.Healthy, nil
	case p.Phase == pool.PhaseCreating:
		return pool.HealthUnknown, reasons
	case s.Available > 0:
		return pool.Degraded, reasons
	case len(unheard) > 0 && len(unheard) >= s.Desired && !slices.ContainsFunc(unheard, inPlaceOfAnother):
		return pool.HealthUnknown, reasons // its first workers: nothing speaks against them
	}
	return pool.Unhealthy, reasons
}

// unheardOf are the workers that are to stay and that no check has spoken on.
func unheardOf(workers []pool.Worker) (unheard []pool.Worker) {
	for _, w := range workers {
		if w.Health == pool.HealthUnknown && !w.State.Leaving() {
			unheard = append(unheard, w)
		}
	}
	return unheard
}

// firstObstacle quotes what keeps one of the workers from its first passed check.
func firstObstacle(workers []pool.Worker) string {
	for _, w := range workers {
		if w.HealthReason != "" {
			return fmt.Sprintf(" (worker %s: %s)", w.ID, w.HealthReason)
		}
	}
	return ""
}

func inPlaceOfAnother(w pool.Worker) bool { return w.Replaces != "" }
