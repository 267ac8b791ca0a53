package lifecycle

import (
	"context"
	"sync"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

// waiting lets callers wait for news of an operation.
type waiting struct {
	mu    sync.Mutex
	calls map[string]*call // by operation
}

// call is the wait of everybody who waits for the same operation.
type call struct {
	news    chan struct{} // closed when there is news
	callers int
}

// join returns a channel that is closed at the next news of the operation, and how to leave.
func (w *waiting) join(operationID string) (news <-chan struct{}, leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls == nil {
		w.calls = map[string]*call{}
	}
	c := w.calls[operationID]
	if c == nil {
		c = &call{news: make(chan struct{})}
		w.calls[operationID] = c
	}
	c.callers++
	return c.news, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if c.callers--; c.callers == 0 && w.calls[operationID] == c {
			delete(w.calls, operationID)
		}
	}
}

// wake tells everybody who waits for the operation that there is news.
func (w *waiting) wake(operationID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.calls[operationID]; c != nil {
		close(c.news)
		delete(w.calls, operationID)
	}
}

// listen waits for news until a time is over, and says whether there are any. They go before whatever else ends the
// wait: they may be what was waited for.
func (m *Manager) listen(ctx context.Context, news <-chan struct{}, timeout <-chan time.Time) (bool, error) {
	select {
	case <-news:
	case <-timeout:
	case <-m.ctx.Done():
	case <-ctx.Done():
	}
	select {
	case <-news:
		return true, nil
	default:
	}
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case m.ctx.Err() != nil:
		return false, refuse(api.ProblemStopping, "the manager is ending; a lease that waits keeps its place")
	}
	return false, nil
}
