package provider

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// fakeManager keeps pools in memory and reaches whatever is asked for at once. It follows the rules of the
// API that the provider relies on: claims, entity tags, one operation per change, tombstones.
type fakeManager struct {
	mu sync.Mutex
	unasked

	id       string
	host     string
	pools    map[string]*pool.View    // by uid
	crews    map[string][]pool.Worker // by the pool's uid
	ops      map[string]*pool.Operation
	secrets  []map[string]string // that came with creations and updates
	serial   int
	held     bool          // operations stay running until released
	news     chan struct{} // closed and replaced when an operation ends
	waiting  chan struct{} // holds a token once somebody waits
	lost     bool          // the next look of a wait fails
	gate     chan struct{} // mutations of the provider pass only once it is closed; nil is open
	asked    []string      // every call, as "Method argument"
	reasons  []string      // of the mutations
	foreseen api.Plan      // what a dry run tells
	dryRun   []byte        // the spec of the last dry run
	broken   map[string]error
}

// unasked are the calls that the provider makes of no manager.
type unasked interface{ client.Manager }

var _ client.Manager = (*fakeManager)(nil)

func newFake() *fakeManager {
	return &fakeManager{
		id: "m_first", host: "here", pools: map[string]*pool.View{}, crews: map[string][]pool.Worker{}, ops: map[string]*pool.Operation{},
		news: make(chan struct{}), waiting: make(chan struct{}, 1), broken: map[string]error{},
	}
}

func problem(name string, status int, format string, args ...any) *api.Problem {
	return &api.Problem{Type: api.ProblemBase + name, Title: name, Status: status, Detail: fmt.Sprintf(format, args...)}
}

// begin notes a call; the caller holds the lock until it has called the returned function.
func (f *fakeManager) begin(method, argument string) (func(), error) {
	f.mu.Lock()
	f.asked = append(f.asked, strings.TrimSpace(method+" "+argument))
	return f.mu.Unlock, f.broken[method]
}

func (f *fakeManager) named(name string) *pool.View {
	for _, v := range f.pools {
		if v.Name == name && v.Phase != pool.PhaseDestroyed {
			return v
		}
	}
	return nil
}

func (f *fakeManager) next(prefix string) string {
	f.serial++
	return fmt.Sprintf("%s_%04d", prefix, f.serial)
}

// accept makes an operation for a changed pool and ends it, unless operations are held.
func (f *fakeManager) accept(v *pool.View, kind pool.OperationKind, change pool.Change, c client.Change) api.Accepted {
	if before := v.Status.Operation; before != nil && !before.Phase.Ended() {
		before.Phase, before.Reason = pool.OperationSuperseded, "superseded by another change"
		f.announce()
	}
	op := &pool.Operation{ID: f.next("op"), PoolUID: v.UID, PoolName: v.Name, Kind: kind, Change: change, Phase: pool.OperationRunning, Author: "tester", Comment: c.Reason}
	f.ops[op.ID] = op
	f.reasons = append(f.reasons, c.Reason)
	v.Generation++
	v.OperationID, v.Status.Operation = op.ID, op
	v.Status.State = pool.StateCreating
	if !f.held {
		f.end(op)
	}
	return f.accepted(v, op)
}

// neverReady: a sleeping worker answers no probe, here as in reality.
func neverReady(s pool.Spec) bool {
	return (s.Health.HTTP != nil || s.Health.TCP != nil) && slices.ContainsFunc(s.Worker.Command, func(arg string) bool { return strings.Contains(arg, "sleep") })
}

func (f *fakeManager) end(op *pool.Operation) {
	v := f.pools[op.PoolUID]
	switch {
	case op.Kind == pool.OperationDelete:
		op.Phase, v.Phase = pool.OperationSucceeded, pool.PhaseDestroyed
		f.staff(v.UID, 0, false)
		v.Status = pool.Status{State: pool.StateDestroyed, Health: pool.HealthUnknown, Operation: op}
	case neverReady(v.Spec):
		op.Phase = pool.OperationFailed
		op.Reason = fmt.Sprintf("no progress for %s: 0 of %d workers are available", v.Spec.Update.ProgressDeadline, v.Desired())
		op.LogTail = "going to sleep"
		v.Status = pool.Status{State: pool.StateError, Reason: op.Reason, Health: pool.Unhealthy, Desired: v.Desired(), Current: v.Desired(), Operation: op}
	default:
		n := v.Desired()
		f.staff(v.UID, n, op.Change == pool.ChangeRolling)
		op.Phase, v.Phase, v.Claimed, v.ConvergedGeneration = pool.OperationSucceeded, pool.PhaseLive, true, v.Generation
		v.Status = pool.Status{State: pool.StateActive, Health: pool.Healthy, Desired: n, Current: n, Ready: n, Available: n, Operation: op}
	}
	f.announce()
}

// staff gives a pool its workers: those that it has, as many as are wanted, or all of them anew.
func (f *fakeManager) staff(uid string, n int, anew bool) {
	crew := f.crews[uid]
	if anew {
		crew = nil
	}
	for len(crew) < n {
		crew = append(crew, pool.Worker{ID: f.next("w"), PoolUID: uid, State: pool.WorkerReady, Instance: pool.Instance{PID: 4711 + f.serial}})
	}
	f.crews[uid] = crew[:n]
}

// copies, so that nobody reads what a later call changes.
func (f *fakeManager) view(v *pool.View) pool.View {
	c := *v
	if v.Status.Operation != nil {
		op := *v.Status.Operation
		c.Status.Operation = &op
	}
	return c
}

func (f *fakeManager) accepted(v *pool.View, op *pool.Operation) api.Accepted {
	return api.Accepted{Pool: f.view(v), Operation: *op}
}

func (f *fakeManager) Manager(context.Context) (api.Manager, error) {
	done, err := f.begin("Manager", "")
	defer done()
	return api.Manager{ID: f.id, Host: f.host}, err
}

func (f *fakeManager) Stop(context.Context) error { return nil }

func (f *fakeManager) Validate(_ context.Context, spec []byte) (pool.Spec, error) {
	return pool.Decode(spec)
}

func (f *fakeManager) Plan(_ context.Context, spec []byte) (api.Plan, error) {
	done, err := f.begin("Plan", "")
	defer done()
	f.dryRun = spec
	return f.foreseen, err
}

func (f *fakeManager) Pool(_ context.Context, name string) (pool.View, error) {
	done, err := f.begin("Pool", name)
	defer done()
	if err != nil {
		return pool.View{}, err
	}
	if v := f.named(name); v != nil {
		return f.view(v), nil
	}
	return pool.View{}, problem(api.ProblemNotFound, 404, "there is no pool %q", name)
}

func (f *fakeManager) PoolByUID(_ context.Context, uid string) (pool.View, error) {
	done, err := f.begin("PoolByUID", uid)
	defer done()
	if err != nil {
		return pool.View{}, err
	}
	v, ok := f.pools[uid]
	if !ok {
		return pool.View{}, problem(api.ProblemNotFound, 404, "there is no pool %q", uid)
	}
	v.Claimed = true
	return f.view(v), nil
}

func (f *fakeManager) Pools(context.Context) (views []pool.View, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.pools {
		if v.Phase != pool.PhaseDestroyed {
			views = append(views, f.view(v))
		}
	}
	return views, nil
}

func (f *fakeManager) EachPool(ctx context.Context) iter.Seq2[pool.View, error] {
	return func(yield func(pool.View, error) bool) {
		views, _ := f.Pools(ctx)
		slices.SortFunc(views, func(a, b pool.View) int { return strings.Compare(a.Name, b.Name) })
		for _, v := range views {
			done, err := f.begin("EachPool", v.Name)
			done()
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

func (f *fakeManager) Create(ctx context.Context, spec pool.Spec, c client.Change) (api.Accepted, error) {
	if err := f.pass(ctx); err != nil {
		return api.Accepted{}, err
	}
	done, err := f.begin("Create", spec.Name)
	defer done()
	if err != nil {
		return api.Accepted{}, err
	}
	spec = f.confide(spec)
	var faults pool.Faults
	if errors.As(pool.ValidateCreation(spec, nil), &faults) {
		p := problem(api.ProblemInvalid, 422, "the spec is not valid")
		p.Errors = faults
		return api.Accepted{}, p
	}
	if v := f.named(spec.Name); v != nil {
		if v.Claimed {
			return api.Accepted{}, problem(api.ProblemExists, 409, "there is a pool %q already (%s)", v.Name, v.UID)
		}
		return f.change(v, spec, c)
	}
	v := &pool.View{Pool: pool.Pool{UID: f.next("p"), Name: spec.Name, Phase: pool.PhaseCreating, Spec: spec, Host: f.host, Revision: 1}}
	f.pools[v.UID] = v
	return f.accept(v, pool.OperationCreate, pool.ChangeNone, c), nil
}

func (f *fakeManager) Update(ctx context.Context, spec pool.Spec, c client.Change) (api.Accepted, error) {
	if err := f.pass(ctx); err != nil {
		return api.Accepted{}, err
	}
	done, err := f.begin("Update", spec.Name)
	defer done()
	if err != nil {
		return api.Accepted{}, err
	}
	spec = f.confide(spec)
	v := f.named(spec.Name)
	switch {
	case v == nil:
		return api.Accepted{}, problem(api.ProblemNotFound, 404, "there is no pool %q", spec.Name)
	case c.ETag != "" && c.ETag != api.ETag(v.Pool):
		return api.Accepted{}, problem(api.ProblemStale, 412, "pool %q was changed meanwhile", spec.Name)
	}
	return f.change(v, spec, c)
}

// confide takes note of the secrets that came with a spec, which it records without.
func (f *fakeManager) confide(spec pool.Spec) pool.Spec {
	spec, secrets := spec.TakeSecrets()
	f.secrets = append(f.secrets, secrets)
	return spec
}

func (f *fakeManager) change(v *pool.View, spec pool.Spec, c client.Change) (api.Accepted, error) {
	if v.Phase == pool.PhaseDeleting {
		return api.Accepted{}, problem(api.ProblemDeleting, 409, "pool %q is being destroyed", v.Name)
	}
	if host := spec.Runtime.Host(); host == "" || host == v.Host {
		spec.Runtime = v.Spec.Runtime
	}
	change := pool.ChangeOf(v.Spec, spec)
	switch {
	case change == pool.ChangeReplace:
		return api.Accepted{}, problem(api.ProblemReplace, 409, "pool %q cannot be changed into this in place", v.Name)
	case change == pool.ChangeNone && v.Status.Operation.Phase != pool.OperationFailed:
		return f.accepted(v, v.Status.Operation), nil
	}
	if change != pool.ChangeNone {
		v.Revision++
	}
	v.Respec(spec)
	return f.accept(v, pool.OperationUpdate, change, c), nil
}

func (f *fakeManager) Patch(_ context.Context, name string, patch []byte, c client.Change) (api.Accepted, error) {
	done, err := f.begin("Patch", name)
	defer done()
	if err != nil {
		return api.Accepted{}, err
	}
	v := f.named(name)
	spec, err := pool.Patch(v.Spec, patch)
	if err != nil {
		return api.Accepted{}, err
	}
	return f.change(v, spec, c)
}

func (f *fakeManager) Resize(ctx context.Context, name string, size int64, c client.Change) (api.Accepted, error) {
	return f.Patch(ctx, name, fmt.Appendf(nil, `{"size": %d}`, size), c)
}

func (f *fakeManager) Restart(_ context.Context, name string, c client.Change) (api.Accepted, error) {
	done, err := f.begin("Restart", name)
	defer done()
	if err != nil {
		return api.Accepted{}, err
	}
	return f.accept(f.named(name), pool.OperationRestart, pool.ChangeRolling, c), nil
}

func (f *fakeManager) Delete(ctx context.Context, ref string, force bool, c client.Change) (api.Accepted, error) {
	if err := f.pass(ctx); err != nil {
		return api.Accepted{}, err
	}
	how := ""
	if force {
		how = " by force"
	}
	done, err := f.begin("Delete", ref+how)
	defer done()
	if err != nil {
		return api.Accepted{}, err
	}
	v, ok := f.pools[ref]
	if !ok {
		v = f.named(ref)
	}
	switch {
	case v == nil:
		return api.Accepted{}, problem(api.ProblemNotFound, 404, "there is no pool %q", ref)
	case v.Phase == pool.PhaseDestroyed, v.Phase == pool.PhaseDeleting && !v.Status.Operation.Phase.Ended():
		return f.accepted(v, v.Status.Operation), nil
	case v.Spec.DeletionProtection && v.ConvergedGeneration > 0:
		return api.Accepted{}, problem(api.ProblemProtected, 409, "pool %q is protected", v.Name)
	}
	v.Phase = pool.PhaseDeleting
	for i := range f.crews[v.UID] { // the first one is busy
		w := &f.crews[v.UID][i]
		if w.State, w.Reason = pool.WorkerStopped, ""; i == 0 {
			w.State, w.Reason = pool.WorkerDraining, "the pool is being destroyed"
		}
	}
	return f.accept(v, pool.OperationDelete, pool.ChangeNone, c), nil
}

func (f *fakeManager) Operation(_ context.Context, id string) (pool.Operation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	op, ok := f.ops[id]
	if !ok {
		return pool.Operation{}, problem(api.ProblemNotFound, 404, "there is no operation %q", id)
	}
	return *op, nil
}

func (f *fakeManager) Wait(ctx context.Context, id string, progress func(pool.Operation)) (pool.Operation, error) {
	for {
		done, err := f.begin("Wait", id)
		op, news, lost := *f.ops[id], f.news, f.lost
		f.lost = false
		done()
		if err == nil && lost {
			err = fmt.Errorf("wait: %w", client.ErrUnreachable)
		}
		if err != nil || op.Phase.Ended() {
			return op, err
		}
		if progress != nil {
			progress(op)
		}
		select {
		case f.waiting <- struct{}{}:
		default:
		}
		select {
		case <-news:
		case <-ctx.Done():
			return op, ctx.Err()
		}
	}
}

func (f *fakeManager) Workers(_ context.Context, ref string) ([]pool.Worker, error) {
	done, err := f.begin("Workers", ref)
	defer done()
	if v := f.named(ref); v != nil {
		ref = v.UID
	}
	return slices.Clone(f.crews[ref]), err
}

func (f *fakeManager) Logs(context.Context, string, string, int64) ([]byte, error) { return nil, nil }

func (f *fakeManager) Revisions(context.Context, string) ([]pool.Revision, error) { return nil, nil }

func (f *fakeManager) Events(context.Context, string, int64) (api.EventList, error) {
	return api.EventList{}, nil
}
