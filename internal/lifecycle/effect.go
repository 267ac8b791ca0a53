package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// effect is something to do outside the store, after the draft that asks for it is committed.
type effect struct {
	kind     effectKind
	worker   pool.Worker
	template pool.WorkerTemplate // launch
	signal   string              // signal
}

type effectKind string

const (
	effectLaunch effectKind = "launch"
	effectSignal effectKind = "signal"
	effectKill   effectKind = "kill"
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
	case effectSignal:
		return c.trouble(f, "signal "+e.signal, rt.Signal(ctx, e.worker.ID, e.worker.Instance, e.signal))
	case effectKill:
		return c.trouble(f, "kill", rt.Kill(ctx, e.worker.ID, e.worker.Instance))
	case effectSweep:
		if _, err := rt.Sweep(ctx, e.worker.ID, e.worker.Instance); err != nil {
			return c.trouble(f, "end what it left running", err)
		}
		f.kind = factSwept
	case effectClean:
		if err := rt.RemoveLogs(ctx, c.uid); err != nil {
			c.log.Error("cannot remove the pool's logs", "error", err)
			f.text = err.Error()
		}
		f.kind = factCleaned
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

// trouble is what comes of an effect that brings nothing when it works: its end is observed by itself.
func (c *controller) trouble(f fact, what string, err error) (fact, bool) {
	if err == nil || errors.Is(err, runtime.ErrGone) {
		return f, false
	}
	c.log.Warn("trouble with a worker", "worker", f.workerID, "doing", what, "error", err)
	f.kind, f.at, f.text = factTrouble, c.m.config.Now(), fmt.Sprintf("cannot %s: %v", what, err)
	return f, true
}
