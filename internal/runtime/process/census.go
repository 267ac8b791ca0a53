//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

// settleTime bounds how long a walk waits for processes that are about to become other programs.
const (
	settleTime  = 2 * time.Second
	settleEvery = 2 * time.Millisecond
)

// census walks the process table. All who ask while a walk is under way share the one after it, so what
// many ask for at once costs no more than what two ask for.
type census struct {
	survey *surveyor
	walks  sync.WaitGroup

	mu      sync.Mutex
	walking bool
	next    *walk
}

type walk struct {
	done  chan struct{}
	procs []proc
	err   error
}

func newCensus(logDir string) (*census, error) {
	survey, err := newSurveyor(logDir)
	return &census{survey: survey}, err
}

// take returns the processes of a walk that began after the call, zombies included. An error means that
// nothing is known.
func (c *census) take(ctx context.Context) ([]proc, error) {
	c.mu.Lock()
	if c.next == nil {
		c.next = &walk{done: make(chan struct{})}
	}
	mine := c.next
	if !c.walking {
		c.walking = true
		c.walks.Go(c.run)
	}
	c.mu.Unlock()
	select {
	case <-mine.done:
		return mine.procs, mine.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *census) run() {
	for {
		c.mu.Lock()
		current := c.next
		c.next = nil
		c.walking = current != nil
		c.mu.Unlock()
		if current == nil {
			return
		}
		current.procs, current.err = c.walk()
		close(current.done)
	}
}

// wait returns when no walk is under way. Nobody may ask any more.
func (c *census) wait() { c.walks.Wait() }

func (c *census) walk() ([]proc, error) {
	ids, err := processIDs()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var procs []proc
	ticker := time.NewTicker(settleEvery)
	defer ticker.Stop()
	for began := time.Now(); ; <-ticker.C {
		var unsettled []int
		for _, pid := range ids {
			p, err := c.survey.look(pid)
			switch {
			case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			case err != nil:
				return nil, fmt.Errorf("look at process %d: %w", pid, err)
			case !p.settled:
				unsettled = append(unsettled, pid)
			default:
				procs = append(procs, p)
			}
		}
		if len(unsettled) == 0 {
			return procs, nil
		}
		if time.Since(began) > settleTime {
			return nil, fmt.Errorf("processes %v are about to execute a program and do not get to it", unsettled)
		}
		ids = unsettled
	}
}
