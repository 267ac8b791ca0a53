//go:build linux || darwin

package process

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// List finds the leaders of sessions that carry a worker's id and this manager's. Of several with one id
// the oldest is the instance: the others are what it has started. If the true one is dead and left another
// leader, that is what is found; the caller tells them apart by the instance it recorded.
//
// The identity of a worker that has overwritten its environment ends in an empty incarnation, and its
// ports are not known.
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
	found := r.found(all.procs)
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
func (r *Runtime) found(procs []proc) map[string]runtime.Found {
	procs = slices.Clone(procs) // others have them too
	slices.SortStableFunc(procs, func(a, b proc) int { return cmp.Compare(a.start, b.start) })
	found := map[string]runtime.Found{}
	marked := map[string]marks{} // also from what a worker has started
	for _, p := range procs {
		if p.zombie {
			continue
		}
		m := p.marks
		if m.errand != "" {
			continue // it leads a session and carries the id, but no worker is found by it
		}
		if m.worker != "" {
			if m.manager() != r.managerID {
				continue
			}
			marked[m.worker] = m
		}
		if !p.leads() {
			continue
		}
		if m.worker == "" {
			poolUID, worker, ok := r.logs.owner(outputFile(p.pid))
			if !ok {
				continue
			}
			m = marks{worker: worker, poolUID: poolUID, identity: r.managerID + "/"}
		}
		if _, older := found[m.worker]; older {
			continue
		}
		found[m.worker] = runtime.Found{
			WorkerID: m.worker, PoolUID: m.poolUID, PoolName: m.pool, Identity: m.identity,
			Instance: pool.Instance{BootID: r.bootID, PID: p.pid, StartTime: p.start, Ports: m.ports},
		}
	}
	for id, f := range found {
		if m, ok := marked[id]; ok && f.PoolName == "" {
			f.PoolName, f.Identity, f.Instance.Ports = m.pool, m.identity, m.ports
			found[id] = f
		}
	}
	return found
}
