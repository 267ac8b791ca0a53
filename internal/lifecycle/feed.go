package lifecycle

import "sync"

// noPool stands among uids of pools for the claims by labels, which are no pool's while they wait.
const noPool = ""

// feed tells those who watch which pools may look different by now. Telling never blocks, and what is told
// more than once before it is taken counts once.
type feed struct {
	mu       sync.Mutex
	watchers map[*watcher]bool
}

type watcher struct {
	moved  map[string]bool // uids of pools
	signal chan struct{}
}

// join returns a watcher, and how it leaves.
func (f *feed) join() (w *watcher, leave func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers == nil {
		f.watchers = map[*watcher]bool{}
	}
	w = &watcher{moved: map[string]bool{}, signal: make(chan struct{}, 1)}
	f.watchers[w] = true
	return w, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, w)
	}
}

// tell says that a pool was written.
func (f *feed) tell(poolUID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		w.moved[poolUID] = true
		select {
		case w.signal <- struct{}{}:
		default:
		}
	}
}

// take empties what a watcher was told.
func (f *feed) take(w *watcher) (poolUIDs map[string]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	poolUIDs, w.moved = w.moved, map[string]bool{}
	return poolUIDs
}
