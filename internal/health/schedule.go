package health

import (
	"container/heap"
	"context"
	"time"
)

const (
	firstGap  = 50 * time.Millisecond // between the first two probes of a worker that has just started
	gapGrowth = 1.5
	jitter    = 0.1 // share of the interval by which a steady gap is shorter or longer, so that probes spread
)

// watched is a target and where it stands in the schedule: in the heap of deadlines, waiting in its pool's
// lane, or being probed.
type watched struct {
	target   Target
	tally    tally
	obstacle string        // why it is not healthy yet, as last reported
	edition  int           // counts the changes of its check; the outcome of an older check does not count
	gap      time.Duration // to the probe after the next, until it has been healthy
	due      time.Time
	place    int                // in the heap; -1 outside of it
	cancel   context.CancelFunc // of the probe that is being made
	removed  bool
}

// nextGap is the time from one probe to the next. random is in [0, 1).
func (w *watched) nextGap(random float64) time.Duration {
	interval := w.target.Check.Interval.Std()
	if w.tally.proven {
		return time.Duration(float64(interval) * (1 - jitter + 2*jitter*random))
	}
	gap := min(w.gap, interval)
	w.gap = min(time.Duration(float64(gap)*gapGrowth), interval)
	return gap
}

// deadlines is a heap of what is due, soonest first.
type deadlines []*watched

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].due.Before(d[j].due) }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}

func (d *deadlines) Push(w any) {
	w.(*watched).place = len(*d)
	*d = append(*d, w.(*watched))
}

func (d *deadlines) Pop() any {
	last := len(*d) - 1
	w := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	w.place = -1
	return w
}

func (d *deadlines) put(w *watched, due time.Time) {
	w.due = due
	if w.place >= 0 {
		heap.Fix(d, w.place)
		return
	}
	heap.Push(d, w)
}

func (d *deadlines) remove(w *watched) {
	if w.place >= 0 {
		heap.Remove(d, w.place)
	}
}

// lanes hold what is due and waits for one of the bounded number of probes at a time. A pool whose workers
// all hang uses up its own time, not that of others: the pool with the fewest probes under way goes first.
type lanes struct {
	limit    int
	underWay int
	byPool   map[string]*lane
}

type lane struct {
	waiting  []*watched
	underWay int
}

func newLanes(limit int) lanes { return lanes{limit: limit, byPool: map[string]*lane{}} }

func (l *lanes) enqueue(w *watched) {
	pool := l.byPool[w.target.PoolUID]
	if pool == nil {
		pool = &lane{}
		l.byPool[w.target.PoolUID] = pool
	}
	pool.waiting = append(pool.waiting, w)
}

// next is the one to probe now, or nil if none waits or the limit is reached.
func (l *lanes) next() *watched {
	if l.underWay >= l.limit {
		return nil
	}
	var first *lane
	for _, pool := range l.byPool {
		if len(pool.waiting) > 0 && (first == nil || pool.underWay < first.underWay) {
			first = pool
		}
	}
	if first == nil {
		return nil
	}
	w := first.waiting[0]
	first.waiting[0] = nil
	first.waiting = first.waiting[1:]
	first.underWay++
	l.underWay++
	return w
}

// done gives back the place that next has given.
func (l *lanes) done(w *watched) {
	l.underWay--
	pool := l.byPool[w.target.PoolUID]
	pool.underWay--
	l.tidy(w.target.PoolUID)
}

func (l *lanes) tidy(poolUID string) {
	if pool := l.byPool[poolUID]; pool != nil && pool.underWay == 0 && len(pool.waiting) == 0 {
		delete(l.byPool, poolUID)
	}
}
