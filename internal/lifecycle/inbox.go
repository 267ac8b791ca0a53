package lifecycle

import "sync"

// inbox is where a controller is told what happened. Telling never blocks; wakes coalesce.
type inbox struct {
	mu     sync.Mutex
	facts  []fact
	stale  bool // the pool's record was changed
	signal chan struct{}
}

func newInbox() inbox { return inbox{signal: make(chan struct{}, 1), stale: true} }

// tell hands in a fact.
func (b *inbox) tell(f fact) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.facts = append(b.facts, f)
	b.wake()
}

// changed says that the pool or its operations are to be read again.
func (b *inbox) changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stale = true
	b.wake()
}

// take empties the inbox, which answers every wake so far.
func (b *inbox) take() (facts []fact, stale bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.signal:
	default:
	}
	facts, stale = b.facts, b.stale
	b.facts, b.stale = nil, false
	return facts, stale
}

// putBack returns what could not be dealt with yet, without a wake: the caller knows when to try again.
func (b *inbox) putBack(facts []fact, stale bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.facts = append(facts, b.facts...)
	b.stale = b.stale || stale
}

// wake leaves a note; b.mu is held.
func (b *inbox) wake() {
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

func (b *inbox) woken() <-chan struct{} { return b.signal }
