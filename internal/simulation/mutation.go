package simulation

import (
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// Mutation breaks something on purpose, which a promise must find. Every hook may be nil.
type Mutation struct {
	Name    string
	Promise string // the name of the promise that finds it

	plans  func(planner.World) planner.Result  // answers for the planner
	writes func(store.Store) store.Store       // stands between managers and the books
	keeps  func(*run, store.Store) store.Store // stands between the books and the database
	runs   func(*connection) runtime.Runtime   // stands between managers and the world
}

func (m *Mutation) planned(w planner.World) planner.Result {
	if m == nil || m.plans == nil {
		return planner.Plan(w)
	}
	return m.plans(w)
}

func (m *Mutation) written(s store.Store) store.Store {
	if m == nil || m.writes == nil {
		return s
	}
	return m.writes(s)
}

func (m *Mutation) kept(r *run, s store.Store) store.Store {
	if m == nil || m.keeps == nil {
		return s
	}
	return m.keeps(r, s)
}

func (m *Mutation) ran(c *connection) runtime.Runtime {
	if m == nil || m.runs == nil {
		return c
	}
	return m.runs(c)
}
