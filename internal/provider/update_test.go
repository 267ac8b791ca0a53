package provider

import (
	"context"
	"errors"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestAnUpdateWaitsAndShowsWhatTheManagerTells(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web())
	fake.mutations()
	tf.reaches(web(object{"size": 5}))
	require.Equal(t, []string{"Update web"}, fake.mutations())
	require.Equal(t, int64(5), tf.shown("current_size"))
	require.Equal(t, int64(2), tf.shown("revision"))
	require.Equal(t, int64(2), tf.remembered().Generation)
	require.Equal(t, int64(5), *fake.named("web").Spec.Size)
}

func TestAnUpdateIsRefusedIfThePoolChangedAfterThePlan(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web())
	p := tf.plan(web(object{"size": 5}))
	_, err := fake.Resize(t.Context(), "web", 7, client.Change{})
	require.NoError(t, err)
	before := tf.state
	require.ErrorContains(t, firstError(tf.apply(p)), "changed after this plan was made")
	require.True(t, tf.state.Equal(before))
	require.Equal(t, int64(7), *fake.named("web").Spec.Size, "nothing was overwritten")

	tf.refresh()
	tf.reaches(web(object{"size": 5}))
}

func TestAnUpdateThatFailedIsAnErrorAndTheNextApplyTriesAgain(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web())
	err := firstError(tf.apply(tf.plan(sleeping())))
	require.ErrorContains(t, err, "no progress for 2s")
	require.ErrorContains(t, err, "going to sleep")
	require.Equal(t, "error", tf.shown("state"))
	require.Equal(t, "rolling", tf.shown("last_change"))

	tf.refresh()
	p := tf.plan(sleeping())
	require.False(t, p.empty(tf))
	require.Contains(t, summaries(p.diagnostics)[0], "no progress for 2s")
	ops := len(fake.ops)
	require.ErrorContains(t, firstError(tf.apply(p)), "no progress for 2s")
	require.Len(t, fake.ops, ops+1, "another attempt was made")

	tf.refresh()
	p = tf.plan(web())
	require.Len(t, p.diagnostics, 1)
	require.Contains(t, summaries(p.diagnostics)[0], "What changes now takes its place")
	require.Empty(t, summaries(tf.apply(p)))
	tf.refresh()
	require.True(t, tf.plan(web()).empty(tf))
}

func TestAnotherAttemptThatSucceedsChangesWhatThePlanSaidItWould(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web())
	tf.reaches(web(at("worker.env", object{"A": "1"})))
	fake.alter("web", func(v *pool.View) { v.Status.Operation.Phase = pool.OperationFailed })
	tf.refresh()
	p := tf.plan(web(at("worker.env", object{"A": "1"})))
	require.Equal(t, "rolling", plain(valueAt(p.value, "last_change")))
	require.Empty(t, summaries(tf.apply(p)))
	require.Equal(t, "rolling", tf.shown("last_change"))
	tf.refresh()
	require.True(t, tf.plan(web(at("worker.env", object{"A": "1"}))).empty(tf))
}

func TestWhoeverStopsWaitingForAnUpdateGetsAnErrorAndTheNewState(t *testing.T) {
	for name, row := range map[string]struct {
		timeouts object
		stop     func(tf *core, fake *fakeManager)
		expected string
	}{
		"Terraform is told to stop": {nil, func(tf *core, _ *fakeManager) {
			_, err := tf.server.StopProvider(context.Background(), &tfprotov6.StopProviderRequest{})
			require.NoError(tf.t, err)
		}, "told to stop"},
		"the timeout passes":          {object{"update": "50ms"}, func(*core, *fakeManager) {}, "timeout of 50ms passed"},
		"the manager is out of reach": {nil, func(_ *core, fake *fakeManager) { fake.lose() }, "goes on while its manager runs, and when it is back"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(web())
			release := fake.hold()
			config := web(at("worker.env", object{"A": "2"}))
			if row.timeouts != nil {
				config["timeouts"] = row.timeouts
			}
			p := tf.plan(config)
			applied := make(chan []*tfprotov6.Diagnostic)
			go func() { applied <- tf.apply(p) }()
			fake.awaited(t)
			row.stop(tf, fake)
			require.ErrorContains(t, firstError(<-applied), row.expected)
			require.Equal(t, map[string]any{"A": "2"}, tf.shown("worker.env"), "what was accepted is in the state")
			require.Equal(t, "running", tf.shown("operation.phase"))
			require.Equal(t, "rolling", tf.shown("last_change"))
			require.True(t, tf.state.IsFullyKnown())

			require.Empty(t, summaries(tf.refresh()))
			fake.mutations()
			ops := len(fake.ops)
			delete(config, "timeouts")
			p = tf.plan(config)
			require.False(t, p.empty(tf))
			release()
			require.Empty(t, summaries(tf.apply(p)))
			require.Equal(t, []string{"Update web"}, fake.mutations())
			require.Len(t, fake.ops, ops, "the apply attached to the change")
			tf.refresh()
			require.True(t, tf.plan(config).empty(tf))
		})
	}
}

func TestARefusedUpdateLeavesTheStateAsItWas(t *testing.T) {
	gone := func(f *fakeManager) { f.forget() }
	for name, row := range map[string]struct {
		prepare  func(*fakeManager)
		expected string
	}{
		"gone": {gone, "Plan again"},
		"another manager answers": {func(f *fakeManager) {
			f.fail("Update", problem(api.ProblemOtherManager, 421, "this is manager m_second"))
		}, "m_second"},
		"being destroyed": {func(f *fakeManager) {
			f.alter("web", func(v *pool.View) { v.Phase = pool.PhaseDeleting })
		}, "A destroy cannot be undone"},
		"a fault that only the manager sees": {func(f *fakeManager) {
			p := problem(api.ProblemInvalid, 422, "the spec is not valid")
			p.Errors = pool.Faults{{Path: "worker.working_dir", Reason: "is no directory on host here"}}
			f.fail("Update", p)
		}, "(worker.working_dir)"},
		"no manager answers": {func(f *fakeManager) { f.fail("Update", errors.New("no manager answered")) }, "no manager answered"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(web())
			p := tf.plan(web(object{"size": 5}))
			row.prepare(fake)
			before := tf.state
			require.ErrorContains(t, firstError(tf.apply(p)), row.expected)
			require.True(t, tf.state.Equal(before))
		})
	}
}

func TestAnUpdateWithoutAMemoryIsBasedOnTheSamePoolAllTheSame(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web())
	tf.private = nil
	tf.reaches(web(object{"size": 4}))

	tf.private = nil
	fake.alter("web", func(v *pool.View) { v.Phase = pool.PhaseDestroyed })
	configured(t, fake, object{}, noEnvironment()).reaches(web()) // another pool of the same name
	require.ErrorContains(t, firstError(tf.apply(tf.plan(web(object{"size": 6})))), "changed after this plan was made")
	require.Equal(t, int64(3), *fake.named("web").Spec.Size, "the other pool was not touched")
}
