package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// world is the host that instances run on. It outlives managers. It has no lock: only one call at a time is
// let through to it, and the race detector says so if that is not true.
type world struct {
	run       *run
	pids      int
	instances map[string]*instance       // that run, by worker id
	left      map[string]bool            // workers whose ended instances left something running
	logs      map[string]map[string]bool // worker ids by pool uid
	notices   []runtime.Ended            // ends that the living manager is yet to be told
	gone      []runtime.Found            // what a list that is out of date still has
	broken    bool                       // no hopeless command can be launched
}

// instance is what runs for a worker.
type instance struct {
	found   runtime.Found
	habit   habit
	watcher *life // whom its end is told
	warmAt  time.Time
	endsAt  time.Time // zero: not by itself
	signal  string    // that makes it end then
	ignored string    // a signal that it was deaf to
	sick    bool
	// worksTill is when its job is done, which it finishes when it is signalled.
	worksTill time.Time
}

// works says that the instance has a job.
func (i *instance) works() bool { return time.Now().Before(i.worksTill) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// habit is how an instance behaves.
type habit struct {
	name      string
	warmUp    time.Duration // before it passes its probe
	work      time.Duration // between its signal and its end
	shortLife time.Duration // before it ends by itself; 0: never
	deaf      bool          // it ignores its signal
	immortal  bool          // its kill fails while there are faults
	untidy    bool          // it leaves something running
	clean     bool          // it exits with code 0
}

// habits are drawn from, good ones more often.
var habits = []habit{
	{name: "well"}, {name: "well"}, {name: "well", warmUp: time.Second}, {name: "well", work: time.Second},
	{name: "slow", warmUp: 8 * time.Second, work: 4 * time.Second},
	{name: "long-running", work: 30 * time.Second},
	{name: "never ready", warmUp: 24 * time.Hour},
	{name: "deaf", deaf: true},
	{name: "immortal", deaf: true, immortal: true},
	{name: "untidy", untidy: true},
	{name: "short-lived", shortLife: 3 * time.Second, untidy: true},
	{name: "done after a while", shortLife: 20 * time.Second, clean: true},
	{name: "stillborn", shortLife: time.Nanosecond},
}

// tame are the habits when faults are over.
const tame = 4

func newWorld(r *run) *world {
	return &world{run: r, instances: map[string]*instance{}, left: map[string]bool{}, logs: map[string]map[string]bool{}}
}

// running lists the workers that have an instance.
func (w *world) running() []string { return slices.Sorted(maps.Keys(w.instances)) }

// start makes an instance.
func (w *world) start(l *life, launch runtime.Launch) *instance {
	w.pids++
	some := habits
	if w.run.calm {
		some = habits[:tame]
	}
	now := time.Now()
	i := &instance{habit: some[w.run.rand.IntN(len(some))], watcher: l, found: runtime.Found{
		WorkerID: launch.WorkerID, PoolUID: launch.PoolUID, PoolName: launch.PoolName, Identity: w.run.store.Identity().String(),
		Instance: pool.Instance{BootID: "boot", PID: w.pids, StartTime: int64(w.pids), Ports: map[string]int{}},
	}}
	if !w.run.calm && launch.Template.Command[0] == faulty {
		i.habit = habit{name: "faulty", warmUp: 24 * time.Hour, shortLife: pick(w.run, 500*time.Millisecond, time.Hour)}
	}
	for n, p := range launch.Template.Ports {
		i.found.Instance.Ports[p.Name] = 10_000*(n+1) + w.pids
	}
	i.warmAt = now.Add(i.habit.warmUp)
	if i.habit.shortLife > 0 {
		i.endsAt = now.Add(i.habit.shortLife)
	}
	w.instances[launch.WorkerID] = i
	if w.logs[launch.PoolUID] == nil {
		w.logs[launch.PoolUID] = map[string]bool{}
	}
	w.logs[launch.PoolUID][launch.WorkerID] = true
	return i
}

// find returns a worker's instance if it is the known one.
func (w *world) find(workerID string, known pool.Instance) (*instance, error) {
	if i := w.instances[workerID]; i != nil && i.found.Instance.PID == known.PID {
		return i, nil
	}
	return nil, runtime.ErrGone
}

// end ends an instance; who watches it is yet to be told.
func (w *world) end(i *instance, exit pool.Exit) {
	id := i.found.WorkerID
	delete(w.instances, id)
	w.gone = append(w.gone, i.found)
	if i.habit.untidy && !w.run.calm {
		w.left[id] = true
	}
	if i.watcher != nil && i.watcher == w.run.life {
		w.notices = append(w.notices, runtime.Ended{WorkerID: id, PoolUID: i.found.PoolUID, Exit: exit, At: time.Now()})
	}
}

// clear ends all that carries a worker's id.
func (w *world) clear(workerID string, exit pool.Exit) (n int) {
	if i := w.instances[workerID]; i != nil {
		w.end(i, exit)
		n++
	}
	if w.left[workerID] {
		n++
	}
	delete(w.left, workerID)
	return n
}

// next is when the next instance ends by itself; zero if none does.
func (w *world) next() (next time.Time) {
	for _, i := range w.instances {
		if !i.endsAt.IsZero() && (next.IsZero() || i.endsAt.Before(next)) {
			next = i.endsAt
		}
	}
	return next
}

// pass ends the instance whose time has come first, if there is one.
func (w *world) pass() bool {
	var first *instance
	for _, id := range w.running() {
		i := w.instances[id]
		if i.endsAt.IsZero() || i.endsAt.After(time.Now()) {
			continue
		}
		if first == nil || cmp.Or(i.endsAt.Compare(first.endsAt), cmp.Compare(i.found.Instance.PID, first.found.Instance.PID)) < 0 {
			first = i
		}
	}
	if first == nil {
		return false
	}
	w.run.story.tell("world", "%s ends: %s", first.found.WorkerID, cmp.Or(first.signal, first.habit.name))
	exit := pool.Exit{Code: 3, Signal: first.signal}
	if first.habit.clean {
		exit = pool.Exit{}
	}
	w.end(first, exit)
	return true
}

// someone is one of the running instances.
func (w *world) someone() *instance {
	running := w.running()
	if len(running) == 0 {
		return nil
	}
	return w.instances[running[w.run.rand.IntN(len(running))]]
}

// appease ends all that would keep pools from coming to rest.
func (w *world) appease() {
	w.broken = false
	for _, id := range w.running() {
		i := w.instances[id]
		i.sick, i.habit, i.worksTill = false, habits[0], time.Time{}
		if i.ignored != "" {
			i.endsAt, i.signal = time.Now(), i.ignored
		}
		if now := time.Now(); i.warmAt.After(now) {
			i.warmAt = now
		}
	}
}

// listing is what runs, or what ran a moment ago.
func (w *world) listing(outOfDate bool) (found []runtime.Found) {
	for _, id := range w.running() {
		found = append(found, w.instances[id].found)
	}
	if outOfDate {
		found = append(found, w.gone...)
		if n := len(found); n > 0 {
			found = slices.Delete(found, w.run.rand.IntN(n), n) // of those that come last it knows nothing yet
		}
	}
	w.gone = nil
	slices.SortFunc(found, func(a, b runtime.Found) int {
		return cmp.Or(cmp.Compare(a.WorkerID, b.WorkerID), cmp.Compare(a.Instance.PID, b.Instance.PID))
	})
	return slices.CompactFunc(found, func(a, b runtime.Found) bool { return a.WorkerID == b.WorkerID })
}

func (i *instance) String() string {
	return fmt.Sprintf("%s (pid %d, %s)", i.found.WorkerID, i.found.Instance.PID, i.habit.name)
}
