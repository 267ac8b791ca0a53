//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"time"
)

// settleTime bounds how long a walk waits for processes that are becoming other programs. What takes
// longer counts as it is (a file system may be out of reach, for anybody's process), unless it is about to
// become a worker: then nothing is known.
const (
	settleTime  = 2 * time.Second
	settleEvery = 2 * time.Millisecond
)

// census walks the process table. All who ask while a walk is under way share the one after it, so what
// many ask for at once costs no more than what two ask for.
type census struct {
	surveyors []*surveyor // share a walk
	walks     sync.WaitGroup

	mu      sync.Mutex
	walking bool
	next    *walk
}

type walk struct {
	done  chan struct{}
	table table
	err   error
}

// table is what a walk has found, zombies included. It is shared, and never changed.
type table struct {
	procs     []proc
	bySession map[int][]int    // indexes of procs
	byWorker  map[string][]int // of those that carry a worker's id
	byLog     map[string][]int // of those that write to a worker's log in this data directory
}

func newTable(procs []proc) table {
	t := table{procs, map[int][]int{}, map[string][]int{}, map[string][]int{}}
	for i, p := range procs {
		t.bySession[p.session] = append(t.bySession[p.session], i)
		if p.marks.worker != "" {
			t.byWorker[p.marks.worker] = append(t.byWorker[p.marks.worker], i)
		}
		if p.origin.own {
			t.byLog[p.origin.worker] = append(t.byLog[p.origin.worker], i)
		}
	}
	return t
}

func newCensus(logDir string) (*census, error) {
	c := &census{}
	for range runtime.GOMAXPROCS(0) {
		s, err := newSurveyor(logDir)
		if err != nil {
			return nil, err
		}
		c.surveyors = append(c.surveyors, s)
	}
	return c, nil
}

// take returns what a walk finds that begins after the call. An error means that nothing is known.
func (c *census) take(ctx context.Context) (table, error) {
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
		return mine.table, mine.err
	case <-ctx.Done():
		return table{}, context.Cause(ctx)
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
		procs, err := c.walk()
		current.table, current.err = newTable(procs), err
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
		var unsettled, limbo []int
		late := time.Since(began) > settleTime
		for i, seen := range c.look(ids) {
			pid, p, err := ids[i], seen.proc, seen.err
			switch {
			case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			case err != nil:
				return nil, fmt.Errorf("look at process %d: %w", pid, err)
			case late && p.limbo:
				limbo = append(limbo, pid)
			case !late && !p.settled:
				unsettled = append(unsettled, pid)
			default:
				procs = append(procs, p)
			}
		}
		switch {
		case len(limbo) > 0:
			return nil, fmt.Errorf("processes %v are about to become workers and do not get to it", limbo)
		case len(unsettled) == 0:
			return procs, nil
		}
		ids = unsettled
	}
}

// sight is what a look at one process gave.
type sight struct {
	proc
	err error
}

// look looks at each of the processes.
func (c *census) look(ids []int) []sight {
	seen := make([]sight, len(ids))
	var looks sync.WaitGroup
	for first, s := range c.surveyors {
		looks.Go(func() {
			for i := first; i < len(ids); i += len(c.surveyors) {
				seen[i].proc, seen[i].err = s.look(ids[i])
			}
		})
	}
	looks.Wait()
	return seen
}
