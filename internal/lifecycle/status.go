package lifecycle

import (
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Status derives what a pool shows from its records, its newest operation and its living workers.
func Status(p pool.Pool, newest pool.Operation, workers []pool.Worker, now time.Time) pool.Status {
	s := pool.Status{Desired: p.Desired(), Current: len(workers), Operation: &newest}
	target, draining := p.Target(), false
	for _, w := range workers {
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
	running := newest.Phase == pool.OperationRunning
	if p.Phase == pool.PhaseLive && !running {
		s.Missing = max(s.Desired-s.Ready, 0)
	}
	s.State = pool.Standing{
		Phase:        p.Phase,
		Failed:       newest.Phase == pool.OperationFailed,
		WorkersKnown: len(workers) > 0,
		Draining:     draining,
		Old:          s.Old > 0,
		Resizing:     running && newest.Kind == pool.OperationResize,
	}.Shown()
	if newest.Phase == pool.OperationFailed {
		s.Reason = newest.Reason
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
	switch {
	case p.Phase == pool.PhaseDestroyed:
		return pool.HealthUnknown, nil
	case len(reasons) == 0:
		return pool.Healthy, nil
	case p.Phase == pool.PhaseCreating:
		return pool.HealthUnknown, reasons
	case s.Available == 0:
		return pool.Unhealthy, reasons
	}
	return pool.Degraded, reasons
}
