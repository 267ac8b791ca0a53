package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestAPoolsHealthSaysUnknownUntilACheckHasSpoken(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	unheard := pool.Worker{ID: "w_new", State: pool.WorkerStarting, Health: pool.HealthUnknown, HealthReason: "connection refused"}
	well := pool.Worker{ID: "w_well", State: pool.WorkerReady, Health: pool.Healthy, ReadyAt: now.Add(-time.Hour)}
	sick := pool.Worker{ID: "w_sick", State: pool.WorkerReady, Health: pool.Unhealthy, HealthReason: "status 500", ReadyAt: now.Add(-time.Hour)}
	successor := unheard
	successor.Replaces = "w_old"
	leaving := unheard
	leaving.State = pool.WorkerDraining
	const waiting = "1 have passed no check yet (worker w_new: connection refused)"
	for behaviour, c := range map[string]struct {
		phase   pool.Phase
		size    int64
		workers []pool.Worker
		want    pool.Health
		reasons []string
	}{
		"all pass":                          {pool.PhaseLive, 1, []pool.Worker{well}, pool.Healthy, nil},
		"none is wanted":                    {pool.PhaseLive, 0, nil, pool.Healthy, nil},
		"it is being created":               {pool.PhaseCreating, 2, []pool.Worker{unheard, well}, pool.HealthUnknown, []string{"1 of 2 workers are available", waiting}},
		"its first workers start":           {pool.PhaseLive, 1, []pool.Worker{unheard}, pool.HealthUnknown, []string{"0 of 1 workers are available", waiting}},
		"one more starts":                   {pool.PhaseLive, 2, []pool.Worker{well, unheard}, pool.Degraded, []string{"1 of 2 workers are available", waiting}},
		"a surging one starts":              {pool.PhaseLive, 1, []pool.Worker{well, unheard}, pool.Healthy, nil},
		"the successor of a dead one":       {pool.PhaseLive, 1, []pool.Worker{successor}, pool.Unhealthy, []string{"0 of 1 workers are available", waiting}},
		"one is missing, another starts":    {pool.PhaseLive, 2, []pool.Worker{unheard}, pool.Unhealthy, []string{"0 of 2 workers are available", waiting}},
		"one is sick":                       {pool.PhaseLive, 1, []pool.Worker{sick}, pool.Unhealthy, []string{"worker w_sick is unhealthy: status 500", "0 of 1 workers are available"}},
		"all are missing":                   {pool.PhaseLive, 1, nil, pool.Unhealthy, []string{"0 of 1 workers are available"}},
		"what leaves is waited for no more": {pool.PhaseLive, 1, []pool.Worker{leaving}, pool.Unhealthy, []string{"0 of 1 workers are available"}},
	} {
		t.Run(behaviour, func(t *testing.T) {
			p := pool.Pool{Phase: c.phase, Spec: spec(c.size, probed)}
			workers := slices.Clone(c.workers)
			for i := range workers {
				workers[i].TemplateHash = p.Target()
			}
			s := lifecycle.Status(p, pool.Operation{Phase: pool.OperationSucceeded}, nil, workers, now)
			require.Equal(t, c.want, s.Health)
			require.Equal(t, c.reasons, s.HealthReasons)
		})
	}
}

func TestAWorkerCountsAsCurrentFromItsLaunchOn(t *testing.T) {
	workers := []pool.Worker{
		{ID: "w_journaled", State: pool.WorkerPending},
		{ID: "w_runs", State: pool.WorkerStarting, Instance: pool.Instance{PID: 7}},
		{ID: "w_drains", State: pool.WorkerDraining, Instance: pool.Instance{PID: 8}},
	}
	s := lifecycle.Status(pool.Pool{Phase: pool.PhaseLive, Spec: spec(2)}, pool.Operation{}, nil, workers, time.Now())
	require.Equal(t, 2, s.Current)
}

func TestAnUnhealthyVerdictOutlivesTheManager(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		created := s.created(spec(1, probed, func(sp *pool.Spec) { sp.Remediation.Enabled = false }))
		id := s.living("web")[0].ID
		s.world.sicken(id, "status 500")
		s.pass(10 * time.Second)
		require.Equal(t, pool.Unhealthy, s.worker(id).Health)
		before := len(s.events(created.Pool.UID))
		s.close()
		s.open()
		s.pass(2 * time.Second)
		require.Equal(t, pool.Unhealthy, s.worker(id).Health)
		require.Equal(t, "status 500", s.worker(id).HealthReason)
		require.Len(t, s.events(created.Pool.UID), before, "it is no news")
	})
}

// The probe is the real one here: it asks the runtime.
func TestACommandOfACheckIsRunByTheRuntime(t *testing.T) {
	checked := func(sp *pool.Spec) {
		sp.Health.Exec = &pool.ExecProbe{Command: []string{"check"}}
		sp.Health.Interval = pool.Duration(time.Second)
	}
	play(t, func(t *testing.T, s *stage) {
		s.realProbes = true
		s.close()
		s.open()
		created := s.created(spec(2, checked))
		id := s.living("web")[0].ID
		require.Equal(t, pool.WorkerReady, s.worker(id).State)
		s.world.sicken(id, "behind")
		s.pass(10 * time.Second)
		require.NotContains(t, s.world.running(), id, "it is replaced")
		require.True(t, slices.ContainsFunc(s.events(created.Pool.UID), func(e pool.Event) bool {
			return e.WorkerID == id && e.Message == "unhealthy: the command exited with code 1: behind"
		}))
	})
}
