package simulation

import (
	"context"
	"errors"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// misguided is a runtime that does more than it is asked for.
type misguided struct {
	*connection
	more func(*misguided, context.Context, runtime.Launch)
}

func (m *misguided) Launch(ctx context.Context, l runtime.Launch) (pool.Instance, error) {
	m.more(m, ctx, l)
	return m.connection.Launch(ctx, l)
}

// inService is a worker in service with an instance.
func (m *misguided) inService() (w pool.Worker, some bool) {
	for _, id := range m.world().running() {
		if w := m.life.run.books.workers[id]; w.State == pool.WorkerReady {
			return w, true
		}
	}
	return w, false
}

func (m *misguided) signalAnother(ctx context.Context, _ runtime.Launch) {
	if w, some := m.inService(); some {
		_ = m.Signal(ctx, w.ID, w.Instance, "TERM") // only that it is sent counts
	}
}

func (m *misguided) killAnother(ctx context.Context, _ runtime.Launch) {
	if w, some := m.inService(); some {
		_ = m.Kill(ctx, w.ID, w.Instance) // only that it is sent counts
	}
}

func (m *misguided) sweepAnother(ctx context.Context, _ runtime.Launch) {
	if w, some := m.inService(); some {
		_, _ = m.Sweep(ctx, w.ID, w.Instance) // only that it is sent counts
	}
}

func (m *misguided) launchAnother(ctx context.Context, l runtime.Launch) {
	if w, some := m.inService(); some {
		l.WorkerID = w.ID
		_, _ = m.connection.Launch(ctx, l) // only that it is sent counts
	}
}

// blind is a runtime that has lost sight of what runs.
type blind struct{ *connection }

func (b *blind) Adopt(context.Context, string, string, pool.Instance) error { return runtime.ErrGone }

// fertile is a runtime that starts more than it was asked for.
type fertile struct{ *connection }

func (f *fertile) Launch(ctx context.Context, l runtime.Launch) (pool.Instance, error) {
	made, err := f.connection.Launch(ctx, l)
	if err == nil {
		twin := l
		twin.WorkerID += "_twin"
		f.world().start(f.life, twin).habit = habits[0]
	}
	return made, err
}

// industrious is a runtime whose workers begin with a job.
type industrious struct{ *connection }

func (i *industrious) Launch(ctx context.Context, l runtime.Launch) (pool.Instance, error) {
	made, err := i.connection.Launch(ctx, l)
	if worker := i.world().instances[l.WorkerID]; err == nil && worker != nil {
		worker.worksTill = time.Now().Add(100 * time.Second)
	}
	return made, err
}

// undead is a runtime whose calls outlive their manager.
type undead struct{ *connection }

func (u *undead) Launch(ctx context.Context, l runtime.Launch) (pool.Instance, error) {
	made, err := u.connection.Launch(ctx, l)
	if errors.Is(err, errCrashed) {
		<-time.After(time.Minute)
	}
	return made, err
}
