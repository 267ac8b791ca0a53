package autoscale

import (
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Demand is what a pool's leases ask for at one moment.
type Demand struct {
	Busy    int // workers in service on which leases are held
	Waiting int // claims that wait for a slot
	Slots   int // leases that one worker takes at a time
}

// Need is how many workers serve the demand: those that have work, and room for who waits.
func (d Demand) Need() int {
	slots := max(d.Slots, 1)
	return d.Busy + (d.Waiting+slots-1)/slots
}

// Memory is the needs of the last idle timeout, the greatest first. Of two, the lesser one lasts longer.
type Memory []Held

// Held is a need, and until when it was there.
type Held struct {
	Need  int
	Until time.Time // zero: it still is
}

// Decision is how many workers there should be from now on.
type Decision struct {
	Count  int64
	Reason string // why the count changes; empty if it does not
	Memory Memory
	Next   time.Time // when time alone changes the decision; zero if never
}

// Decide follows the demand up at once, and down when nobody has needed the workers for the idle timeout. What
// came before the memory begins is taken as needed until now. While settled is false, as when a pool is being
// created, the count only grows.
func Decide(now time.Time, bounds pool.Autoscaling, count int64, demand Demand, memory Memory, settled bool) Decision {
	need := demand.Need()
	memory = memory.with(now, need, int(count)).since(now.Add(-bounds.Idle()))
	d := Decision{Count: bounds.Clamp(int64(memory[0].Need)), Memory: memory}
	if last := memory[0].Until; !last.IsZero() {
		d.Next = last.Add(bounds.Idle())
	}
	if !settled {
		d.Count = max(d.Count, bounds.Clamp(count))
	}
	switch {
	case d.Count != count && d.Count == bounds.Clamp(count):
		least, most := bounds.Bounds()
		d.Reason = fmt.Sprintf("from %d to %d there may be", least, most)
	case d.Count > count:
		d.Reason = fmt.Sprintf("%d are busy and %d claims wait", demand.Busy, demand.Waiting)
	case d.Count < count:
		d.Reason = fmt.Sprintf("no more than %d were needed for %s", memory[0].Need, pool.Duration(bounds.Idle()))
	}
	return d
}

// with is the memory with what is needed now.
func (m Memory) with(now time.Time, need, count int) Memory {
	m = append(Memory{}, m...)
	if len(m) == 0 {
		m = Memory{{Need: count, Until: now}}
	}
	if last := &m[len(m)-1]; last.Until.IsZero() {
		if last.Need == need {
			return m
		}
		last.Until = now
	}
	for len(m) > 0 && m[len(m)-1].Need <= need {
		m = m[:len(m)-1] // this one is greater, and newer
	}
	return append(m, Held{Need: need})
}

// since is the memory without what was needed before a moment only.
func (m Memory) since(moment time.Time) Memory {
	for len(m) > 1 && !m[0].Until.After(moment) {
		m = m[1:]
	}
	return m
}
