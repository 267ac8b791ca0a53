package server

import (
	"net/http"
	"sync"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

// activity knows whether anybody uses the manager, and closes it to new requests when it ends.
type activity struct {
	mu      sync.Mutex
	active  int
	last    time.Time // when the newest request ended
	closing bool
}

// count follows requests; once the manager is ending, they are answered with where it stands.
func (a *activity) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.enter() {
			w.Header().Set("Retry-After", "1")
			write(w, problem(api.ProblemStopping, "the manager is ending"))
			return
		}
		defer a.leave()
		next.ServeHTTP(w, r)
	})
}

func (a *activity) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing {
		return false
	}
	a.active++
	return true
}

func (a *activity) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.active--
	a.last = time.Now()
}

// CloseIfIdle closes the server to new requests if there was none for the given time, so that a manager
// with nothing to do can end without cutting anybody off. It says whether it is closed.
func (a *activity) CloseIfIdle(d time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closing = a.closing || a.active == 0 && time.Since(a.last) >= d
	return a.closing
}
