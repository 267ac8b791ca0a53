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
// of it. It never starts before what is on record: were all times of the store still to come, no lease would
// expire and no worker settle until the machine's clock is there.
type clock struct {
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

// newClock starts a clock by what the machine says; latest is the newest time on record.
func newClock(machine func() time.Time, latest time.Time) *clock {
	begun := machine()
	return startClock(&clock{wall: machine, passed: func() time.Duration { return machine().Sub(begun) }}, latest)
}

func startClock(c *clock, latest time.Time) *clock {
	c.begun = later(c.wall().Round(0), latest)
	c.beat = c.time()
	c.since = c.beat
	return c
}

func (c *clock) time() time.Time { return c.begun.Add(c.passed()) }

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
	if behind := c.wall().Round(0).Sub(now); behind > longBreak {
		c.begun = c.begun.Add(behind)
		now = now.Add(behind)
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
