package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/failpoint"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// effect is something to do outside the store, after the draft that asks for it is committed.
type effect struct {
	kind     effectKind
	worker   pool.Worker
	template pool.WorkerTemplate // launch
	contract pool.Spec           // signal, hook, count: what the worker is treated by
}

type effectKind string

const (
	effectLaunch effectKind = "launch"
	effectSignal effectKind = "signal"
	effectAgain  effectKind = "signal again" // one that could not be signalled
	effectKill   effectKind = "kill"
	effectHook   effectKind = "hook"   // tell a draining worker
	effectCount  effectKind = "count"  // ask a worker for its active jobs
	effectSweep  effectKind = "sweep"  // end what an ended instance left running
	effectClean  effectKind = "clean"  // remove what the pool left outside the store
	effectForget effectKind = "forget" // remove the logs of pruned workers
)

// retryAfter is the wait before an effect that did not work is tried again.
const retryAfter = time.Second

// carryOut does one effect and brings back what came of it. Every effect may be repeated.
func (c *controller) carryOut(ctx context.Context, e effect) (fact, bool) {
	f := fact{workerID: e.worker.ID}
	rt := c.m.config.Runtime
	switch e.kind {
	case effectLaunch:
		return c.launch(ctx, e)
	case effectSignal, effectAgain:
		signal := e.contract.Drain.Signal
		f, trouble := c.trouble(f, "signal "+signal, rt.Signal(ctx, e.worker.ID, e.worker.Instance, signal))
		failpoint.Reach(failpoint.Signalled)
		f.unsignalled = trouble
		if !trouble {
			f.kind = factSignalled
		}
		return f, trouble || e.kind == effectAgain
	case effectKill:
		f, trouble := c.trouble(f, "kill", rt.Kill(ctx, e.worker.ID, e.worker.Instance))
		failpoint.Reach(failpoint.Killed)
		return f, trouble
	case effectHook:
		now, since := c.m.clock.read()
		ctx, cancel := context.WithTimeout(ctx, drainEnd(e.worker, since).Sub(now))
		defer cancel()
		if err := c.m.config.Hook(ctx, addressed(c.uid, e.contract, e.worker)); err != nil {
			return c.trouble(f, "tell it that it drains", err)
		}
		f.kind = factHooked
	case effectCount:
		f.kind, f.at, f.draining = factCounted, c.m.config.Now(), e.worker.State == pool.WorkerDraining
		f.text = c.count(ctx, e)
		return f, true
	case effectSweep:
		if _, err := rt.Sweep(ctx, e.worker.ID, e.worker.Instance); err != nil {
			return c.trouble(f, "end what it left running", err)
		}
		failpoint.Reach(failpoint.Swept)
		f.kind = factSwept
	case effectClean:
		if err := rt.RemoveLogs(ctx, c.uid); err != nil {
			c.log.Error("cannot remove the pool's logs", "error", err)
			f.text = err.Error()
		}
		failpoint.Reach(failpoint.Cleaned)
		f.kind, f.strangers = factCleaned, c.m.strangers(ctx, c.uid)
	case effectForget:
		if err := rt.RemoveLogs(ctx, c.uid, e.worker.ID); err != nil {
			c.log.Warn("cannot remove a log", "worker", e.worker.ID, "error", err)
		}
		return f, false
	}
	f.at = c.m.config.Now()
	return f, true
}

func (c *controller) launch(ctx context.Context, e effect) (fact, bool) {
	f := fact{workerID: e.worker.ID}
	instance, err := c.m.config.Runtime.Launch(ctx, runtime.Launch{
		WorkerID: e.worker.ID, PoolUID: c.uid, PoolName: c.name, Template: e.template,
	})
	failpoint.Reach(failpoint.Launched)
	f.at = c.m.config.Now()
	if err == nil {
		f.kind, f.instance = factLaunched, instance
		return f, true
	}
	if ctx.Err() != nil {
		return f, false // the manager is closing; the journal tells the next one to try again
	}
	var spec *runtime.SpecError
	f.kind, f.text, f.hopeless = factLaunchFailed, err.Error(), errors.As(err, &spec)
	return f, true
}

// count says how many jobs a worker works on, or why that cannot be known; nothing if it has none.
func (c *controller) count(ctx context.Context, e effect) string {
	n, err := c.m.config.Jobs(ctx, addressed(c.uid, e.contract, e.worker))
	switch {
	case err != nil:
		return "its active jobs cannot be read: " + err.Error()
	case n > 0:
		return fmt.Sprintf("%d active jobs", n)
	}
	return ""
}

// trouble is what comes of an effect that brings nothing when it works: its end is observed by itself.
func (c *controller) trouble(f fact, what string, err error) (fact, bool) {
	if err == nil || errors.Is(err, runtime.ErrGone) {
		return f, false
	}
	c.log.Warn("trouble with a worker", "worker", f.workerID, "doing", what, "error", err)
	f.kind, f.at, f.text = factTrouble, c.m.config.Now(), fmt.Sprintf("cannot %s: %v", what, err)
	return f, true
}
