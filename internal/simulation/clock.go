package simulation

import "time"

// clockSteps are by how much the machine's clock is set between two lives of a manager, which must not begin before
// the newest time on record.
var clockSteps = []time.Duration{
	2 * time.Minute, 40 * time.Minute, 5 * time.Hour, -2 * time.Minute, -40 * time.Minute, -5 * time.Hour,
}

// wall is the machine's clock for the next manager; it is set, now and then, before that starts.
func (r *run) wall() func() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.calm && r.steps > 0 && r.rand.IntN(4) == 0 {
		step := pick(r, clockSteps...)
		r.ahead += step
		r.story.tell("world", "the clock is set by %s", step)
	}
	ahead := r.ahead
	return func() time.Time { return time.Now().Add(ahead) }
}

// learnTime takes down what a manager takes for the time.
func (r *run) learnTime(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead = time.Until(now)
}

// now is the time of the newest manager.
func (r *run) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.ahead)
}
