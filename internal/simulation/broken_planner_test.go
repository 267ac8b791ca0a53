package simulation

import (
	"maps"
	"slices"

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

// drains has the planner see other contracts.
func drains(doctor func(*pool.Drain)) func(planner.World) planner.Result {
	return worlds(func(w *planner.World) {
		doctor(&w.Pool.Spec.Drain)
		w.Contracts = maps.Clone(w.Contracts)
		for hash, spec := range w.Contracts {
			doctor(&spec.Drain)
			w.Contracts[hash] = spec
		}
	})
}
