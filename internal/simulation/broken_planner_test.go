package simulation

import (
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// decisions has what the planner decides changed.
func decisions(doctor func(planner.World, *planner.Result)) func(planner.World) planner.Result {
	return func(w planner.World) planner.Result {
		r := planner.Plan(w)
		doctor(w, &r)
		return r
	}
}

// worlds has the planner see another world.
func worlds(doctor func(*planner.World)) func(planner.World) planner.Result {
	return func(w planner.World) planner.Result {
		doctor(&w)
		return planner.Plan(w)
	}
}

// workers has the planner see other workers.
func workers(doctor func(*pool.Worker)) func(planner.World) planner.Result {
	return worlds(func(w *planner.World) {
		w.Workers = slices.Clone(w.Workers)
		for i := range w.Workers {
			doctor(&w.Workers[i])
		}
	})
}

// stops has draining workers stopped for which match holds.
func stops(match func(w pool.Worker, now time.Time) bool) func(planner.World) planner.Result {
	return decisions(func(w planner.World, r *planner.Result) {
		for _, worker := range w.Workers {
			if worker.State == pool.WorkerDraining && match(worker, w.Now) {
				r.Actions = []planner.Action{{Kind: planner.Stop, WorkerID: worker.ID, Cause: worker.DrainCause, Revokes: true, Reason: "why wait"}}
			}
		}
	})
}
