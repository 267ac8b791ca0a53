package lifecycle

import "sync"

// lane carries out effects of one pool, a bounded number at a time, in the order in which they were asked for.
type lane struct {
	limit int

	mu       sync.Mutex
	underWay int
	waiting  []func()
}

// enter has an effect carried out as soon as there is room; owner waits for it.
func (l *lane) enter(owner *sync.WaitGroup, effect func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.underWay == l.limit {
		l.waiting = append(l.waiting, effect)
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
	effect := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	return effect
}
