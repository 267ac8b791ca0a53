package simulation

import (
	"fmt"
	"slices"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// event is what kind of thing has happened.
type event string

// The events beside the calls of a runtime, which have the calls' names.
const (
	commit event = "commit" // records were changed
	answer event = "answer" // a user has heard what came of a request
	whole  event = "run"    // no moment, but the run itself
)

// moment is one thing that has happened, with the records before and after.
type moment struct {
	kind          event
	before, after *books
	poolUID       string // commit, answer: of the pool that it was about
	workerID      string // a runtime's call
	request       *request
	accepted      lifecycle.Accepted
	lease         api.LeaseView         // answer: to a scheduler
	worker        pool.Worker           // answer: to who marks one
	marks         map[string]pool.Marks // commit: of the pool's workers, as the store has them
	err           error
}

// Breach is a promise that was not kept.
type Breach struct {
	Number  int // of the promise
	Promise string
	Text    string
}

// happened takes a moment down. One at a time does so; the lock is for the race detector, to which the end of
// a goroutine does not come before a synctest.Wait that sees it.
func (r *run) happened(m moment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moments = append(r.moments, m)
}

// seen takes up what has happened since the last step.
func (r *run) seen() (moments []moment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	moments, r.moments = r.moments, nil
	return moments
}

func (b Breach) String() string {
	return fmt.Sprintf("promise %d: %s: %s", b.Number, b.Promise, b.Text)
}

func (r *run) breach(name, format string, args ...any) {
	i := slices.IndexFunc(promises, func(p promise) bool { return p.name == name })
	b := Breach{promises[i].number, name, r.story.named(fmt.Sprintf(format, args...))}
	r.breaches = append(r.breaches, b)
	r.story.tell("BREACH", "%s", b)
}

// judge holds the promises against everything that has happened since the last step.
func (r *run) judge() {
	for _, m := range r.seen() {
		for _, p := range promises {
			if p.on != m.kind || r.over() {
				continue
			}
			if text := p.broken(r, m); text != "" {
				r.breach(p.name, "%s", text)
			}
		}
	}
}
