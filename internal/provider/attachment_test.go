package provider

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestAChangeBesideAnUnreachedOneIsAnnouncedAsTheHarderOfBoth(t *testing.T) {
	hot, rolling := object{"description": "new"}, at("worker.env", object{"A": "2"})
	open := object{"description": unknown}
	for _, row := range []struct {
		kind     pool.OperationKind
		change   pool.Change
		phase    pool.OperationPhase
		old      int
		declared object
		last     any
		warning  string
	}{
		{pool.OperationUpdate, pool.ChangeRolling, pool.OperationRunning, 2, hot, "rolling", "waits for it, together with what changes now"},
		{pool.OperationRestart, pool.ChangeNone, pool.OperationRunning, 2, hot, "rolling", "waits for it, together with what changes now"},
		{pool.OperationUpdate, pool.ChangeRolling, pool.OperationFailed, 2, hot, "rolling", "tries it again, together with what changes now"},
		{pool.OperationUpdate, pool.ChangeRolling, pool.OperationRunning, 2, open, "rolling", "waits for it, together with what changes now"},
		{pool.OperationUpdate, pool.ChangeRolling, pool.OperationFailed, 2, rolling, "rolling", "What changes now takes its place"},
		{pool.OperationUpdate, pool.ChangeHot, pool.OperationRunning, 2, hot, "rolling", "waits for it"}, // it rides on a rollout itself
		{pool.OperationUpdate, pool.ChangeNone, pool.OperationFailed, 1, hot, "rolling", "tries it again"},
		{pool.OperationUpdate, pool.ChangeHot, pool.OperationRunning, 0, hot, "hot", "waits for it"},
		{pool.OperationResize, pool.ChangeHot, pool.OperationFailed, 0, hot, "hot", "tries it again"},
		{pool.OperationCreate, pool.ChangeNone, pool.OperationRunning, 0, hot, "hot", "waits for it"},
		{pool.OperationUpdate, pool.ChangeHot, pool.OperationRunning, 0, open, unknown, "waits for it"},
		{pool.OperationUpdate, pool.ChangeHot, pool.OperationRunning, 0, rolling, "rolling", "takes its place"},
		{pool.OperationUpdate, pool.ChangeRolling, pool.OperationSucceeded, 0, hot, "hot", ""},
		{pool.OperationUpdate, pool.ChangeRolling, pool.OperationSuperseded, 0, hot, "hot", ""},
	} {
		t.Run(fmt.Sprint(row.kind, " ", row.change, " ", row.phase, " ", row.old, " and ", row.declared), func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(web())
			fake.alter("web", func(v *pool.View) {
				v.Status.Operation = &pool.Operation{ID: "op_x", PoolUID: v.UID, Kind: row.kind, Change: row.change, Phase: row.phase, Reason: "out of luck"}
				v.Status.Old = row.old
			})
			require.Empty(t, summaries(tf.refresh()))
			p := tf.plan(web(row.declared))
			require.Equal(t, row.last, plain(valueAt(p.value, "last_change")))
			requireMovers(t, tf, p)
			if row.warning == "" {
				require.Empty(t, summaries(p.diagnostics))
			} else {
				require.Len(t, p.diagnostics, 1)
				require.Contains(t, summaries(p.diagnostics)[0], row.warning)
				require.Contains(t, summaries(p.diagnostics)[0], "out of luck")
			}
			if p.config.IsFullyKnown() {
				require.NoError(t, firstError(tf.apply(p)))
				require.Equal(t, row.last, tf.shown("last_change"))
				tf.refresh()
				require.Equal(t, row.last, tf.shown("last_change"))
			}
		})
	}
}

func TestWhatWasTakenBackDiffersWhereItIsStillDeclared(t *testing.T) {
	rolling := at("worker.env", object{"A": "2"})
	for _, row := range []struct {
		phase    pool.OperationPhase
		declared object
		empty    bool
		warning  string
	}{
		{pool.OperationReverted, rolling, false, "An apply tries anew what differs from it."},
		{pool.OperationReverted, object{"description": "another"}, false, "An apply tries anew what differs from it."},
		{pool.OperationReverted, nil, true, "as it is declared now."},
		{pool.OperationCanceled, rolling, false, "An apply tries anew what differs from it."},
		{pool.OperationCanceled, nil, true, "as it is declared now."},
		{pool.OperationAwaiting, rolling, false, "What changes now takes its place."},
		{pool.OperationAwaiting, object{"description": "another"}, false, "Have the rest follow"},
		{pool.OperationAwaiting, nil, true, "Have the rest follow"},
	} {
		t.Run(fmt.Sprint(row.phase, " ", row.declared), func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(web())
			fake.alter("web", func(v *pool.View) {
				v.Status.Operation = &pool.Operation{ID: "op_x", PoolUID: v.UID, Kind: pool.OperationUpdate, Change: pool.ChangeRolling, Phase: row.phase, Reason: "out of luck"}
			})
			require.Empty(t, summaries(tf.refresh()))
			p := tf.plan(web(row.declared))
			require.Equal(t, row.empty, p.empty(tf))
			require.Len(t, p.diagnostics, 1)
			require.Contains(t, p.diagnostics[0].Detail, row.warning)
			require.Contains(t, p.diagnostics[0].Detail, "out of luck")
			if !row.empty {
				requireMovers(t, tf, p)
			}
		})
	}
}

func TestAPoolThatIsBeingDestroyedIsReplacedInOneApply(t *testing.T) {
	for _, phase := range []pool.OperationPhase{pool.OperationRunning, pool.OperationFailed} {
		for name, config := range map[string]object{"unchanged": web(), "changed": web(object{"size": 5}), "timeouts": web(object{"timeouts": object{"create": "1h"}})} {
			t.Run(fmt.Sprint(phase, " ", name), func(t *testing.T) {
				fake := newFake()
				tf := newTerraform(t, fake)
				tf.reaches(web())
				uid := tf.shown("id").(string)
				release := fake.hold()
				_, err := fake.Delete(t.Context(), uid, false, client.Change{})
				require.NoError(t, err)
				fake.alter("web", func(v *pool.View) {
					v.Status.Operation.Phase, v.Status.Operation.Reason = phase, "worker w_1 is busy"
				})
				require.Empty(t, summaries(tf.refresh()))
				fake.mutations()

				p := tf.plan(config)
				require.Len(t, p.diagnostics, 1)
				for _, says := range []string{"being destroyed", "creates the pool anew", "worker w_1 is busy"} {
					require.Contains(t, summaries(p.diagnostics)[0], says)
				}
				require.Equal(t, []string{`AttributeName("id")`}, p.replaces)
				require.False(t, valueAt(p.value, "id").IsKnown(), "only what changes can be a reason to replace")

				destroyed := make(chan []*tfprotov6.Diagnostic)
				go func() { destroyed <- tf.destroy() }()
				fake.awaited(t)
				release()
				require.Empty(t, summaries(<-destroyed))
				tf.reaches(config)
				require.Equal(t, []string{"Delete " + uid, "Create web"}, fake.mutations())
				require.NotEqual(t, uid, tf.shown("id"))
				require.True(t, tf.plan(config).empty(tf))
			})
		}
	}
}
