package health

import (
	"container/heap"
	"context"
	"time"
)

const (
	firstGap  = 50 * time.Millisecond // between the first two probes of a worker that has just started
	gapGrowth = 1.2
	jitter    = 0.1 // share of a gap by which it is shorter or longer, so that probes spread
)

// watched is a target and where it stands in the schedule: in the heap of deadlines, waiting in a
// lane, or being probed.
type watched struct {
	target   Target
	tally    tally
	obstacle string        // why it is not healthy yet, as last reported
	edition  int           // counts the changes of its check; the outcome of an older check does not count
	gap      time.Duration // to the probe after the next, until it has been healthy
	spread   bool          // its probes have a phase of their own within the interval
	slow     bool          // its last probe took more than half of the time that it had
	lane     *lane         // where it waits, or what it was probed from
	due      time.Time
	place    int                // in the heap; -1 outside of it
	cancel   context.CancelFunc // of the probe that is being made
	removed  bool
}

// nextGap is the time from one probe to the next. Workers that became healthy together are spread over the
// interval from then on. random is in [0, 1).
func (w *watched) nextGap(random float64) time.Duration {
	interval := w.target.Check.Interval.Std()
	around := 1 - jitter + 2*jitter*random
	switch {
	case w.tally.proven && !w.spread:
		w.spread = true
		return share(interval, random)
	case w.tally.proven:
		return share(interval, around)
	}
	gap := min(w.gap, interval)
	w.gap = min(share(gap, gapGrowth), interval)
	return share(gap, around)
}

func share(d time.Duration, of float64) time.Duration { return time.Duration(float64(d) * of) }

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
