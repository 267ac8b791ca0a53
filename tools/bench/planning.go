//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// measurePlanner compares one plan of a pool of many workers, half of them old, with as many times the plan of
// 1,000 as it has times their number: it should grow no faster than the pool.
func measurePlanner(workers int) func(context.Context, programs, string, int) (comparison, error) {
	const few = 1000
	return func(_ context.Context, _ programs, _ string, runs int) (comparison, error) {
		c := comparison{name: fmt.Sprintf("one plan of %d workers / %d plans of %d", workers, workers/few, few), goal: 2}
		many, one := worldOf(workers), worldOf(few)
		for range runs {
			began := time.Now()
			planner.Plan(many)
			c.ours = append(c.ours, time.Since(began))
			began = time.Now()
			for range workers / few {
				planner.Plan(one)
			}
			c.floor = append(c.floor, time.Since(began))
		}
		return c, nil
	}
}

// worldOf is a pool in the middle of a rollout.
func worldOf(workers int) planner.World {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	spec := processes("crowd", int64(workers), "serve")
	p := pool.Pool{UID: "p", Name: spec.Name, Phase: pool.PhaseLive, Spec: spec, Restarts: 1, Revision: 1, Generation: 2}
	w := planner.World{Now: now, Pool: p, Operations: []pool.Operation{{
		ID: "op", Kind: pool.OperationRestart, Change: pool.ChangeRolling, Phase: pool.OperationRunning, CreatedAt: now, Generation: 2,
	}}}
	hashes := []string{pool.TemplateHash(spec, 0), p.Target()}
	for i := range workers {
		at := now.Add(-time.Hour)
		w.Workers = append(w.Workers, pool.Worker{
			ID: fmt.Sprintf("w_%07d", i), PoolUID: "p", State: pool.WorkerReady, Health: pool.Healthy, HealthAt: at,
			TemplateHash: hashes[i%2], Instance: pool.Instance{PID: i + 1}, CreatedAt: at, StartedAt: at, ReadyAt: at, Slots: 1,
		})
	}
	return w
}
