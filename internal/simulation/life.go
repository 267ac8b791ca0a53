package simulation

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// life is one manager, from its start to its end. Another life opens the same database.
type life struct {
	run     *run
	runtime *connection
	opened  chan struct{} // closed when manager or failure is known
	manager *lifecycle.Manager
	failure error
	users   sync.WaitGroup
	dead    bool // the gate's to read and write
	began   time.Time
	wall    func() time.Time // what the machine's clock says
}

// begin starts a manager, which goes through the gate. What the one before has recorded must be there.
func (r *run) begin() {
	if r.store == nil {
		real, err := store.OpenSQLite(context.Background(), filepath.Join(r.dir, database))
		if err != nil {
			r.breach(opens, "%v", err)
			return
		}
		r.store = r.mutation.kept(r, real)
		r.audit()
	}
	l := &life{run: r, opened: make(chan struct{}), wall: r.wall(), began: r.now()}
	l.runtime = &connection{life: l, ended: make(chan runtime.Ended, 1<<12)}
	r.life, r.world.notices = l, nil
	r.story.tell("manager", "starts")
	go func() {
		defer close(l.opened)
		l.manager, l.failure = lifecycle.New(context.Background(), lifecycle.Config{
			Store:   r.mutation.written(&journal{life: l, real: r.store}),
			Runtime: r.mutation.ran(l.runtime),
			Logger:  hclog.NewNullLogger(),
			Host:    "alpha",
			NewID:   r.newID,
			Probe:   l.runtime.probe,
			Hook:    l.runtime.hook,
			Jobs:    l.runtime.jobs,
			Random:  func() float64 { return 0.5 },
			Now:     l.wall,
			Plan: func(w planner.World) planner.Result {
				r.learnTime(w.Now)
				return r.mutation.planned(w)
			},
		})
	}()
}

// wait waits at the gate for one call of the manager or of a user of it.
func (l *life) wait(ctx context.Context, name, subject string) outcome {
	return l.run.gate.wait(call{ctx: ctx, life: l, caller: callerOf(ctx), name: name, subject: subject})
}

// ready says whether the manager serves.
func (l *life) ready() bool {
	if l == nil {
		return false
	}
	select {
	case <-l.opened:
		return l.manager != nil
	default:
		return false
	}
}

// failed says whether the manager could not start.
func (l *life) failed() bool {
	select {
	case <-l.opened:
		return l.manager == nil
	default:
		return false
	}
}

// join waits for the end of everything that the life has begun, and says when.
func (l *life) join() <-chan struct{} {
	joined := make(chan struct{})
	go func() {
		defer close(joined)
		<-l.opened
		if l.manager != nil {
			l.manager.Close()
		}
		l.users.Wait()
	}()
	return joined
}

// bury closes what the life has worked with.
func (r *run) bury() {
	if err := r.store.Close(); err != nil {
		r.breach(opens, "the store does not close: %v", err)
	}
	r.life, r.store = nil, nil
}
