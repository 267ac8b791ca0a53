package provider

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/stretchr/testify/require"
)

func TestAnAnswerOnItsWayIsNotLostWhenTerraformIsToldToStop(t *testing.T) {
	for name, row := range map[string]struct {
		begin func(tf *core) []*tfprotov6.Diagnostic
		check func(tf *core, fake *fakeManager, diagnostics []*tfprotov6.Diagnostic)
	}{
		"create": {
			func(tf *core) []*tfprotov6.Diagnostic { return tf.apply(tf.plan(web(object{"name": "new"}))) },
			func(tf *core, fake *fakeManager, diagnostics []*tfprotov6.Diagnostic) {
				require.NoError(tf.t, firstError(diagnostics))
				require.Equal(tf.t, fake.named("new").UID, tf.shown("id"))
			},
		},
		"update": {
			func(tf *core) []*tfprotov6.Diagnostic { return tf.apply(tf.plan(web(object{"size": 5}))) },
			func(tf *core, _ *fakeManager, diagnostics []*tfprotov6.Diagnostic) {
				require.ErrorContains(tf.t, firstError(diagnostics), "told to stop")
				require.Equal(tf.t, int64(5), tf.shown("size"))
			},
		},
		"destroy": {
			func(tf *core) []*tfprotov6.Diagnostic { return tf.destroy() },
			func(tf *core, _ *fakeManager, diagnostics []*tfprotov6.Diagnostic) {
				require.ErrorContains(tf.t, firstError(diagnostics), "told to stop")
				require.False(tf.t, tf.state.IsNull())
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			if name != "create" {
				tf.reaches(web())
			}
			fake.hold()
			open := fake.shut()
			applied := make(chan []*tfprotov6.Diagnostic)
			go func() { applied <- row.begin(tf) }()
			fake.awaited(t)
			_, err := tf.server.StopProvider(t.Context(), &tfprotov6.StopProviderRequest{})
			require.NoError(t, err)
			open()
			row.check(tf, fake, <-applied)
		})
	}
}

// A manager may take some seconds to tell a creator that comes back from one that still waits.
func TestACreationThatIsAcceptedSlowlySurvivesBeingToldToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		fake.hold()
		tf := newTerraform(t, fake)
		time.AfterFunc(6*time.Second, fake.shut())
		time.AfterFunc(time.Second, func() {
			_, err := tf.server.StopProvider(t.Context(), &tfprotov6.StopProviderRequest{})
			require.NoError(t, err)
		})
		began := time.Now()
		diagnostics := tf.apply(tf.plan(web()))
		require.Equal(t, 6*time.Second, time.Since(began), "the answer is waited for, and nothing after it")
		require.NoError(t, firstError(diagnostics), "nothing is tainted")
		require.Len(t, diagnostics, 1)
		require.Contains(t, summaries(diagnostics)[0], "is still being created")
		require.Equal(t, fake.named("web").UID, tf.shown("id"))
		require.Equal(t, []string{"Create web"}, fake.mutations())
	})
}

func TestAGracedContextEndsAWhileAfterItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, stop := context.WithCancel(t.Context())
		ctx, done := graced(parent)
		<-time.After(time.Hour)
		require.NoError(t, ctx.Err(), "while the parent lives")
		stop()
		<-time.After(lastWords - time.Second)
		require.NoError(t, ctx.Err())
		<-time.After(2 * time.Second)
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		done()
	})
	synctest.Test(t, func(t *testing.T) {
		parent, stop := context.WithCancel(t.Context())
		ctx, done := graced(parent)
		done()
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		stop()
	})
}
