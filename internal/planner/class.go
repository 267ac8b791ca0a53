package planner

import (
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// class is what a worker counts as.
type class string

const (
	stopping  class = "stopping"  // condemned
	draining  class = "draining"  // withdrawn
	stuck     class = "stuck"     // did not become ready within the progress deadline
	unready   class = "unready"   // not ready yet
	sick      class = "sick"      // ready, and fails its check
	settling  class = "settling"  // ready for less than min_ready, or its changed check has not spoken
	available class = "available" // ready, passing its check, not draining, for at least min_ready
)

// classes is read from the top; the first match is a worker's class.
var classes = []struct {
	class class
	holds func(*World, *pool.Worker) bool
}{
	{stopping, func(_ *World, w *pool.Worker) bool { return w.State == pool.WorkerStopping }},
	{draining, func(_ *World, w *pool.Worker) bool { return w.State == pool.WorkerDraining }},
	{stuck, func(world *World, w *pool.Worker) bool {
		return w.State != pool.WorkerReady && !world.Now.Before(stuckAt(world, w))
	}},
	{unready, func(_ *World, w *pool.Worker) bool { return w.State != pool.WorkerReady }},
	{sick, func(_ *World, w *pool.Worker) bool { return w.Health == pool.Unhealthy }},
	{settling, func(world *World, w *pool.Worker) bool {
		return w.Health == pool.HealthUnknown || world.Now.Before(settledAt(world, w))
	}},
	{available, func(*World, *pool.Worker) bool { return true }},
}

func classify(world *World, w *pool.Worker) class {
	for _, row := range classes {
		if row.holds(world, w) {
			return row.class
		}
	}
	panic("the last row always holds")
}

func stuckAt(world *World, w *pool.Worker) time.Time {
	return later(w.CreatedAt, world.Since).Add(world.Pool.Spec.Update.ProgressDeadline.Std())
}

// proofOfLife is how long a worker that no probe asks must have lived to count as available: whatever ends
// sooner never worked.
const proofOfLife = time.Second

func settledAt(world *World, w *pool.Worker) time.Time {
	wait := world.Pool.Spec.Update.MinReady.Std()
	if !world.contract(w).Health.Probed() {
		wait = max(wait, proofOfLife)
	}
	return w.ReadyAt.Add(wait)
}

// killAt is when a condemned worker is killed. After a break it has its grace once more, because nobody
// knows whether its signal reached it.
func killAt(world *World, w *pool.Worker) time.Time {
	drain := world.contract(w).Drain
	if worksOn(drain, w) { // it has the whole of its drain
		return later(w.KillAt, drainBy(world, w).Add(drain.Grace.Std()))
	}
	return later(w.KillAt, world.Since.Add(drain.Grace.Std()))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Available says whether a worker counts as available at the given time.
func Available(spec pool.Spec, w pool.Worker, now time.Time) bool {
	return classify(&World{Now: now, Pool: pool.Pool{Spec: spec}}, &w) == available
}

// none is the index of no worker.
const none = -1

// census is the world's workers, counted once.
type census struct {
	classes  []class        // of world.Workers, by index
	stale    []bool         // of world.Workers, by index: made from another template
	old      []bool         // of world.Workers, by index: to be replaced, because they are stale or worn
	worn     []bool         // of world.Workers, by index: to be replaced whatever their template is
	why      []string       // of world.Workers, by index: why they are old
	at       map[string]int // index of each worker by its id; nil until it is asked for
	replaced map[string]int // index of the successor by the id of whom it was launched for, who may have ended
	heir     []int          // of world.Workers, by index: index of its successor; none if it has none
	target   string         // template hash that workers should have
	desired  int
	surge    int
	floor    int // the fewest available workers that a planned action may leave
	live     int // workers that take up room: all but those leaving by scale-in or destroy
}

func takeCensus(world *World) census {
	c := census{
		classes:  make([]class, len(world.Workers)),
		stale:    make([]bool, len(world.Workers)),
		old:      make([]bool, len(world.Workers)),
		worn:     make([]bool, len(world.Workers)),
		why:      make([]string, len(world.Workers)),
		replaced: map[string]int{},
		heir:     slices.Repeat([]int{none}, len(world.Workers)),
		desired:  world.Pool.Desired(),
	}
	target := world.Target
	if target == "" {
		target = world.Pool.Target()
	}
	c.target = target
	for i := range world.Workers {
		w := &world.Workers[i]
		c.classes[i] = classify(world, w)
		c.why[i] = worn(world, w)
		c.stale[i], c.worn[i] = w.TemplateHash != target, c.why[i] != ""
		if c.stale[i] && !c.worn[i] {
			c.why[i] = "its template is old"
		}
		c.old[i] = c.stale[i] || c.worn[i]
		if !w.State.Leaving() && w.Replaces != "" {
			c.replaced[w.Replaces] = i
		}
		if !w.State.Leaving() || w.DrainCause == pool.DrainRollout || w.DrainCause == pool.DrainReplace {
			c.live++
		}
	}
	if len(c.replaced) > 0 {
		for i := range world.Workers {
			if j, ok := c.replaced[world.Workers[i].ID]; ok {
				c.heir[i] = j
			}
		}
	}
	u := world.Pool.Spec.Update
	c.surge = u.MaxSurge.RoundUp(c.desired)
	unavailable := u.MaxUnavailable.RoundDown(c.desired)
	if c.surge == 0 && unavailable == 0 {
		unavailable = 1 // a percentage that rounds to nothing must not stop all updates
	}
	c.floor = c.desired - unavailable
	return c
}

// number counts the workers for which match holds.
func (c census) number(match func(i int) bool) int {
	n := 0
	for i := range c.classes {
		if match(i) {
			n++
		}
	}
	return n
}

func (c census) leaving(i int) bool   { return c.classes[i] == stopping || c.classes[i] == draining }
func (c census) available(i int) bool { return c.classes[i] == available }
func (c census) serves(i int) bool    { return c.classes[i] == available || c.classes[i] == settling }
