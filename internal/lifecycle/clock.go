package lifecycle

import (
	"context"
	"sync"
	"time"
)

// clock is the manager's time. It runs with the monotonic clock from the moment it was made, so that a step
// of the machine's clock moves no deadline. And it knows since when the manager has been there without a
// break: what passed before, nobody could answer, so nobody's time to live or to drain ends because of it.
type clock struct {
	source func() time.Time // nil: the monotonic clock

	mu    sync.Mutex
	begun time.Time
	beat  time.Time // when it was last seen to run
	since time.Time // when the last break ended
}

const (
	beatEvery = time.Second
	// longBreak is how long a manager must have stood still for it to be a break: longer than any load
	// makes it, and shorter than the shortest time to live of a lease.
	longBreak = 3 * time.Second
)

func newClock(source func() time.Time) *clock {
	c := &clock{source: source, begun: time.Now()}
	c.beat = c.time()
	c.since = c.beat
	return c
}

func (c *clock) time() time.Time {
	if c.source != nil {
		return c.source()
	}
	return c.begun.Add(time.Since(c.begun)).Round(0) // the wall time of the start and the monotonic time since
}

// run keeps the clock beating until ctx ends: whoever reads it after a pause of the process finds the break.
func (c *clock) run(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.read()
		}
	}
}

// read returns the time, and when the last break ended.
func (c *clock) read() (now, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now = c.time()
	if now.Sub(c.beat) > longBreak {
		c.since = now
	}
	c.beat = now
	return now, c.since
}

func (c *clock) now() time.Time {
	now, _ := c.read()
	return now
}

// interrupt says that requests could not be served until now although the manager ran.
func (c *clock) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = c.time()
}
