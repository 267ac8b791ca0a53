package lifecycle

import (
	"context"
	"sync"
	"time"
)

// clock is the manager's time. It runs with the monotonic clock from the moment it was made, so that a step
// of the machine's clock moves no deadline. Only when it has fallen behind, because the machine slept or its
// clock was set ahead, it follows, and that is a break. And it knows since when the manager has been there
// without a break: what passed before, nobody could answer, so nobody's time to live or to drain ends because
// of it.
type clock struct {
	source func() time.Time     // what the time is, for those who have it made up; nil: as below
	wall   func() time.Time     // what the machine says
	passed func() time.Duration // monotonic time since the clock was made

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
	begun := time.Now()
	return startClock(&clock{
		source: source, wall: time.Now, passed: func() time.Duration { return time.Since(begun) },
	})
}

func startClock(c *clock) *clock {
	c.begun = c.wall().Round(0)
	c.beat = c.time()
	c.since = c.beat
	return c
}

func (c *clock) time() time.Time {
	if c.source != nil {
		return c.source()
	}
	return c.begun.Add(c.passed())
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
	if c.source == nil {
		if behind := c.wall().Round(0).Sub(now); behind > longBreak {
			c.begun = c.begun.Add(behind)
			now = now.Add(behind)
		}
	}
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
