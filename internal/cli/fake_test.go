package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// unexpected are the calls that no command makes of a fake manager.
type unexpected interface{ client.Manager }

// fakeManager keeps pools in memory and ends every operation as it is told to.
type fakeManager struct {
	unexpected

	pools  map[string]pool.View // by name
	ending pool.Operation       // how operations end
	refuse error                // of the next change
	// settled is how far the operation is if everything is as asked for already; empty if changes change.
	settled pool.OperationPhase
	calls   []string
	change  client.Change
	waited  []string
}

func (f *fakeManager) called(format string, arguments ...any) {
	f.calls = append(f.calls, fmt.Sprintf(format, arguments...))
}

func notFound(what string) error {
	return fmt.Errorf("read %s: %w", what, &client.Problem{Type: api.ProblemBase + api.ProblemNotFound, Status: 404, Detail: "there is no such " + what})
}

func conflict(name string, status int) error {
	return fmt.Errorf("change: %w", &client.Problem{Type: api.ProblemBase + name, Status: status, Detail: "refused: " + name})
}

func (f *fakeManager) Pool(_ context.Context, name string) (pool.View, error) {
	if v, ok := f.pools[name]; ok {
		return v, nil
	}
	return pool.View{}, notFound("pool")
}

func (f *fakeManager) PoolByUID(_ context.Context, uid string) (pool.View, error) {
	for _, v := range f.pools {
		if v.UID == uid {
			return v, nil
		}
	}
	return pool.View{}, notFound("pool")
}

func (f *fakeManager) Pools(context.Context) ([]pool.View, error) {
	return []pool.View{f.pools["web"], f.pools["batch"]}, nil
}

func (f *fakeManager) accept(kind pool.OperationKind, name string, c client.Change) (api.Accepted, error) {
	f.change = c
	if err := f.refuse; err != nil {
		f.refuse = nil
		return api.Accepted{}, err
	}
	o := pool.Operation{ID: "op_1", PoolUID: f.pools[name].UID, PoolName: name, Kind: kind, Change: pool.ChangeHot, Phase: pool.OperationRunning}
	f.ending.Kind, f.ending.PoolName, f.ending.PoolUID = kind, name, o.PoolUID
	if f.settled != "" {
		o.Phase = f.settled
		return api.Accepted{Pool: f.pools[name], Operation: o}, nil
	}
	return api.Accepted{Pool: f.pools[name], Operation: o, Changed: true}, nil
}

func (f *fakeManager) Create(_ context.Context, spec pool.Spec, c client.Change) (api.Accepted, error) {
	f.called("create %s %d", spec.Name, spec.Start())
	if f.refuse == nil {
		f.pools[spec.Name] = view(spec.Name, "p_new", 1)
	}
	return f.accept(pool.OperationCreate, spec.Name, c)
}

func (f *fakeManager) Update(_ context.Context, spec pool.Spec, c client.Change) (api.Accepted, error) {
	f.called("update %s %d", spec.Name, spec.Start())
	return f.accept(pool.OperationUpdate, spec.Name, c)
}

func (f *fakeManager) Patch(_ context.Context, name string, patch []byte, c client.Change) (api.Accepted, error) {
	f.called("patch %s %s", name, strings.TrimSpace(string(patch)))
	return f.accept(pool.OperationUpdate, name, c)
}

func (f *fakeManager) Resize(_ context.Context, name string, size int64, c client.Change) (api.Accepted, error) {
	f.called("resize %s %d", name, size)
	return f.accept(pool.OperationResize, name, c)
}

func (f *fakeManager) Restart(_ context.Context, name string, c client.Change) (api.Accepted, error) {
	f.called("restart %s", name)
	return f.accept(pool.OperationRestart, name, c)
}

func (f *fakeManager) Delete(_ context.Context, ref string, force bool, c client.Change) (api.Accepted, error) {
	f.called("delete %s %t", ref, force)
	return f.accept(pool.OperationDelete, ref, c)
}

func (f *fakeManager) Operation(_ context.Context, id string) (pool.Operation, error) {
	if id == "op_none" {
		return pool.Operation{}, notFound("operation")
	}
	return pool.Operation{ID: id, PoolUID: "p_web", PoolName: "web", Kind: pool.OperationUpdate, Change: pool.ChangeRolling, Phase: pool.OperationRunning, Author: "user:ada", CreatedAt: noon}, nil
}

func (f *fakeManager) Wait(ctx context.Context, id string, _ func(pool.Operation)) (pool.Operation, error) {
	f.waited = append(f.waited, id)
	o := f.ending
	o.ID = id
	switch {
	case o.Phase == pool.OperationRunning:
		<-ctx.Done()
		return o, fmt.Errorf("wait for operation %q: %w", id, context.Cause(ctx))
	case o.SupersededBy == id:
		o.Phase, o.SupersededBy = pool.OperationSucceeded, ""
	}
	return o, nil
}

func (f *fakeManager) Workers(context.Context, string) ([]pool.Worker, error) {
	return []pool.Worker{
		{ID: "w_1", State: pool.WorkerReady, Health: pool.Healthy, Revision: 2, Instance: pool.Instance{PID: 71, Ports: map[string]int{"http": 4000, "admin": 4001}}, StartedAt: noon, Slots: 2, Marks: pool.Marks{Leased: 1, Cordoned: true}},
		{ID: "w_2", State: pool.WorkerFailed, Health: pool.HealthUnknown, Revision: 1, Reason: "exited with code 3\nat once"},
	}, nil
}

func (f *fakeManager) Logs(_ context.Context, name, id string, most int64) ([]byte, error) {
	if id != "w_1" {
		return nil, notFound("worker")
	}
	log := fmt.Sprintf("log of %s %s\n", name, id)
	return []byte(log[:min(int(most), len(log))]), nil
}

func (f *fakeManager) Revisions(context.Context, string) ([]pool.Revision, error) {
	return []pool.Revision{{Number: 2, CreatedAt: noon, Author: "user:ada", Reason: "more load"}, {Number: 1, CreatedAt: noon, Author: "user:ada"}}, nil
}

func (f *fakeManager) Events(_ context.Context, _ string, after int64) (api.EventList, error) {
	list := api.EventList{Next: after}
	for i := after + 1; i <= min(after+2, 3); i++ {
		list.Events = append(list.Events, pool.Event{Sequence: i, Time: noon, Type: pool.EventPoolUpdated, Author: "user:ada", Message: fmt.Sprintf("event %d", i), WorkerID: map[int64]string{2: "w_1"}[i]})
		list.Next = i
	}
	return list, nil
}

var noon = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)

func view(name, uid string, generation int64) pool.View {
	spec := pool.Default()
	spec.Name, spec.Worker.Command, spec.Size = name, []string{"worker", "--fast"}, new(int64(3))
	return pool.View{
		Pool: pool.Pool{UID: uid, Name: name, Phase: pool.PhaseLive, Spec: spec, Host: "h1", Revision: 2, Generation: generation, ConvergedGeneration: 1,
			OperationID: "op_0", Author: "user:ada", CreatedAt: noon, UpdatedAt: noon},
		Status: pool.Status{State: pool.StateUpdating, Health: pool.Degraded, HealthReasons: []string{"w_2 is unhealthy", "w_3 is new"}, Desired: 3, Current: 4, Ready: 2, Available: 2, Old: 1,
			Operation: &pool.Operation{ID: "op_0", Kind: pool.OperationUpdate, Phase: pool.OperationRunning, Reason: "1 of 3 are new"}},
	}
}

func newFake() *fakeManager {
	return &fakeManager{
		pools:  map[string]pool.View{"web": view("web", "p_web", 4), "batch": view("batch", "p_batch", 1)},
		ending: pool.Operation{Phase: pool.OperationSucceeded},
	}
}

// outcomeOf is what one command line led to.
type outcomeOf struct {
	code     int
	out, err string
}

func command(t *testing.T, m client.Manager, input string, arguments ...string) outcomeOf {
	t.Helper()
	return commandIn(t.Context(), m, input, arguments...)
}

func commandIn(ctx context.Context, m client.Manager, input string, arguments ...string) outcomeOf {
	connect := func() (client.Manager, error) {
		if m == nil {
			return nil, errors.New("this command is not to reach a manager")
		}
		return m, nil
	}
	var out, errOut bytes.Buffer
	code := run(ctx, "1.2.3", arguments, connect, strings.NewReader(input), &out, &errOut)
	return outcomeOf{code, out.String(), errOut.String()}
}

// plain forgets the environment of whoever runs the tests.
func plain(t *testing.T) {
	t.Helper()
	for _, name := range []string{envEndpoint, envToken, envDataDir} {
		t.Setenv(name, "")
	}
}

func (f *fakeManager) steered(name string, c client.Change, format string, arguments ...any) (pool.View, error) {
	f.called(format, arguments...)
	f.change = c
	return f.pools[name], nil
}

func (f *fakeManager) Pause(_ context.Context, name string, c client.Change) (pool.View, error) {
	return f.steered(name, c, "pause %s", name)
}

func (f *fakeManager) Resume(_ context.Context, name string, c client.Change) (pool.View, error) {
	return f.steered(name, c, "resume %s", name)
}

func (f *fakeManager) Promote(_ context.Context, name string, c client.Change) (pool.View, error) {
	return f.steered(name, c, "promote %s", name)
}

func (f *fakeManager) Abort(_ context.Context, name string, c client.Change) (pool.View, error) {
	return f.steered(name, c, "abort %s", name)
}

func (f *fakeManager) Revert(_ context.Context, name string, revision int64, c client.Change) (api.Accepted, error) {
	f.called("revert %s %d", name, revision)
	return f.accept(pool.OperationRevert, name, c)
}

func (f *fakeManager) DrainWorker(_ context.Context, name, workerID string, replace bool, c client.Change) (api.Accepted, error) {
	f.called("drain %s %s %t", name, workerID, replace)
	return f.accept(pool.OperationDrain, name, c)
}

func (f *fakeManager) marked(workerID string, c client.Change, format string, arguments ...any) (pool.Worker, error) {
	f.called(format, arguments...)
	f.change = c
	return pool.Worker{ID: workerID}, nil
}

func (f *fakeManager) Cordon(_ context.Context, name, workerID string, c client.Change) (pool.Worker, error) {
	return f.marked(workerID, c, "cordon %s %s", name, workerID)
}

func (f *fakeManager) Uncordon(_ context.Context, name, workerID string, c client.Change) (pool.Worker, error) {
	return f.marked(workerID, c, "uncordon %s %s", name, workerID)
}

func (f *fakeManager) ExtendDrain(_ context.Context, name, workerID string, by time.Duration, c client.Change) (pool.Worker, error) {
	return f.marked(workerID, c, "extend %s %s %s", name, workerID, by)
}

func (f *fakeManager) Registry(context.Context) (api.Registry, error) {
	return api.Registry{Pools: []api.RegisteredPool{{Name: "web", Host: "h1", Endpoints: []api.Endpoint{
		{WorkerID: "w_1", Ports: map[string]int{"http": 4000}, Slots: 2, Leased: 1},
	}}}}, nil
}

// WatchRegistry tells the registry twice.
func (f *fakeManager) WatchRegistry(ctx context.Context, changed func(api.Registry) error) error {
	r, _ := f.Registry(ctx)
	if err := changed(r); err != nil {
		return err
	}
	return changed(api.Registry{Pools: []api.RegisteredPool{}})
}

func (f *fakeManager) Leases(context.Context, string) ([]pool.Lease, error) {
	return []pool.Lease{
		{ID: "l_1", State: pool.LeaseHeld, WorkerID: "w_1", Holder: "job 1", CreatedAt: noon, GrantedAt: noon, ExpiresAt: noon.Add(time.Minute)},
		{ID: "l_2", State: pool.LeaseWaiting, Holder: "job 2", CreatedAt: noon, ExpiresAt: noon.Add(time.Minute)},
	}, nil
}

func (f *fakeManager) Acquire(_ context.Context, want api.LeaseRequest) (api.LeaseView, error) {
	f.called("acquire %s %s %v", want.Pool, want.Holder, want.Selector)
	return api.LeaseView{Lease: pool.Lease{ID: "l_1", State: pool.LeaseHeld}}, nil
}

func (f *fakeManager) Renew(_ context.Context, id string) (api.LeaseView, error) {
	f.called("renew %s", id)
	return api.LeaseView{Lease: pool.Lease{ID: id, State: pool.LeaseHeld}}, nil
}

func (f *fakeManager) Release(_ context.Context, id string) (pool.Lease, error) {
	f.called("release %s", id)
	return pool.Lease{ID: id, State: pool.LeaseReleased}, nil
}

func sampleToken(id string) api.Token {
	return api.Token{ID: id, Name: "ci", Role: "operator", Labels: map[string]string{"team": "core", "os": "linux"}, Author: "user:ada", CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)}
}

func (f *fakeManager) MakeToken(_ context.Context, want api.TokenRequest) (api.NewToken, error) {
	f.called("make %s %s [%s] %s", want.Name, want.Role, want.Labels, want.TTL)
	return api.NewToken{Token: sampleToken("tok_1"), Secret: "pkt_secret"}, nil
}

func (f *fakeManager) Tokens(_ context.Context, ended bool) ([]api.Token, error) {
	tokens := []api.Token{sampleToken("tok_2")}
	if ended {
		over := sampleToken("tok_1")
		over.Labels, over.RevokedAt, over.RevokedBy = nil, noon, "token:ci"
		tokens = append(tokens, over)
	}
	return tokens, nil
}

func (f *fakeManager) RevokeToken(_ context.Context, id string) (api.Token, error) {
	if id == "tok_none" {
		return api.Token{}, notFound("token")
	}
	f.called("revoke %s", id)
	over := sampleToken(id)
	over.RevokedAt, over.RevokedBy = noon, "user:ada"
	return over, nil
}
