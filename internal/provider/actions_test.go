package provider

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/backup"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// invoke invokes an action as Terraform does, and returns what it told.
func (tf *core) invoke(name string, config object) (progress []string, diagnostics []*tfprotov6.Diagnostic) {
	tf.t.Helper()
	typ := tf.schema.ActionSchemas["poolkeeper_"+name].Schema.ValueType()
	server, ok := tf.server.(tfprotov6.ProviderServerWithActions) //nolint:staticcheck // nothing else has it until it is moved
	require.True(tf.t, ok)
	stream, err := server.InvokeAction(tf.t.Context(), &tfprotov6.InvokeActionRequest{
		ActionType: "poolkeeper_" + name, Config: tf.dynamic(typ, value(tf.t, typ, config)),
	})
	require.NoError(tf.t, err)
	for event := range stream.Events {
		switch e := event.Type.(type) {
		case tfprotov6.ProgressInvokeActionEventType:
			progress = append(progress, e.Message)
		case tfprotov6.CompletedInvokeActionEventType:
			diagnostics = e.Diagnostics
		}
	}
	return progress, diagnostics
}

func TestAccABackupIsAFileThatCanBeRestored(t *testing.T) {
	manager := newManager(t)
	tf := newTerraform(t, manager)
	tf.reaches(object{"name": "web", "size": 1, "worker": object{"command": list{"sleep", "3600"}}})
	file := filepath.Join(t.TempDir(), "pools.backup")
	progress, diagnostics := tf.invoke("backup", object{"path": file, "pools": list{"web"}, "events": true})
	require.Empty(t, summaries(diagnostics))
	require.Contains(t, progress[0], "1 pools in "+file)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), `"events":true`)

	tf.destroy()
	_, err = backup.Read(bytes.NewReader(text), func(p backup.Pool) error {
		_, err := manager.Restore(t.Context(), p, false, client.Change{})
		return err
	})
	require.NoError(t, err)
	v, err := manager.Pool(t.Context(), "web")
	require.NoError(t, err)
	require.Equal(t, []string{"sleep", "3600"}, v.Spec.Worker.Command)

	for _, c := range []struct {
		config   object
		at, says string
	}{
		{object{"path": file, "pools": list{"nobody"}}, "", `there is no pool "nobody"`},
		{object{"path": filepath.Join(file, "below")}, "path", "not a directory"},
	} {
		_, diagnostics := tf.invoke("backup", c.config)
		require.Len(t, diagnostics, 1)
		require.Equal(t, c.at, dotted(diagnostics[0].Attribute))
		require.Contains(t, diagnostics[0].Detail, c.says)
	}
}

func TestAccActionsAreDoneWhenTheyEnd(t *testing.T) {
	manager := newManager(t)
	tf := newTerraform(t, manager)
	tf.reaches(object{"name": "web", "size": 2, "worker": object{"command": list{"sleep", "3600"}}})
	newTerraform(t, manager).reaches(object{"name": "itself", "autoscaling": object{"min": 1, "max": 2}, "worker": object{"command": list{"sleep", "3600"}}})
	living := func(of string) (ids []string) {
		workers, err := manager.Workers(t.Context(), of)
		require.NoError(t, err)
		for _, w := range workers {
			if !w.State.Ended() {
				ids = append(ids, w.ID)
			}
		}
		return ids
	}
	view := func() pool.View {
		v, err := manager.Pool(t.Context(), "web")
		require.NoError(t, err)
		return v
	}
	invoked := func(name string, config object) []string {
		progress, diagnostics := tf.invoke(name, overlaid(object{"name": "web"}, config))
		require.Empty(t, summaries(diagnostics))
		return progress
	}

	before := living("web")
	progress := invoked("rolling_restart", nil)
	require.NotEmpty(t, progress)
	require.Contains(t, progress[0], "(restart) is running")
	require.Len(t, living("web"), 2)
	for _, id := range before {
		require.NotContains(t, living("web"), id)
	}

	invoked("pause", nil)
	require.True(t, view().Paused)
	invoked("resume", nil)
	require.False(t, view().Paused)

	chosen := living("web")[0]
	invoked("drain_worker", object{"worker_id": chosen})
	require.NotContains(t, living("web"), chosen)
	require.Len(t, living("web"), 2, "another has taken its place")
	invoked("drain_worker", object{"worker_id": living("web")[0], "replace": false})
	require.Equal(t, int64(1), *view().Spec.Size)
	require.Empty(t, summaries(tf.refresh()))
	require.Equal(t, int64(1), tf.shown("size"), "which is drift")

	config := object{"name": "web", "size": 1, "worker": object{"command": list{"sleep", "3601"}}, "update": object{"canary": object{"promote": "manual"}}}
	diagnostics := tf.apply(tf.plan(config))
	require.NoError(t, firstError(diagnostics))
	require.Contains(t, summaries(diagnostics)[0], "a canary waits for promotion")
	invoked("promote", nil)
	require.Equal(t, pool.OperationSucceeded, view().Status.Operation.Phase)

	for name, row := range map[string]struct {
		action   string
		config   object
		expected string
	}{
		"no pool":          {"rolling_restart", object{"name": "none"}, "rolling_restart (name): restart pool \"none\": there is no pool \"none\""},
		"no rollout":       {"promote", object{"name": "web"}, "promote (name): promote the rollout of pool \"web\": pool \"web\" is in no rollout"},
		"no worker":        {"drain_worker", object{"name": "web", "worker_id": "w_none"}, "w_none"},
		"an ended worker":  {"drain_worker", object{"name": "web", "worker_id": chosen}, "drain_worker (worker_id): drain worker \"" + chosen},
		"a size of itself": {"drain_worker", object{"name": "itself", "worker_id": living("itself")[0], "replace": false}, "drain_worker (replace): drain worker"},
	} {
		t.Run(name, func(t *testing.T) {
			_, diagnostics := tf.invoke(row.action, row.config)
			require.ErrorContains(t, firstError(diagnostics), row.expected)
		})
	}
}

func TestAnActionThatIsNotWaitedForAnyMoreGoesOnAndIsNamed(t *testing.T) {
	for name, row := range map[string]struct {
		timeouts any
		stop     func(tf *core, fake *fakeManager)
		expected string
	}{
		"the timeout passes": {object{"invoke": "50ms"}, nil, "timeout of 50ms passed"},
		"Terraform is told to stop": {nil, func(tf *core, _ *fakeManager) {
			_, err := tf.server.StopProvider(context.Background(), &tfprotov6.StopProviderRequest{})
			require.NoError(tf.t, err)
		}, "told to stop"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(web())
			release := fake.hold()
			defer release()
			ended := make(chan []*tfprotov6.Diagnostic)
			go func() {
				_, diagnostics := tf.invoke("rolling_restart", object{"name": "web", "timeouts": row.timeouts})
				ended <- diagnostics
			}()
			if row.stop != nil {
				fake.awaited(t)
				row.stop(tf, fake)
			}
			select {
			case diagnostics := <-ended:
				err := firstError(diagnostics)
				require.ErrorContains(t, err, row.expected)
				operation := fake.pools[tf.shown("id").(string)].OperationID
				require.ErrorContains(t, err, "Operation "+operation+" goes on without it.")
				require.Equal(t, pool.OperationRunning, fake.ops[operation].Phase)
			case <-time.After(time.Minute):
				t.Fatal("the action does not end")
			}
		})
	}
}
