//go:build linux || darwin

package process

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/failpoint"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// Launch knows the workers that this Runtime has launched or adopted, and no others: what an earlier
// manager launched is found by List. The end of a worker may be reported before Launch returns.
func (r *Runtime) Launch(ctx context.Context, l runtime.Launch) (pool.Instance, error) {
	ctx, done, err := r.begin(ctx)
	if err != nil {
		return pool.Instance{}, runtime.LaunchError(l.WorkerID, err)
	}
	defer done()
	for {
		w, claimed := r.claim(newWorker(l.WorkerID, l.PoolUID))
		if claimed {
			w.poolName, w.identity = l.PoolName, r.identity
			if err := r.start(ctx, w, l); err != nil {
				return pool.Instance{}, runtime.LaunchError(l.WorkerID, err)
			}
			return w.instance, nil
		}
		select {
		case <-w.started:
		case <-ctx.Done():
			return pool.Instance{}, runtime.LaunchError(l.WorkerID, context.Cause(ctx))
		}
		if w.err == nil {
			return w.instance, nil
		} // else it may have failed for its caller's own reasons
	}
}

// start runs a claimed worker, or disclaims it.
func (r *Runtime) start(ctx context.Context, w *worker, l runtime.Launch) (err error) {
	defer func() {
		if err != nil {
			r.ports.release(w.id, time.Now())
			r.disclaim(w, err)
		}
	}()
	leave, err := r.enterFork(ctx)
	if err != nil {
		return err
	}
	defer leave()
	chosen, err := r.ports.take(w.id, l.Template.Ports, time.Now())
	if err != nil {
		return err
	}
	pid, h, err := r.fork(l, chosen)
	if err != nil {
		return err
	}
	failpoint.Reach(failpoint.Forked)
	p, err := look(pid) // it is not reaped before it is watched, so its pid is its own
	instance := pool.Instance{BootID: r.bootID, PID: pid, StartTime: p.start, Ports: chosen}
	if err == nil {
		r.note(w.id, instance)
	}
	failpoint.Reach(failpoint.Noted)
	w.run(h, instance, clock())
	if err == nil {
		err = r.watch(w)
	}
	if err != nil {
		_ = h.signal(unix.SIGKILL)
		reap(pid)
		w.close()
		return fmt.Errorf("watch process %d: %w", pid, err)
	}
	w.settle(nil)
	return nil
}

// note makes sure, as far as the disk allows, that a worker is recognized whose record gets lost.
func (r *Runtime) note(worker string, instance pool.Instance) {
	if err := r.notes.add(worker, instance); err != nil {
		r.log.Warn("cannot note which process a worker is: if the manager were killed now, it might be mistaken for one that it has started", "worker", worker, "error", err)
	}
}

// fork starts the worker's process.
func (r *Runtime) fork(l runtime.Launch, chosen map[string]int) (pid int, h handle, err error) {
	p, err := newProgram("worker.command", l.Template.Command, newEnvironment(l, r.identity, r.base, chosen), l.Template.WorkingDir)
	if err != nil {
		return 0, h, err
	}
	out, err := r.logs.open(l.PoolUID, l.WorkerID)
	if err != nil {
		return 0, h, err
	}
	defer unix.Close(out)
	return r.spawn(p, uintptr(out))
}

// reap waits for a child of this process.
func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}
