package simulation

import (
	"cmp"
	"context"
	"runtime/pprof"
	"slices"
	"sync"
)

// gate is where every call of managers and users waits until the schedule lets it go on. Nobody holds
// anything while he waits here.
type gate struct {
	mu      sync.Mutex
	waiting []*call
	calls   int
	arrived chan struct{} // a note that somebody waits; one is enough
}

// call is what waits at the gate.
type call struct {
	caller  string // the user, or the pool whose controller calls, or the manager
	name    string // what is called; it names the row of the faults
	subject string // id of the worker or pool, if it is about one
	ctx     context.Context
	life    *life

	number  int // of its arrival
	verdict chan outcome
}

// idle says that a manager which has nothing to do makes the call all the same, again and again: it probes
// workers, and looks for leases that are due.
func (c *call) idle() bool {
	return c.name == "probe" || c.name == "view" && c.caller == manager
}

// outcome is how the schedule lets a call go on.
type outcome string

const (
	works  outcome = "ok"
	fails  outcome = "fails"              // it has no effect and errs
	loses  outcome = "its answer is lost" // it has its effect and errs
	delays outcome = "has its effect"     // and its answer waits at the gate
	stale  outcome = "is out of date"     // it works, on what was true a moment ago
	unmade outcome = "is not made"        // a probe that says nothing
	dead   outcome = "is dead"            // its manager has crashed
)

// faults are the ways in which each call can go wrong beside its manager's death.
var faults = map[string][]outcome{
	"view":        {fails},
	"update":      {fails, delays},
	"launch":      {fails, loses, delays, delays},
	"adopt":       {fails},
	"signal":      {fails, loses, delays},
	"kill":        {fails, loses, delays},
	"sweep":       {fails, loses, delays},
	"list":        {fails, stale, stale},
	"logs":        {fails},
	"remove logs": {fails, loses},
	"probe":       {fails, unmade},
	"hook":        {fails, loses, delays},
	"count jobs":  {fails, delays},
}

func newGate() *gate { return &gate{arrived: make(chan struct{}, 1)} }

// wait returns when the call may go on.
func (g *gate) wait(c call) outcome {
	c.verdict = make(chan outcome, 1)
	g.mu.Lock()
	if c.life.dead {
		g.mu.Unlock()
		return dead
	}
	g.calls++
	c.number = g.calls
	g.waiting = append(g.waiting, &c)
	g.mu.Unlock()
	select {
	case g.arrived <- struct{}{}:
	default:
	}
	return <-c.verdict
}

// list returns the calls that wait, in an order that does not depend on how goroutines were scheduled.
func (g *gate) list(named func(id string) string) []*call {
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.SortFunc(g.waiting, func(a, b *call) int {
		return cmp.Or(
			cmp.Compare(a.caller, b.caller), cmp.Compare(a.name, b.name),
			cmp.Compare(named(a.subject), named(b.subject)), cmp.Compare(a.number, b.number),
		)
	})
	return slices.Clone(g.waiting)
}

// release lets one call go on.
func (g *gate) release(c *call, o outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.DeleteFunc(g.waiting, func(w *call) bool { return w == c })
	c.verdict <- o
}

// kill lets nobody of a life through any more.
func (g *gate) kill(l *life) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l.dead = true
	for _, c := range g.waiting {
		c.verdict <- dead
	}
	g.waiting = nil
}

// quiet forgets the note of arrivals that were seen.
func (g *gate) quiet() {
	select {
	case <-g.arrived:
	default:
	}
}

type callerKey struct{}

// manager is the caller of what a manager does for no pool.
const manager = "manager"

// callerOf names who makes a call. Managers label the goroutines of each pool.
func callerOf(ctx context.Context) string {
	if user, ok := ctx.Value(callerKey{}).(string); ok {
		return user
	}
	if name, ok := pprof.Label(ctx, "pool"); ok {
		return name
	}
	return manager
}
