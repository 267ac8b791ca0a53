package simulation

import (
	"fmt"
	"testing/synctest"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// mood is how much goes wrong in a run, in percent of the calls, and how often managers crash, in percent
// of the deeds that are drawn at all.
type mood struct {
	name  string
	steps int
	wrong int
	crash int
	world int // of what happens to workers
}

var moods = []mood{
	{name: "a good day", steps: 500, wrong: 0, crash: 0, world: 2},
	{name: "a host with trouble", steps: 500, wrong: 12, crash: 0, world: 8},
	{name: "a manager that crashes", steps: 500, wrong: 0, crash: 4, world: 2},
	{name: "everything at once", steps: 500, wrong: 8, crash: 2, world: 6},
	{name: "hell", steps: 500, wrong: 30, crash: 3, world: 12},
}

// deed is one thing that the schedule can do next.
type deed struct {
	name   string
	weight func(mood) int
	// does it, or returns false if there is nothing to do.
	does func(*run) bool
}

func always(weight int) func(mood) int { return func(mood) int { return weight } }

// deeds are what a storm is made of.
var deeds = []deed{
	{"let a call go on", always(100), (*run).letGo},
	{"tell an end", always(25), (*run).tellEnd},
	{"ask something", always(10), asks(wishes)},
	{"ask for leases", always(20), asks(claims)},
	{"ask something of one worker", always(10), asks(singles)},
	{"ask for more time", always(6), asks(reprieves)},
	{"let time pass", always(35), (*run).passTime},
	{"end a worker", func(m mood) int { return m.world }, (*run).endWorker},
	{"make a worker sick or well", func(m mood) int { return m.world }, (*run).sicken},
	{"give a worker a job", always(25), (*run).employ},
	{"break or mend the host", func(m mood) int { return m.world / 4 }, (*run).breakHost},
	{"crash", func(m mood) int { return m.crash }, (*run).crash},
	{"restart in peace", func(m mood) int { return (m.crash + 1) / 3 }, (*run).restart},
	{"start a manager", always(60), (*run).start},
}

// storm draws deeds.
func (r *run) storm() {
	r.begin()
	for range r.mood.steps {
		r.step(func() {
			for done := false; !done; {
				done = r.draw().does(r)
			}
		})
		if r.over() {
			return
		}
	}
}

func (r *run) draw() deed {
	all := 0
	for _, d := range deeds {
		all += d.weight(r.mood)
	}
	n := r.rand.IntN(all)
	for _, d := range deeds {
		if n -= d.weight(r.mood); n < 0 {
			return d
		}
	}
	panic("the weights add up")
}

// step lets one thing happen, and everything that follows from it until all wait again. What is due comes
// first: the ends of instances whose time has come, and calls whose time is over.
func (r *run) step(do func()) {
	synctest.Wait()
	if r.steps++; r.steps > maxSteps {
		r.breach(rests, "after %d steps the story is not over", r.steps)
		return
	}
	if !r.world.pass() && !r.letOverdueGo() {
		do()
	}
	synctest.Wait()
	r.judge()
}

// letOverdueGo lets the first call go on whose caller does not wait for it any more.
func (r *run) letOverdueGo() bool {
	for _, c := range r.gate.list(r.story.name) {
		if c.ctx.Err() != nil {
			r.let(c)
			return true
		}
	}
	return false
}

func (r *run) letGo() bool {
	waiting := r.gate.list(r.story.name)
	if len(waiting) == 0 {
		return false
	}
	r.let(waiting[r.rand.IntN(len(waiting))])
	return true
}

func (r *run) let(c *call) {
	o := works
	if ways := faults[c.name]; !r.calm && len(ways) > 0 && r.rand.IntN(100) < r.mood.wrong {
		o = ways[r.rand.IntN(len(ways))]
	}
	r.story.tell(c.caller, "%s %s: %s", c.name, c.subject, o)
	r.gate.release(c, o)
}

// tellEnd tells the manager that an instance has ended, now and then twice.
func (r *run) tellEnd() bool {
	w := r.world
	if len(w.notices) == 0 || !r.life.ready() {
		return false
	}
	e := w.notices[0]
	if r.calm || r.rand.IntN(100) >= r.mood.wrong {
		w.notices = w.notices[1:]
	}
	r.story.tell("world", "tells the end of %s", e.WorkerID)
	r.life.runtime.ended <- e
	return true
}

// spans are how much time passes at most, in a storm.
var spans = []time.Duration{
	time.Millisecond, 50 * time.Millisecond, 300 * time.Millisecond, time.Second, time.Second, 3 * time.Second,
	3 * time.Second, 10 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute,
}

// hurried bounds the time that passes while calls wait, mostly: else nothing would ever get done in time.
const hurried = 300 * time.Millisecond

func (r *run) passTime() bool {
	d := spans[r.rand.IntN(len(spans))]
	if len(r.gate.list(r.story.name)) > 0 && r.rand.IntN(15) > 0 {
		d = min(d, hurried)
	}
	r.pause(d + time.Duration(r.rand.IntN(1000))*time.Microsecond)
	return true
}

func (r *run) endWorker() bool {
	i := r.world.someone()
	if i == nil {
		return false
	}
	r.story.tell("world", "%s is ended by a stranger", i)
	r.world.end(i, pool.Exit{Signal: "SEGV"})
	return true
}

func (r *run) sicken() bool {
	i := r.world.someone()
	if i == nil {
		return false
	}
	i.sick = !i.sick
	r.story.tell("world", "%s is sick: %t", i, i.sick)
	return true
}

// employ gives a worker in service a job. Schedulers that do not lease give none to one that is withdrawn.
func (r *run) employ() bool {
	i := r.world.someone()
	if i == nil || r.books.workers[i.found.WorkerID].State != pool.WorkerReady || i.signal != "" {
		return false
	}
	i.worksTill = time.Now().Add(pick(r, time.Second, 10*time.Second, 90*time.Second, time.Hour))
	r.story.tell("world", "%s has a job until %s", i, i.worksTill.Sub(r.story.began))
	return true
}

func (r *run) breakHost() bool {
	r.world.broken = !r.world.broken
	r.story.tell("world", "hopeless programs are broken: %t", r.world.broken)
	return true
}

// crash ends the manager in the middle of whatever it does.
func (r *run) crash() bool {
	if r.life == nil {
		return false
	}
	r.story.tell("manager", "crashes")
	r.gate.kill(r.life)
	joined := r.life.join()
	synctest.Wait()
	select {
	case <-joined:
	default:
		r.breach(joins, "something of the dead manager goes on")
		r.await(joined)
	}
	r.bury()
	return true
}

// patience bounds how long a dead manager is waited for. On a simulated clock nothing ever hangs: whatever
// ticks would tick for ever, at no sign of a deadlock.
const patience = time.Hour

// await waits for the end of a dead manager, without which nothing can go on.
func (r *run) await(joined <-chan struct{}) {
	select {
	case <-joined:
	case <-time.After(patience):
		panic(fmt.Sprintf("a dead manager goes on for ever\n%s", r.story.text.String()))
	}
}

// restart ends the manager as an upgrade does: it lets everything under way come to its end.
func (r *run) restart() bool {
	if !r.life.ready() {
		return false
	}
	r.story.tell("manager", "is closed")
	joined := r.life.join()
	for {
		synctest.Wait()
		r.judge()
		select {
		case <-joined:
			r.bury()
			return true
		default:
		}
		if !r.letGo() {
			r.breach(joins, "the manager does not close")
			return r.crash()
		}
	}
}

// start starts a manager where none runs.
func (r *run) start() bool {
	if r.life != nil && !r.life.failed() {
		return false
	}
	if r.life != nil {
		r.story.tell("manager", "cannot start: %v", r.life.failure)
	}
	r.begin()
	return true
}

// The bounds within which every pool comes to rest once the faults are over.
const (
	restWithin = 2 * time.Hour
	restSteps  = 20_000
	maxSteps   = 3 * restSteps // of the whole story
)

// settle stops the faults and waits for rest.
func (r *run) settle() {
	if r.over() {
		return
	}
	r.calm = true
	r.world.appease()
	r.story.tell("calm", "the faults are over")
	began := time.Now()
	for n := 0; !r.over() && (!r.rests() || r.attend()); n++ {
		if n == restSteps || time.Since(began) > restWithin {
			promise, text := r.disquiet()
			r.breach(promise, "after %d steps and %s: %s", n, time.Since(began), text)
			return
		}
		r.step(func() {
			if !r.start() && !r.letGo() && !r.tellEnd() {
				r.pause(time.Minute)
			}
		})
	}
	r.restart()
	r.start()
}
