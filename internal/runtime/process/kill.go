//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

const (
	// killTime bounds how long all of a worker may take to end once it is killed.
	killTime = 20 * time.Second
	// roundTime is how long one round waits before it looks again.
	roundTime = time.Second
	// sweepPause lets the replacement of an ended worker start first: a walk of the process table takes the
	// processor away from it. What others leave meanwhile is found by the same walk.
	sweepPause = 10 * time.Millisecond
)

// Kill returns when nothing of the instance is left, or says what is.
func (r *Runtime) Kill(ctx context.Context, workerID string, instance pool.Instance) error {
	ctx, done, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := r.killMain(ctx, workerID, instance); err != nil {
		return fmt.Errorf("kill worker %s: %w", workerID, err)
	}
	if _, err := r.cull(ctx, r.claimOf(workerID, instance)); err != nil {
		return fmt.Errorf("kill worker %s: %w", workerID, err)
	}
	r.forget(workerID)
	return nil
}

// Sweep errs while the instance itself lives.
func (r *Runtime) Sweep(ctx context.Context, workerID string, instance pool.Instance) (int, error) {
	ctx, done, err := r.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	h, err := r.open(workerID, instance)
	if err == nil {
		h.close()
		return 0, fmt.Errorf("sweep after worker %s: it still runs as process %d", workerID, instance.PID)
	}
	if !errors.Is(err, runtime.ErrGone) {
		return 0, fmt.Errorf("sweep after worker %s: %w", workerID, err)
	}
	select {
	case <-time.After(sweepPause):
	case <-ctx.Done():
		return 0, fmt.Errorf("sweep after worker %s: %w", workerID, context.Cause(ctx))
	}
	n, err := r.cull(ctx, r.claimOf(workerID, instance))
	if err != nil {
		return n, fmt.Errorf("sweep after worker %s: %w", workerID, err)
	}
	r.forget(workerID)
	return n, nil
}

// killMain ends the instance's own process, so that it starts nothing more, and notes until when its
// session was certainly its own.
func (r *Runtime) killMain(ctx context.Context, workerID string, instance pool.Instance) error {
	seen := clock() // before it is found alive
	h, err := r.open(workerID, instance)
	if errors.Is(err, runtime.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.close()
	r.mu.Lock()
	r.past[workerID] = past{instance.PID, instance.StartTime, seen}
	r.mu.Unlock()
	ended, forget, err := r.await(h)
	if err != nil {
		return err
	}
	defer forget()
	if err := h.signal(unix.SIGKILL); err != nil && !errors.Is(err, runtime.ErrGone) {
		return err
	}
	timeout := time.NewTimer(killTime)
	defer timeout.Stop()
	select {
	case <-ended:
	case <-timeout.C:
		return fmt.Errorf("process %d does not end", instance.PID)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if r.worker(workerID, instance) == nil {
		h.exit(instance.PID, instance.StartTime) // nobody watches it; if it is our child it is reaped here
	}
	return nil
}

// await tells when the handle's process has ended. The handle must not be closed before forget is called.
func (r *Runtime) await(h handle) (ended <-chan struct{}, forget func(), err error) {
	done := make(chan struct{})
	forget, err = r.watcher.add(h, func() bool { close(done); return true })
	return done, forget, err
}

// claimOf says what belongs to an instance, as far as is known of it.
func (r *Runtime) claimOf(workerID string, instance pool.Instance) claim {
	c := claim{worker: workerID, manager: r.managerID, marked: true, self: os.Getpid()}
	if other := r.anyWorker(workerID); other != nil && !same(other.instance, instance) {
		c.marked = false
	}
	c.unknown = instance.PID <= 0
	if instance.BootID != r.bootID || c.unknown {
		return c
	}
	c.pid, c.start = instance.PID, instance.StartTime
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.past[workerID]; ok && p.pid == c.pid && p.start == c.start {
		c.heldUntil = p.until
	}
	return c
}

// forget drops what was kept for a sweep.
func (r *Runtime) forget(workerIDs ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range workerIDs {
		delete(r.past, id)
	}
}

// cull kills round by round until a walk finds nothing of the claim, and returns how many processes it
// killed.
func (r *Runtime) cull(ctx context.Context, c claim) (killed int, err error) {
	for began := time.Now(); ; {
		found, err := r.census.take(ctx)
		if err != nil {
			return killed, err
		}
		left := c.belonging(found)
		if len(left) == 0 {
			return killed, nil
		}
		n, err := r.round(ctx, left)
		killed += n
		if err == nil && time.Since(began) > killTime {
			err = errors.New("they do not end")
		}
		if err != nil {
			pids := make([]int, len(left))
			for i, p := range left {
				pids[i] = p.pid
			}
			return killed, fmt.Errorf("processes %v are left: %w", pids, err)
		}
	}
}

// round kills processes and waits for their ends. It errs only if none could be killed.
func (r *Runtime) round(ctx context.Context, left []mine) (killed int, err error) {
	timeout := time.NewTimer(roundTime)
	defer timeout.Stop()
	var ends []<-chan struct{}
	var failures []error
	for _, p := range left {
		h, err := p.open()
		if errors.Is(err, runtime.ErrGone) {
			continue
		}
		if err != nil {
			failures = append(failures, err)
			continue
		}
		defer h.close()
		ended, forget, err := r.await(h)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		defer forget()
		switch err := h.signal(unix.SIGKILL); {
		case errors.Is(err, runtime.ErrGone):
		case err != nil:
			failures = append(failures, fmt.Errorf("kill process %d: %w", p.pid, err))
		default:
			killed++
			ends = append(ends, ended)
		}
	}
	for _, ended := range ends {
		select {
		case <-ended:
		case <-timeout.C:
			return killed, nil
		case <-ctx.Done():
			return killed, context.Cause(ctx)
		}
	}
	if killed == 0 {
		return 0, errors.Join(failures...)
	}
	return killed, nil
}

// open opens a handle on a process that was found, and makes sure that it is still that one and still
// belongs to the worker.
func (m mine) open() (handle, error) {
	h, err := openHandle(m.pid)
	if err != nil {
		return h, err
	}
	now, err := look(m.pid)
	if err == nil && (!now.is(m.pid, m.start) || now.zombie || m.witness != nil && now.session != m.session) {
		err = runtime.ErrGone
	}
	if err == nil && m.witness != nil {
		// In this order: a witness that is there after the session was compared was there when it was.
		var w proc
		if w, err = look(m.witness.pid); err == nil && (!w.is(m.witness.pid, m.witness.start) || w.session != m.session) {
			err = runtime.ErrGone
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = runtime.ErrGone
	}
	if err != nil {
		h.close()
		return handle{}, err
	}
	return h, nil
}
