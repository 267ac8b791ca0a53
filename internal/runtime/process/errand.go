//go:build linux || darwin

package process

import (
	"context"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// errand is a command that runs beside a worker, in a session of its own. It carries the worker's id, so
// that it ends with the worker at the latest, and an id of its own, so that it is never taken for it.
type errand struct {
	id, worker string
	pid        int
	start      int64
	ended      chan struct{} // closed when its first process has ended

	mu        sync.Mutex
	over      bool // the pid, and with it the number of the group, may be somebody else's
	heldUntil int64
	exit      pool.Exit
}

// end kills the group of the first process that has ended, and reaps it. Only the watcher calls it.
func (e *errand) end(h handle) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = unix.Kill(-e.pid, unix.SIGKILL) // it is not reaped, so the group is its own
	ending := h.exit(e.pid, e.start)
	if !ending.over {
		return false
	}
	if ending.held {
		e.heldUntil = clock()
	}
	e.over, e.exit = true, ending.exit
	h.close()
	close(e.ended)
	return true
}

// kill kills the group; false if the errand had ended by itself.
func (e *errand) kill() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return false
	}
	e.heldUntil = clock()
	_ = unix.Kill(-e.pid, unix.SIGKILL)
	return true
}

// status is unknown until it has ended.
func (e *errand) status() pool.Exit {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over {
		return unknownExit
	}
	return e.exit
}

// chase ends what has left the group of an errand: it is in its session, or carries its id.
func (r *Runtime) chase(e *errand) {
	ctx, done, err := r.begin(context.Background())
	if err != nil {
		return // the next manager ends it
	}
	defer done()
	e.mu.Lock()
	c := r.errandClaim(e.worker, e.id, e.pid, e.start)
	c.heldUntil = e.heldUntil
	e.mu.Unlock()
	if _, err := r.cull(ctx, c); err != nil && ctx.Err() == nil {
		r.log.Warn("cannot end what a command beside a worker has started", "worker", e.worker, "error", err)
	}
}

func (r *Runtime) errandClaim(worker, id string, pid int, start int64) claim {
	return claim{worker: worker, errand: id, manager: r.managerID, pid: pid, start: start, marked: true, self: os.Getpid()}
}

// endStrayErrands ends the errands that an earlier manager was killed over. What it cannot end, ends with
// the worker.
func (r *Runtime) endStrayErrands(ctx context.Context) {
	found, err := r.census.take(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.log.Warn("cannot look for commands that an earlier manager left running", "error", err)
		}
		return
	}
	var culling sync.WaitGroup
	for _, c := range r.strayErrands(found) {
		culling.Go(func() {
			killed, err := r.cull(ctx, c)
			switch {
			case err == nil:
				r.log.Info("ended a command that an earlier manager left running", "worker", c.worker, "processes", killed)
			case ctx.Err() == nil:
				r.log.Warn("cannot end a command that an earlier manager left running", "worker", c.worker, "error", err)
			}
		})
	}
	culling.Wait()
}

// strayErrands claims what carries the id of an errand of this manager, and was not started by this life of it.
func (r *Runtime) strayErrands(found table) map[string]claim {
	strays := map[string]claim{}
	disputed := r.disputed(found.procs)
	for _, p := range found.procs {
		m := p.marks
		if _, others := disputed[m.worker]; others {
			continue // its output is a pipe and does not tell whose it is
		}
		if m.errand == "" || m.manager() != r.managerID || strings.HasPrefix(m.errand, r.run+"-") {
			continue
		}
		c, known := strays[m.errand]
		if !known {
			c = r.errandClaim(m.worker, m.errand, 0, 0)
		}
		if p.leads() && c.pid == 0 {
			c.pid, c.start = p.pid, p.start
		}
		strays[m.errand] = c
	}
	return strays
}
