package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// applying starts an apply of a configuration and returns when it waits for its held operation; its diagnostics follow.
func (tf *core) applying(t *testing.T, fake *fakeManager, config object) <-chan []*tfprotov6.Diagnostic {
	t.Helper()
	p := tf.plan(config)
	applied := make(chan []*tfprotov6.Diagnostic)
	go func() { applied <- tf.apply(p) }()
	fake.awaited(t)
	return applied
}

func TestWhatADestroyTookOverIsAnErrorThatSaysByWhom(t *testing.T) {
	for name, row := range map[string]struct {
		over     bool // the destroy has ended by the time that the apply does
		before   object
		what     string
		expected []string
	}{
		"a creation, while it goes on": {false, nil, "created", []string{`Pool "web" is being destroyed`, "waits for the end of that"}},
		"a creation, to the end":       {true, nil, "created", []string{`Pool "web" was destroyed`, "Apply again to create it anew"}},
		"an update, while it goes on":  {false, web(), "updated", []string{`Pool "web" is being destroyed`, "waits for the end of that"}},
		"an update, to the end":        {true, web(), "updated", []string{`Pool "web" was destroyed`, "Apply again to create it anew"}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			if row.before != nil {
				tf.reaches(row.before)
			}
			release := fake.hold()
			applied := tf.applying(t, fake, web(object{"size": 4}))
			mine := fake.named("web").OperationID
			if row.over {
				fake.mu.Lock()
				fake.held = false
				fake.mu.Unlock()
			}
			deletion, err := fake.Delete(t.Context(), "web", false, client.Change{})
			require.NoError(t, err)
			diagnostics := <-applied
			require.Len(t, diagnostics, 1)
			said := firstError(diagnostics)
			for _, says := range append(row.expected, "Operation "+deletion.Operation.ID+" (delete) of tester", "being "+row.what+" (operation "+mine+")") {
				require.ErrorContains(t, said, says)
			}
			require.False(t, tf.state.IsNull())

			release()
			require.Empty(t, summaries(tf.refresh()))
			require.True(t, tf.state.IsNull(), "the next plan is one of a creation")
		})
	}
}

func TestWhatIsNotAsAcceptedAfterASuccessIsToldOfByWhatDiffers(t *testing.T) {
	for name, row := range map[string]struct {
		before   object
		severity tfprotov6.DiagnosticSeverity
	}{
		"an update is an error":                              {web(), tfprotov6.DiagnosticSeverityError},
		"a creation, which a taint would undo, is a warning": {nil, tfprotov6.DiagnosticSeverityWarning},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			if row.before != nil {
				tf.reaches(row.before)
			}
			release := fake.hold()
			applied := tf.applying(t, fake, web(object{"size": 4}))
			fake.alter("web", func(v *pool.View) { two := int64(2); v.Spec.Size = &two })
			release()
			diagnostics := <-applied
			require.Len(t, diagnostics, 1)
			require.Equal(t, row.severity, diagnostics[0].Severity)
			require.Equal(t, `Pool "web" was changed by somebody else meanwhile`, diagnostics[0].Summary)
			require.Contains(t, diagnostics[0].Detail, "by now size is 2 instead of 4")
			require.Empty(t, summaries(tf.refresh()))
			require.False(t, tf.plan(web(object{"size": 4})).empty(tf))
		})
	}
}

// A canary still waits although a hot change on top of its rollout is reached.
func TestARolloutThatWaitsUnderAReachedChangeIsShown(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web())
	tf.reaches(web(at("worker.command", list{"/bin/other"})))
	waits := func(v *pool.View) {
		v.Status.Rollout = &pool.Operation{
			ID: "op_rollout", Kind: pool.OperationUpdate, Change: pool.ChangeRolling, Phase: pool.OperationAwaiting, Reason: "canary: 1 of 1 workers are available",
		}
	}
	fake.alter("web", waits)
	tf.refresh()
	config := web(object{"size": 4}, at("worker.command", list{"/bin/other"}))
	p := tf.plan(config)
	require.Equal(t, "rolling", plain(valueAt(p.value, "last_change")), "workers are still to be replaced")
	require.Empty(t, summaries(tf.apply(p)))
	fake.alter("web", waits)
	tf.refresh()
	require.Equal(t, "op_rollout", tf.shown("operation.id"))
	p = tf.plan(config)
	require.True(t, p.empty(tf))
	require.Equal(t, []string{`warning: Pool "web": a canary waits for promotion`}, shortened(p.diagnostics))
}

// shortened are the summaries without what they are about.
func shortened(diagnostics []*tfprotov6.Diagnostic) (short []string) {
	for _, d := range diagnostics {
		short = append(short, strings.ToLower(d.Severity.String())+": "+d.Summary)
	}
	return short
}
