package planner

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Forecast is what would happen to a pool if nothing else did.
type Forecast struct {
	Waves []Wave
	// Worst is how long it takes if whoever is busy stays so and no hook answers until the drain deadline, and nobody
	// ends before its grace is over; zero if it takes longer than is foreseen.
	Worst time.Duration
	// Waits says what it comes to a halt at, like a canary that a person has to promote, or a worker whose job is not
	// cut off; empty if it ends.
	Waits string
}

// Wave is what happens at one moment.
type Wave struct {
	After    time.Duration
	Launches int
	Drains   []Victim
}

// Victim is a worker that goes, and why.
type Victim struct {
	WorkerID string
	Reason   string
}

// What bounds a forecast: the moments that it looks at, and how many workers it looks at in all of them.
const (
	foreseen   = 2000
	mostLookAt = 5_000_000
)

// Foresee plays a pool's plans through until nothing is left to do, or until over says that nobody waits for it.
// startUp is the time from a worker's launch until it is ready.
func Foresee(world World, startUp time.Duration, over func() bool) Forecast {
	f := &foresight{World: world, began: world.Now, startUp: startUp, ends: map[string]time.Time{}}
	f.Workers, f.Operations, f.Vacancies = slices.Clone(world.Workers), slices.Clone(world.Operations), nil
	f.Readings = maps.Clone(world.Readings)
	if f.Readings == nil {
		f.Readings = map[string]Reading{}
	}
	f.Target = cmp.Or(world.Target, world.Pool.Target())
	moments := min(foreseen, mostLookAt/max(1, len(f.Workers), world.Pool.Desired()))
	for range moments {
		if over() {
			break
		}
		r := Plan(f.World)
		moved := f.apply(r)
		switch waits := cmp.Or(f.fails, f.waiting(r)); {
		case f.Pool.Phase == pool.PhaseDestroyed, !moved && r.Converged && len(f.Operations) == 0, waits != "":
			f.Worst, f.Waits = f.Now.Sub(f.began), waits
			return f.Forecast
		case moved:
			continue
		}
		next := f.next(r)
		if next.IsZero() {
			f.Worst, f.Waits = f.Now.Sub(f.began), "nothing more happens by itself"
			return f.Forecast
		}
		f.pass(next)
	}
	f.Waits = fmt.Sprintf("more happens than is foreseen: the forecast ends after %d moments, at %s", moments, f.Now.Sub(f.began).Round(time.Second))
	return f.Forecast
}

// foresight is a world in which everything takes its longest.
type foresight struct {
	World
	Forecast
	began   time.Time
	startUp time.Duration
	ends    map[string]time.Time // of condemned workers, by id
	made    int
	fails   string // how an operation ends that does not succeed
}

// apply does what is planned, and says whether anything was.
func (f *foresight) apply(r Result) (moved bool) {
	wave := Wave{After: f.Now.Sub(f.began)}
	at := make(map[string]int, len(f.Workers))
	for i, w := range f.Workers {
		at[w.ID] = i
	}
	for _, a := range r.Actions {
		moved = f.do(a, at[a.WorkerID], &wave) || moved
	}
	if wave.Launches > 0 || len(wave.Drains) > 0 {
		f.Waves = append(f.Waves, wave)
	}
	for _, t := range r.Turns {
		for i := range f.Operations {
			if o := &f.Operations[i]; o.ID == t.OperationID {
				moved = moved || t.Promoted != o.Promoted
				o.Phase, o.Reason, o.Promoted, o.CanarySince = t.Phase, t.Reason, t.Promoted, t.CanarySince
			}
		}
	}
	for _, out := range r.Outcomes {
		switch out.Phase {
		case pool.OperationFailed, pool.OperationPaused, pool.OperationReverting:
			f.fails = fmt.Sprintf("its operation is %s then: %s", out.Phase, out.Reason)
		}
		f.Operations = slices.DeleteFunc(f.Operations, func(o pool.Operation) bool { return o.ID == out.OperationID })
		moved = true
	}
	if r.Converged && f.Pool.Phase == pool.PhaseCreating {
		f.Pool.Phase = pool.PhaseLive
	}
	return moved
}

// do does one action, on the worker at i if it is about one.
func (f *foresight) do(a Action, i int, wave *Wave) bool {
	switch a.Kind {
	case Launch:
		f.made++
		wave.Launches++
		hash := f.Target
		if a.Good {
			hash = f.Good.Hash
		}
		f.Workers = append(f.Workers, pool.Worker{
			ID: fmt.Sprintf("new-%d", f.made), State: pool.WorkerStarting, Health: pool.HealthUnknown, TemplateHash: hash,
			Replaces: a.Replaces, CreatedAt: f.Now, StartedAt: f.Now, Instance: pool.Instance{PID: f.made},
		})
	case Destroy:
		f.Pool.Phase = pool.PhaseDestroyed
	case Drain:
		w := &f.Workers[i]
		w.State, w.DrainingAt, w.DrainBy, w.DrainCause = pool.WorkerDraining, f.Now, a.DrainBy, a.Cause
		wave.Drains = append(wave.Drains, Victim{w.ID, a.Reason})
	case Stop:
		w := &f.Workers[i]
		if w.State != pool.WorkerDraining {
			wave.Drains = append(wave.Drains, Victim{w.ID, a.Reason})
		}
		w.State, w.StoppingAt, w.KillAt, w.DrainCause = pool.WorkerStopping, f.Now, a.KillAt, a.Cause
		f.ends[w.ID] = later(a.KillAt, f.Now)
	case Hook:
		return false // it does not answer before the deadline
	case Count:
		f.Readings[a.WorkerID] = Reading{AskedAt: f.Now, Draining: f.Workers[i].State == pool.WorkerDraining, Busy: "it may work"}
		return f.Workers[i].State != pool.WorkerDraining // whose answer changes nothing before its deadline
	case Kill:
		return false // it ends by then
	}
	return true
}

// waiting says what a person has to do before anything more happens.
func (f *foresight) waiting(r Result) string {
	if f.Pool.Paused && f.Pool.Phase != pool.PhaseDeleting {
		return "the pool is paused"
	}
	for _, o := range f.Operations {
		if o.Phase.Waits() && len(r.Actions) == 0 {
			return o.Reason
		}
	}
	return ""
}

// next is the next moment at which anything happens.
func (f *foresight) next(r Result) time.Time {
	next := r.Next
	sooner := func(at time.Time) {
		if at.After(f.Now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, w := range f.Workers {
		switch w.State {
		case pool.WorkerPending, pool.WorkerStarting:
			sooner(later(w.CreatedAt.Add(f.startUp), f.Now.Add(1)))
		case pool.WorkerStopping:
			sooner(f.ends[w.ID])
		}
	}
	return next
}

// pass lets time pass: workers become ready, and condemned ones end.
func (f *foresight) pass(to time.Time) {
	f.Now = to
	for i := range f.Workers {
		w := &f.Workers[i]
		starting := w.State == pool.WorkerPending || w.State == pool.WorkerStarting
		if starting && !f.Now.Before(w.CreatedAt.Add(f.startUp)) {
			w.State, w.Health, w.HealthAt, w.ReadyAt = pool.WorkerReady, pool.Healthy, f.Now, f.Now
		}
	}
	f.Workers = slices.DeleteFunc(f.Workers, func(w pool.Worker) bool {
		end, condemned := f.ends[w.ID]
		if w.State == pool.WorkerStopping && !condemned {
			end = w.KillAt // it was condemned before
		}
		return w.State == pool.WorkerStopping && !f.Now.Before(end)
	})
}
