package simulation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// connection is a life's runtime: through the gate, into the world.
type connection struct {
	life  *life
	ended chan runtime.Ended
}

func (c *connection) world() *world { return c.life.run.world }

// do has one call's effect in the world, as the schedule lets it.
func (c *connection) do(ctx context.Context, name, workerID string, effect func() error) error {
	run := c.life.run
	let := c.life.wait(ctx, name, workerID)
	switch let {
	case dead:
		return errCrashed
	case fails:
		return fmt.Errorf("%s: %w", name, errTrouble)
	}
	run.happened(moment{kind: event(name), before: run.books, after: run.books, workerID: workerID})
	err := effect()
	switch let {
	case loses:
		return fmt.Errorf("%s: no answer: %w", name, errTrouble)
	case delays:
		if c.life.wait(ctx, "answer of "+name, workerID) == dead {
			return errCrashed
		}
	}
	return err
}

func (c *connection) Check(context.Context, pool.Spec) pool.Faults { return nil }

func (c *connection) Launch(ctx context.Context, l runtime.Launch) (made pool.Instance, err error) {
	err = c.do(ctx, "launch", l.WorkerID, func() error {
		w := c.world()
		i := w.instances[l.WorkerID]
		switch {
		case i != nil:
			i.watcher = c.life
		case w.broken && l.Template.Command[0] == hopeless:
			return &runtime.SpecError{Fault: pool.Fault{Path: "worker.command[0]", Value: hopeless, Reason: "does not exist", Valid: "a program"}}
		default:
			i = w.start(c.life, l)
		}
		w.run.story.tell("world", "%s runs", i)
		made = i.found.Instance
		return nil
	})
	if err != nil {
		return pool.Instance{}, runtime.LaunchError(l.WorkerID, err)
	}
	return made, nil
}

func (c *connection) Adopt(ctx context.Context, _, workerID string, known pool.Instance) error {
	return c.do(ctx, "adopt", workerID, func() error {
		i, err := c.world().find(workerID, known)
		if err == nil {
			i.watcher = c.life
		}
		return err
	})
}

// Exec runs no command: the simulated specs have none.
func (c *connection) Exec(context.Context, runtime.Launch, pool.Instance, pool.Command) (runtime.Executed, error) {
	return runtime.Executed{}, errTrouble
}

func (c *connection) Signal(ctx context.Context, workerID string, known pool.Instance, signal string) error {
	return c.do(ctx, "signal", workerID, func() error {
		i, err := c.world().find(workerID, known)
		if err != nil {
			return err
		}
		if i.habit.deaf {
			i.ignored = signal
			return nil
		}
		if i.signal == "" {
			i.endsAt, i.signal = later(time.Now(), i.worksTill).Add(i.habit.work), signal
		}
		return nil
	})
}

func (c *connection) Kill(ctx context.Context, workerID string, known pool.Instance) error {
	return c.do(ctx, "kill", workerID, func() error {
		w := c.world()
		i, err := w.find(workerID, known)
		switch {
		case err == nil && i.habit.immortal:
			return fmt.Errorf("process %d does not end", known.PID)
		case err == nil || known.PID == 0:
			w.clear(workerID, pool.Exit{Signal: "KILL"})
		default:
			delete(w.left, workerID)
		}
		return nil
	})
}

func (c *connection) Sweep(ctx context.Context, workerID string, known pool.Instance) (n int, err error) {
	err = c.do(ctx, "sweep", workerID, func() error {
		w := c.world()
		i, err := w.find(workerID, known)
		switch {
		case err == nil:
			return fmt.Errorf("process %d still runs", i.found.Instance.PID)
		case known.PID == 0:
			n = w.clear(workerID, pool.Exit{Signal: "KILL"})
		default:
			delete(w.left, workerID)
		}
		return nil
	})
	return n, err
}

func (c *connection) List(ctx context.Context) (found []runtime.Found, err error) {
	switch let := c.life.wait(ctx, "list", ""); let {
	case dead:
		return nil, errCrashed
	case fails:
		return nil, fmt.Errorf("list: %w", errTrouble)
	default:
		return c.world().listing(let == stale), nil
	}
}

func (c *connection) Ended() <-chan runtime.Ended { return c.ended }

func (c *connection) Logs(ctx context.Context, poolUID, workerID string, _ int64) (text []byte, err error) {
	err = c.do(ctx, "logs", workerID, func() error {
		if c.world().logs[poolUID][workerID] {
			text = []byte("hello\n")
		}
		return nil
	})
	return text, err
}

// KeepLogs is of no consequence in this world.
func (c *connection) KeepLogs(string, pool.Logs) {}

func (c *connection) RemoveLogs(ctx context.Context, poolUID string, workerIDs ...string) error {
	subject := poolUID
	if len(workerIDs) > 0 {
		subject = workerIDs[0]
	}
	return c.do(ctx, "remove logs", subject, func() error {
		logs := c.world().logs
		for _, id := range workerIDs {
			delete(logs[poolUID], id)
		}
		if len(workerIDs) == 0 {
			delete(logs, poolUID)
		}
		return nil
	})
}

// hook tells a worker that it drains.
func (c *connection) hook(ctx context.Context, t health.Target) error {
	return c.do(ctx, "hook", t.WorkerID, func() error { return nil })
}

// jobs counts what a worker works on.
func (c *connection) jobs(ctx context.Context, t health.Target) (n int64, err error) {
	err = c.do(ctx, "count jobs", t.WorkerID, func() error {
		i, err := c.world().find(t.WorkerID, t.Instance)
		if err == nil && i.works() {
			n = 1
		}
		return err
	})
	return n, err
}

func (c *connection) Close() error { return nil }

// probe is a probe of a worker, which passes once it is warm unless it is sick.
func (c *connection) probe(ctx context.Context, t health.Target) error {
	switch c.life.wait(ctx, "probe", t.WorkerID) {
	case dead, unmade:
		return health.ErrNotProbed
	case fails:
		return errors.New("no answer")
	}
	switch i := c.world().instances[t.WorkerID]; {
	case i == nil || time.Now().Before(i.warmAt):
		return errors.New("connection refused")
	case i.sick:
		return errors.New("status 500")
	}
	return ctx.Err()
}
