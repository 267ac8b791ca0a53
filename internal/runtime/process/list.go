//go:build linux || darwin

package process

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// List finds the workers of which anything lives: a process that carries a worker's id and this manager's,
// or one whose output is a worker's log in this data directory, whatever its environment says. The second
// are of a store that was lost, if they name another manager; that is the identity they are found under.
// What writes to a log of another data directory is not listed, though it may carry this manager's id.
//
// The instance is the one that was noted when it was started. It may have ended: then what is left of it
// is for a sweep. Without a note it is the oldest leader of a session that has kept the standard input it
// was started with, as a worker mostly does, and what it puts in the background mostly does not: that keeps
// a worker whatever it executes. If there is none the instance is not known, and its pid is 0.
//
// The identity of a worker that has overwritten its environment ends in an empty incarnation.
func (r *Runtime) List(ctx context.Context) ([]runtime.Found, error) {
	ctx, done, err := r.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	before := r.living()
	all, err := r.census.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	found, err := r.found(all.procs)
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	// A worker that is watched is there, whatever has become of its environment.
	for _, w := range before {
		if w.signal(0) != nil {
			continue
		}
		f, ok := found[w.id]
		if !ok || !same(f.Instance, w.instance) {
			f = runtime.Found{WorkerID: w.id, PoolUID: w.poolUID, PoolName: w.poolName, Identity: cmp.Or(w.identity, r.managerID+"/")}
		}
		f.Instance = w.instance
		found[w.id] = f
	}
	return slices.SortedFunc(maps.Values(found), func(a, b runtime.Found) int {
		return cmp.Or(cmp.Compare(a.Instance.StartTime, b.Instance.StartTime), cmp.Compare(a.WorkerID, b.WorkerID))
	}), nil
}

// found makes sense of a walk.
func (r *Runtime) found(procs []proc) (map[string]runtime.Found, error) {
	procs = slices.Clone(procs) // others have them too
	slices.SortStableFunc(procs, func(a, b proc) int { return cmp.Compare(a.start, b.start) })
	disputed := r.disputed(procs)
	for id, pid := range disputed {
		r.log.Warn("another copy of this data directory has a worker of the same id; it is left alone", "worker", id, "pid", pid)
	}
	found := map[string]runtime.Found{}
	leaders := map[string][]proc{}
	for _, p := range procs {
		m, ok := r.descent(p, disputed)
		if p.zombie || !ok {
			continue
		}
		f, known := found[m.worker]
		if !known {
			f = runtime.Found{WorkerID: m.worker, PoolUID: m.poolUID, Identity: m.identity}
		}
		if f.PoolName == "" && m.pool != "" { // not of one that has overwritten its environment
			f.PoolName, f.Identity, f.Instance.Ports = m.pool, m.identity, m.ports
		}
		found[m.worker] = f
		if p.leads() {
			leaders[m.worker] = append(leaders[m.worker], p)
		}
	}
	noted, err := r.notes.read(r.bootID)
	if err != nil {
		return nil, err
	}
	for id, f := range found {
		if instance, ok := noted[id]; ok {
			f.Instance = instance
		} else if i := slices.IndexFunc(leaders[id], func(p proc) bool { return hasGivenInput(p.pid) }); i >= 0 {
			f.Instance.BootID, f.Instance.PID, f.Instance.StartTime = r.bootID, leaders[id][i].pid, leaders[id][i].start
		}
		found[id] = f
	}
	return found, nil
}

// disputed are the ids of workers that another copy of this data directory runs, each with the pid of one of
// its processes.
func (r *Runtime) disputed(procs []proc) map[string]int {
	pids := map[string]int{}
	for _, p := range procs {
		if m := p.marks; m.manager() == r.managerID && p.origin.othersLog(m.worker) {
			pids[m.worker] = p.pid
		}
	}
	return pids
}

// descent says which worker of this data directory a process is or comes from, as marks. The log decides,
// and where it tells nothing the environment, unless another copy runs a worker of that id.
func (r *Runtime) descent(p proc, disputed map[string]int) (m marks, ok bool) {
	m = p.marks
	switch {
	case m.errand != "": // it may lead a session and carries the id, but no worker is found by it
		return m, false
	case m.worker == "":
		return marks{worker: p.origin.worker, poolUID: p.origin.poolUID, identity: r.managerID + "/"}, p.origin.own
	case p.origin.ownLog(m.worker):
		return m, true
	}
	_, others := disputed[m.worker]
	return m, m.manager() == r.managerID && !others
}
