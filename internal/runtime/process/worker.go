//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/failpoint"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// worker is an instance that is being launched or watched.
type worker struct {
	id, poolUID string
	// poolName and identity are empty if the worker was adopted.
	poolName, identity string
	// started is closed when instance and seen, or err, are set for good.
	started  chan struct{}
	err      error
	instance pool.Instance
	// seen is a moment at which it held its pid, in the unit of clock.
	seen int64

	mu     sync.Mutex
	handle handle
	open   bool
}

// past is what is remembered of an ended worker for the sweep of what it left.
type past struct {
	pid   int
	start int64
	// until is the last moment at which it was known to hold its pid.
	until int64
}

func newWorker(id, poolUID string) *worker {
	return &worker{id: id, poolUID: poolUID, started: make(chan struct{})}
}

// run makes w a living worker.
func (w *worker) run(h handle, instance pool.Instance, seen int64) {
	w.mu.Lock()
	w.handle, w.open = h, true
	w.mu.Unlock()
	w.instance, w.seen = instance, seen
}

// settle lets those go on who wait for the launch.
func (w *worker) settle(err error) {
	w.err = err
	close(w.started)
}

func (w *worker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open {
		w.handle.close()
		w.open = false
	}
}

func (w *worker) signal(s unix.Signal) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open {
		return runtime.ErrGone
	}
	return w.handle.signal(s)
}

func same(a, b pool.Instance) bool {
	return a.BootID == b.BootID && a.PID == b.PID && a.StartTime == b.StartTime
}

// claim enters a worker into the table unless its id is there already.
func (r *Runtime) claim(w *worker) (_ *worker, claimed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if other, ok := r.workers[w.id]; ok {
		return other, false
	}
	r.workers[w.id] = w
	return w, true
}

// disclaim takes a worker out of the table that never ran.
func (r *Runtime) disclaim(w *worker, err error) {
	r.mu.Lock()
	delete(r.workers, w.id)
	r.mu.Unlock()
	w.settle(err)
}

// worker finds the living worker of an id, if it is that instance.
func (r *Runtime) worker(id string, instance pool.Instance) *worker {
	w := r.anyWorker(id)
	if w == nil || !same(w.instance, instance) {
		return nil
	}
	return w
}

// anyWorker finds the living worker of an id.
func (r *Runtime) anyWorker(id string) *worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.workers[id]
	if w == nil || !w.launched() {
		return nil
	}
	return w
}

func (w *worker) launched() bool {
	select {
	case <-w.started:
		return w.err == nil
	default:
		return false
	}
}

// living lists the workers that run.
func (r *Runtime) living() []*worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	living := make([]*worker, 0, len(r.workers))
	for _, w := range r.workers {
		if w.launched() {
			living = append(living, w)
		}
	}
	return living
}

// watch reports the end of a running worker, from now on.
func (r *Runtime) watch(w *worker) error {
	_, err := r.watcher.add(w.handle, func() bool { return r.end(w) })
	return err
}

// end records and reports the end of a worker, if it has ended. Only the watcher calls it.
func (r *Runtime) end(w *worker) bool {
	e := w.handle.exit(w.instance.PID, w.instance.StartTime)
	if !e.over {
		return false
	}
	failpoint.Reach(failpoint.Ended)
	now := time.Now()
	until := w.seen
	if e.held {
		until = clock()
	}
	w.close()
	r.ports.release(w.id, now)
	r.mu.Lock()
	delete(r.workers, w.id)
	r.past[w.id] = past{w.instance.PID, w.instance.StartTime, until}
	r.mu.Unlock()
	r.ended.push(runtime.Ended{WorkerID: w.id, PoolUID: w.poolUID, Exit: e.exit, At: now})
	return true
}

// Adopt also succeeds if the instance is watched already.
func (r *Runtime) Adopt(ctx context.Context, poolUID, workerID string, instance pool.Instance) error {
	ctx, done, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	w, claimed := r.claim(newWorker(workerID, poolUID))
	if !claimed {
		return r.adopted(ctx, w, instance)
	}
	seen := clock()
	h, err := r.open(workerID, instance)
	if err != nil {
		r.disclaim(w, err)
		return fmt.Errorf("adopt worker %s: %w", workerID, err)
	}
	w.run(h, instance, seen)
	if contested := r.ports.hold(workerID, instance.Ports); len(contested) > 0 {
		r.log.Warn("another manager gave the same ports away", "worker", workerID, "ports", contested)
	}
	if err := r.watch(w); err != nil {
		w.close()
		r.ports.release(workerID, time.Now())
		r.disclaim(w, err)
		return fmt.Errorf("adopt worker %s: %w", workerID, err)
	}
	w.settle(nil)
	return nil
}

// adopted judges an adoption of a worker that is in the table.
func (r *Runtime) adopted(ctx context.Context, w *worker, instance pool.Instance) error {
	select {
	case <-w.started:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	switch {
	case w.err != nil:
		return fmt.Errorf("adopt worker %s: %w", w.id, w.err)
	case !same(w.instance, instance):
		return fmt.Errorf("adopt worker %s: it runs as process %d, not as %d", w.id, w.instance.PID, instance.PID)
	}
	return nil
}

// open opens a handle on an instance and only then makes sure that it is the instance. An ended one that
// nobody watches is reaped, if this process is its parent. One that writes to another data directory's log
// is gone as far as this one is concerned: that was copied from here, or this from that, with its records.
func (r *Runtime) open(workerID string, instance pool.Instance) (handle, error) {
	if instance.BootID != r.bootID || instance.PID <= 0 {
		return handle{}, runtime.ErrGone
	}
	h, err := openHandle(instance.PID)
	if err != nil {
		return handle{}, err
	}
	o := originOf(instance.PID, r.logs.dir) // before it is known to have been the instance's all along
	p, err := look(instance.PID)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !p.is(instance.PID, instance.StartTime):
		h.close()
		return handle{}, runtime.ErrGone
	case err != nil:
		h.close()
		return handle{}, fmt.Errorf("look at process %d: %w", instance.PID, err)
	case p.zombie:
		if r.worker(workerID, instance) == nil {
			h.exit(instance.PID, instance.StartTime)
		}
		h.close()
		return handle{}, runtime.ErrGone
	case o.othersLog(workerID):
		h.close()
		return handle{}, runtime.ErrGone
	}
	return h, nil
}

var signals = map[string]unix.Signal{
	"TERM": unix.SIGTERM, "INT": unix.SIGINT, "QUIT": unix.SIGQUIT, "HUP": unix.SIGHUP,
	"USR1": unix.SIGUSR1, "USR2": unix.SIGUSR2, "KILL": unix.SIGKILL,
}

func (r *Runtime) Signal(ctx context.Context, workerID string, instance pool.Instance, name string) error {
	_, done, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	s, ok := signals[name]
	if !ok {
		names := make([]string, 0, len(signals))
		for n := range signals {
			names = append(names, n)
		}
		slices.Sort(names)
		return fmt.Errorf("signal worker %s: %q is not one of %s", workerID, name, strings.Join(names, ", "))
	}
	if err := r.signal(workerID, instance, s); err != nil {
		if errors.Is(err, runtime.ErrGone) {
			return err
		}
		return fmt.Errorf("signal worker %s with %s: %w", workerID, name, err)
	}
	return nil
}

func (r *Runtime) signal(workerID string, instance pool.Instance, s unix.Signal) error {
	if w := r.worker(workerID, instance); w != nil {
		return w.signal(s)
	}
	h, err := r.open(workerID, instance)
	if err != nil {
		return err
	}
	defer h.close()
	return h.signal(s)
}
