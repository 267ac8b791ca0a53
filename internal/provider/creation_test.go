package provider

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// sleeping never gets ready: see neverReady.
func sleeping() object {
	return web(at("worker.command", list{"sleep", "1000"}), at("worker.ports", list{object{"name": "a"}}), at("health.tcp", object{}), at("update.progress_deadline", "2s"))
}

// remembered reads the memory out of the private state.
func (tf *core) remembered() (m memory) {
	tf.t.Helper()
	var private map[string]json.RawMessage
	require.NoError(tf.t, json.Unmarshal(tf.private, &private))
	var data []byte
	require.NoError(tf.t, json.Unmarshal(private[memoryKey], &data))
	require.NoError(tf.t, json.Unmarshal(data, &m))
	return m
}

func TestACreationWaitsAndShowsWhatTheManagerTells(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web())
	require.Equal(t, []string{"Create web"}, fake.mutations())
	require.Equal(t, []string{"terraform apply"}, fake.reasons)
	v := fake.named("web")
	for at, expected := range map[string]any{
		"id": v.UID, "host": "here", "revision": int64(1), "state": "active", "health_status": "healthy",
		"current_size": int64(3), "ready_workers": int64(3), "last_change": "create",
		"operation.id": v.OperationID, "operation.kind": "create", "operation.phase": "succeeded", "operation.reason": "",
		"drain.timeout": "5m", "runtime": nil, "description": nil,
	} {
		require.Equal(t, expected, tf.shown(at), at)
	}
	require.Equal(t, memory{Manager: "m_first", UID: v.UID, Generation: 1, Operation: v.OperationID}, tf.remembered())
}

func TestAChangesReasonIsPassedOn(t *testing.T) {
	for name, row := range map[string]struct {
		config   object
		env      string
		expected string
	}{
		"by default":     {object{}, "", "terraform apply"},
		"of environment": {object{}, "run 7", "run 7"},
		"of provider":    {object{"change_reason": "ticket 4"}, "run 7", "ticket 4"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			e := environmentOf("linux", map[string]string{envChangeReason: row.env})
			configured(t, fake, row.config, e).reaches(web())
			require.Equal(t, []string{row.expected}, fake.reasons)
		})
	}
}

func TestACreationThatFailedIsAnErrorWithTheReasonAndTheLog(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	err := firstError(tf.apply(tf.plan(sleeping())))
	require.ErrorContains(t, err, "no progress for 2s")
	require.ErrorContains(t, err, "going to sleep")
	require.Equal(t, fake.named("web").UID, tf.shown("id"), "the pool exists, and the state knows it")
	require.Equal(t, "error", tf.shown("state"))
	require.Equal(t, "failed", tf.shown("operation.phase"))
}

func TestWhoeverStopsWaitingForACreationGetsTheStateAndAWarning(t *testing.T) {
	for name, row := range map[string]struct {
		timeouts    object
		stop        func(tf *core, fake *fakeManager)
		warning     string
		interrupted bool
	}{
		"Terraform is told to stop": {nil, func(tf *core, _ *fakeManager) {
			_, err := tf.server.StopProvider(context.Background(), &tfprotov6.StopProviderRequest{})
			require.NoError(tf.t, err)
		}, "told to stop", true},
		"the timeout passes":          {object{"create": "50ms"}, func(*core, *fakeManager) {}, "timeout of 50ms passed", false},
		"a timeout of nothing passes": {object{"create": "0s"}, func(*core, *fakeManager) {}, "timeout of 0s passed", false},
		"the manager is out of reach": {nil, func(_ *core, fake *fakeManager) { fake.lose() }, "goes on while its manager runs, and when it is back", false},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			release := fake.hold()
			tf := newTerraform(t, fake)
			config := web()
			if row.timeouts != nil {
				config["timeouts"] = row.timeouts
			}
			p := tf.plan(config)
			applied := make(chan []*tfprotov6.Diagnostic)
			go func() { applied <- tf.apply(p) }()
			fake.awaited(t)
			row.stop(tf, fake)
			diagnostics := <-applied
			require.NoError(t, firstError(diagnostics), "an error would taint the pool")
			require.Len(t, diagnostics, 1)
			require.Contains(t, summaries(diagnostics)[0], row.warning)
			require.Equal(t, fake.named("web").UID, tf.shown("id"))
			require.Equal(t, "running", tf.shown("operation.phase"))
			require.True(t, tf.state.IsFullyKnown())
			if row.interrupted {
				require.False(t, fake.named("web").Claimed, "told to stop twice, Terraform does not keep the state and creates again")
			}

			require.Empty(t, summaries(tf.refresh()))
			p = tf.plan(web())
			require.False(t, p.empty(tf), "the creation goes on")
			require.Empty(t, p.replaces)
			release()
			require.Empty(t, summaries(tf.apply(p)))
			require.Equal(t, []string{"Create web", "Update web"}, fake.mutations())
			require.Len(t, fake.ops, 1, "the apply attached to the creation")
			require.Equal(t, "succeeded", tf.shown("operation.phase"))
			require.True(t, tf.plan(web()).empty(tf))
		})
	}
}

func TestACreationThatSomebodyElseTookOverIsAWarning(t *testing.T) {
	fake := newFake()
	release := fake.hold()
	tf := newTerraform(t, fake)
	p := tf.plan(web())
	applied := make(chan []*tfprotov6.Diagnostic)
	go func() { applied <- tf.apply(p) }()
	fake.awaited(t)
	_, err := fake.Resize(t.Context(), "web", 5, client.Change{})
	require.NoError(t, err)
	release()
	diagnostics := <-applied
	require.NoError(t, firstError(diagnostics))
	require.Contains(t, summaries(diagnostics)[0], "changed by somebody else")
	tf.refresh()
	require.Equal(t, int64(5), tf.shown("size"), "what they did shows")
}

func TestARefusedCreationLeavesNoState(t *testing.T) {
	for name, row := range map[string]struct {
		prepare  func(*fakeManager)
		expected []string
	}{
		"a claimed pool has the name": {func(f *fakeManager) {
			spec := pool.Default()
			spec.Name, spec.Size, spec.Worker.Command = "web", new(int64), []string{"a"}
			if _, err := f.Create(context.Background(), spec, client.Change{}); err != nil {
				panic(err)
			}
		}, []string{"(name)", "already", "terraform import <address of this resource> web", "create_before_destroy"}},
		"the manager finds a fault": {func(f *fakeManager) {
			p := problem(api.ProblemInvalid, 422, "the spec is not valid")
			p.Errors = pool.Faults{{Path: "worker.command[0]", Value: `"/bin/worker"`, Reason: "does not exist on host here"}}
			f.fail("Create", p)
		}, []string{"(worker.command[0])", "does not exist on host here"}},
		"the pool before is still going": {func(f *fakeManager) {
			p := problem(api.ProblemDeleting, 409, "a pool \"web\" is still being destroyed")
			p.Operation = &pool.Operation{ID: "op_9", Kind: pool.OperationDelete, Phase: pool.OperationRunning, Reason: "1 worker is draining"}
			f.fail("Create", p)
		}, []string{"(name)", "still being destroyed", "op_9", "1 worker is draining"}},
		"no manager answers": {func(f *fakeManager) { f.fail("Create", errors.New("no manager answered")) }, []string{"no manager answered"}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			row.prepare(fake)
			tf := newTerraform(t, fake)
			err := firstError(tf.apply(tf.plan(web())))
			for _, text := range row.expected {
				require.ErrorContains(t, err, text)
			}
			require.True(t, tf.state.IsNull())
		})
	}
}

func TestAManagerThatDoesNotSayWhoItIsCostsNoPool(t *testing.T) {
	fake := newFake()
	fake.fail("Manager", errors.New("busy"))
	tf := newTerraform(t, fake)
	diagnostics := tf.apply(tf.plan(web()))
	require.NoError(t, firstError(diagnostics))
	require.Contains(t, summaries(diagnostics)[0], "did not say who it is")
	require.Empty(t, tf.remembered().Manager)

	fake.fail("Manager", nil)
	require.Empty(t, summaries(tf.refresh()))
	require.Equal(t, "m_first", tf.remembered().Manager)
}
