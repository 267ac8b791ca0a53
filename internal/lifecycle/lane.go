package lifecycle

import (
	"slices"
	"sync"
)

// lane carries out effects of one pool, a bounded number at a time, in the order in which they were asked for.
type lane struct {
	limit int

	mu       sync.Mutex
	underWay int
	waiting  []queued
}

// queued is an effect that waits for its turn.
type queued struct {
	workerID string
	effect   func()
}

// enter has an effect on a worker carried out as soon as there is room; owner waits for it.
func (l *lane) enter(owner *sync.WaitGroup, workerID string, effect func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.underWay == l.limit {
		l.waiting = append(l.waiting, queued{workerID, effect})
		return
	}
	l.underWay++
	owner.Go(func() {
		for effect != nil {
			effect()
			effect = l.next()
		}
	})
}

// next takes the place that an effect has left; nil gives it back.
func (l *lane) next() func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.underWay--
		return nil
	}
	effect := l.waiting[0].effect
	l.waiting[0] = queued{}
	l.waiting = l.waiting[1:]
	return effect
}

// withdraw takes an effect on a worker back that waits for its turn; false if none does.
func (l *lane) withdraw(workerID string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.waiting, func(q queued) bool { return q.workerID == workerID })
	if i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	return i >= 0
}
