package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// waiting says how long a command stays with the operation that it began.
type waiting struct {
	wait, noWait bool
	timeout      time.Duration
}

func (w *waiting) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.wait, "wait", true, "wait until the change is reached")
	cmd.Flags().BoolVar(&w.noWait, "no-wait", false, "return as soon as the change is accepted")
	cmd.Flags().DurationVar(&w.timeout, "timeout", 0, "give up waiting after this time, like 5m; the operation goes on (0: never)")
}

// progressEvery is the pause between two looks at a pool that is waited for.
const progressEvery = time.Second

// follow waits for an accepted change as asked, and prints the pool. A change that changed nothing leaves
// nothing to wait for, unless the same was asked for before and is not reached yet.
func (s *session) follow(cmd *cobra.Command, m client.Manager, accepted api.Accepted, w waiting) error {
	operation := accepted.Operation
	name, settled := accepted.Pool.Name, !accepted.Changed && operation.Phase == pool.OperationSucceeded
	switch {
	case settled:
		note(cmd, "pool %q is as asked for already", name)
	case !accepted.Changed && !operation.Phase.Ended():
		note(cmd, "pool %q: %s is under way already as %s", name, described(operation), operation.ID)
	default:
		note(cmd, "pool %q: %s accepted as %s", name, described(operation), operation.ID)
	}
	if w.wait && !w.noWait && !settled {
		ended, err := s.await(cmd, m, operation, w.timeout)
		if err != nil {
			return err
		}
		note(cmd, "pool %q: %s", ended.PoolName, because(fmt.Sprintf("%s %s", ended.Kind, ended.Phase), ended.Reason))
		if err := outcome(ended); err != nil {
			return err
		}
	}
	// Asked by its uid: that also tells the manager that its creator knows of the pool.
	view, err := m.PoolByUID(cmd.Context(), accepted.Pool.UID)
	if err != nil {
		return err
	}
	return s.print(cmd, view, func() *table { return poolTable(view) })
}

// described is what an operation does; that nothing differs says little about one that creates or deletes.
func described(o pool.Operation) string {
	if o.Change == pool.ChangeNone {
		return string(o.Kind)
	}
	return because(string(o.Kind), string(o.Change))
}

// await returns an operation once it has ended. An operation that another took over is followed to that
// one, because only its end tells whether the pool is as it should be.
func (s *session) await(cmd *cobra.Command, m client.Manager, operation pool.Operation, timeout time.Duration) (pool.Operation, error) {
	ctx, cancel := cmd.Context(), context.CancelFunc(func() {})
	if timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it still runs after %s", timeout))
	}
	defer cancel()
	for {
		ended, err := watched(ctx, cmd, m, operation)
		switch {
		case ctx.Err() != nil && !ended.Phase.Ended():
			return ended, fmt.Errorf("stopped waiting for operation %s: %w; it goes on without this command, and `poolkeeper operation wait %s` waits for it again",
				operation.ID, interrupted(ctx), operation.ID)
		case err != nil:
			return ended, err
		case ended.Phase != pool.OperationSuperseded || ended.SupersededBy == "":
			return ended, nil
		}
		note(cmd, "operation %s was superseded by %s; waiting for that", ended.ID, ended.SupersededBy)
		operation = pool.Operation{ID: ended.SupersededBy, PoolUID: ended.PoolUID, PoolName: ended.PoolName}
	}
}

func interrupted(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return errors.New("interrupted")
}

// watched waits for an operation and meanwhile tells how its pool is getting on.
func watched(ctx context.Context, cmd *cobra.Command, m client.Manager, operation pool.Operation) (pool.Operation, error) {
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { watch(watching, cmd, m, operation.PoolUID) })
	defer watcher.Wait()
	defer stop()
	return m.Wait(ctx, operation.ID, nil)
}

// watch notes every change of a pool's counts until ctx ends. What it cannot read it does not tell: the
// one who waits for the operation hears of it.
func watch(ctx context.Context, cmd *cobra.Command, m client.Manager, uid string) {
	if uid == "" {
		return
	}
	look := time.NewTicker(progressEvery)
	defer look.Stop()
	for last := ""; ; {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		view, err := m.PoolByUID(ctx, uid)
		if err != nil {
			continue
		}
		if now := fmt.Sprintf("pool %q: %s, %s", view.Name, view.Status.State, workerCounts(view.Status)); now != last {
			note(cmd, "%s", now)
			last = now
		}
	}
}

// failures are the phases in which an operation has not reached what was asked for, and what that means.
var failures = map[pool.OperationPhase]string{
	pool.OperationFailed:   "failed",
	pool.OperationReverted: "failed, and the pool has returned to its last good revision",
	pool.OperationCanceled: "was canceled, and the pool has returned to its last good revision",
	pool.OperationPaused:   "waits until it is resumed",
}

// outcome is the error that an operation stands for that has ended, or that waits for a person.
func outcome(o pool.Operation) error {
	failed, ok := failures[o.Phase]
	if !ok {
		return nil
	}
	text := fmt.Sprintf("%s of pool %q %s: %s", o.Kind, o.PoolName, failed, o.Reason)
	if o.LogTail != "" {
		text += "\nThe last lines of its log:\n" + o.LogTail
	}
	return errors.New(text)
}
