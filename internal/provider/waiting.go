package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// ending is why a wait for an operation is over.
type ending int

const (
	ended       ending = iota // the operation has its outcome
	interrupted               // Terraform was told to stop
	outOfTime                 // the user's timeout passed
	outOfReach                // the manager cannot be asked any more
)

// noTimeout is the timeout of a wait that only the operation ends.
const noTimeout time.Duration = -1

// wait is how a wait for an operation went.
type wait struct {
	operation pool.Operation // its newest state
	ending    ending
	timeout   time.Duration
	err       error // of outOfReach
}

// await waits for an operation's outcome, telling Terraform's log how far it is, and whoever else wants to know.
func await(ctx context.Context, m client.Manager, op pool.Operation, timeout time.Duration, also ...func(pool.Operation)) wait {
	within := ctx
	if timeout >= 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	began := time.Now()
	newest, err := m.Wait(within, op.ID, func(o pool.Operation) {
		tflog.Info(ctx, "waiting for the operation", map[string]any{
			"pool": o.PoolName, "operation": o.ID, "kind": o.Kind, "phase": o.Phase, "reason": o.Reason,
			"waited": time.Since(began).Round(time.Second).String(),
		})
		for _, tell := range also {
			tell(o)
		}
	})
	w := wait{operation: newest, timeout: timeout, err: err}
	if w.operation.Phase == "" {
		w.operation = op // no answer came at all
	}
	switch {
	case err == nil:
		w.ending = ended
	case ctx.Err() != nil:
		w.ending = interrupted
	case within.Err() != nil:
		w.ending = outOfTime
	default:
		w.ending = outOfReach
	}
	return w
}

// why says in words why the wait ended before the operation did.
func (w wait) why() string {
	switch w.ending {
	case interrupted:
		return "Terraform was told to stop."
	case outOfTime:
		return fmt.Sprintf("The timeout of %s passed.", w.timeout)
	case outOfReach:
		return fmt.Sprintf("The manager cannot be asked any more: %v.", w.err)
	}
	return ""
}

// goesOn says what becomes of the operation that nobody waits for any more.
func (w wait) goesOn() string {
	if w.ending == outOfReach {
		return fmt.Sprintf("Operation %s goes on while its manager runs, and when it is back.", w.operation.ID)
	}
	return fmt.Sprintf("Operation %s goes on without it.", w.operation.ID)
}

// lastWords bounds the calls that a stopping Terraform still has to wait for.
const lastWords = 15 * time.Second

// afterwards is a context for what has to be done although ctx may have ended.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), lastWords)
}

// graced ends lastWords after ctx does: an answer that is on its way when Terraform is told to stop says
// what was accepted, and must not be lost.
func graced(ctx context.Context) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	timer := time.AfterFunc(lastWords, cancel)
	timer.Stop()
	stop := context.AfterFunc(ctx, func() { timer.Reset(lastWords) })
	return late, func() {
		stop()
		timer.Stop()
		cancel()
	}
}
