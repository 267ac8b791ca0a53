package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestADestroyWaitsUntilNothingIsLeft(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web())
	uid := tf.shown("id").(string)
	fake.mutations()
	require.Empty(t, summaries(tf.destroy()))
	require.True(t, tf.state.IsNull())
	require.Equal(t, []string{"Delete " + uid}, fake.mutations(), "by the uid: another pool of the name is not meant")
	require.Equal(t, pool.PhaseDestroyed, fake.pools[uid].Phase)
}

func TestADestroyOfWhatIsGoneIsFine(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, f *fakeManager){
		"destroyed by somebody else": func(t *testing.T, f *fakeManager) {
			_, err := f.Delete(t.Context(), "web", false, client.Change{})
			require.NoError(t, err)
		},
		"forgotten by its manager": func(_ *testing.T, f *fakeManager) { f.forget() },
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(web())
			lose(t, fake)
			require.Empty(t, summaries(tf.destroy()))
			require.True(t, tf.state.IsNull())
		})
	}
}

func TestADestroyThatLeavesSomethingSaysWhatAndKeepsThePool(t *testing.T) {
	stop := func(tf *core, _ *fakeManager) {
		_, err := tf.server.StopProvider(context.Background(), &tfprotov6.StopProviderRequest{})
		require.NoError(tf.t, err)
	}
	for name, row := range map[string]struct {
		timeouts any
		stop     func(tf *core, fake *fakeManager)
		expected string
	}{
		"the timeout passes":          {object{"delete": "50ms"}, nil, "timeout of 50ms passed"},
		"Terraform is told to stop":   {nil, stop, "told to stop"},
		"the manager is out of reach": {nil, func(_ *core, fake *fakeManager) { fake.lose() }, "goes on while its manager runs, and when it is back"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(web(object{"timeouts": row.timeouts}))
			release := fake.hold()
			destroyed := make(chan []*tfprotov6.Diagnostic)
			go func() { destroyed <- tf.destroy() }()
			if row.stop != nil {
				fake.awaited(t)
				row.stop(tf, fake)
			}
			err := firstError(<-destroyed)
			require.ErrorContains(t, err, row.expected)
			busy := fake.crews[tf.shown("id").(string)][0]
			require.ErrorContains(t, err, fmt.Sprintf("worker %s is draining (process %d): the pool is being destroyed", busy.ID, busy.Instance.PID))
			require.Equal(t, 1, strings.Count(err.Error(), "worker w_"), "what has ended is not left")
			require.False(t, tf.state.IsNull())

			require.Empty(t, summaries(tf.refresh()))
			require.False(t, tf.state.IsNull(), "a pool that is being destroyed is kept")
			require.Equal(t, "delete", tf.shown("operation.kind"))
			ops := len(fake.ops)
			release()
			require.NoError(t, firstError(tf.destroy()))
			require.Len(t, fake.ops, ops, "the destroy was joined")
			require.True(t, tf.state.IsNull())
		})
	}
}

func TestADestroyThatFailedNamesWhatCouldNotBeRemoved(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web())
	fake.hold()
	destroyed := make(chan []*tfprotov6.Diagnostic)
	go func() { destroyed <- tf.destroy() }()
	fake.awaited(t)
	fake.alter("web", func(v *pool.View) {
		v.Status.Operation.Phase, v.Status.Operation.Reason = pool.OperationFailed, "process 4711 cannot be killed"
		fake.announce()
	})
	err := firstError(<-destroyed)
	require.ErrorContains(t, err, "process 4711 cannot be killed")
	require.ErrorContains(t, err, "is draining")
	require.False(t, tf.state.IsNull())
}

func TestARefusedDestroyKeepsThePool(t *testing.T) {
	for name, row := range map[string]struct {
		change   func(*fakeManager)
		expected string
	}{
		"protected behind Terraform's back": {func(f *fakeManager) {
			f.alter("web", func(v *pool.View) { v.Spec.DeletionProtection = true })
		}, `cannot be destroyed (deletion_protection): pool "web" is protected`},
		"another manager":    {func(f *fakeManager) { f.forget(); f.id = "m_second" }, "m_second"},
		"another refuses":    {func(f *fakeManager) { f.fail("Delete", problem(api.ProblemOtherManager, 421, "this is m_second")) }, "m_second"},
		"no manager answers": {func(f *fakeManager) { f.fail("Delete", errors.New("no manager answered")) }, "no manager answered"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(web())
			row.change(fake)
			require.ErrorContains(t, firstError(tf.destroy()), row.expected)
			require.False(t, tf.state.IsNull())
		})
	}
}

func TestADestroyIsByForceIfTheStateSaysSo(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web(object{onDestroy: destroyForces}))
	tf.reaches(web(object{onDestroy: destroyDrains}))
	tf.reaches(web(object{onDestroy: destroyForces}))
	uid := tf.shown("id").(string)
	require.Equal(t, []string{"Create web"}, fake.mutations(), "a change of it alone asks the manager nothing")
	require.Empty(t, summaries(tf.refresh()))
	require.Equal(t, destroyForces, tf.shown(onDestroy))
	require.Empty(t, summaries(tf.destroy()))
	require.Equal(t, []string{"Delete " + uid + " by force"}, fake.mutations())

	require.NotEmpty(t, tf.validate(web(object{onDestroy: "burn"})))
}

// A creation that failed is tainted; were the pool protected by then, nothing but untaint would help.
func TestAProtectedPoolThatNeverWasActiveCanBeDestroyed(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	broken := web(object{"deletion_protection": true, "worker": object{"command": list{"sleep"}, "ports": list{object{"name": "http"}}}, "health": object{"tcp": object{}}})
	require.ErrorContains(t, firstError(tf.apply(tf.plan(broken))), "no progress")
	require.Empty(t, summaries(tf.refresh()))
	require.Empty(t, summaries(tf.destroy()))
}
