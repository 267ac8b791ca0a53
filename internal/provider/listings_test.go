package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

// lists reads a data source that lists something.
func (tf *core) lists(name string, config object) (rows []map[string]any, diagnostics []*tfprotov6.Diagnostic) {
	tf.t.Helper()
	typ := tf.schema.DataSourceSchemas["poolkeeper_"+name].ValueType()
	resp, err := tf.server.ReadDataSource(tf.t.Context(), &tfprotov6.ReadDataSourceRequest{
		TypeName: "poolkeeper_" + name, Config: tf.dynamic(typ, value(tf.t, typ, config)),
	})
	require.NoError(tf.t, err)
	if hasError(resp.Diagnostics) {
		return nil, resp.Diagnostics
	}
	state, err := resp.State.Unmarshal(typ)
	require.NoError(tf.t, err)
	for _, row := range as[[]tftypes.Value](valueAt(state, name)) {
		members := map[string]any{}
		for at, v := range as[map[string]tftypes.Value](row) {
			members[at] = plain(v)
		}
		rows = append(rows, members)
	}
	return rows, resp.Diagnostics
}

func TestAccTheManagersRecordsAreListed(t *testing.T) {
	manager := newManager(t)
	tf := newTerraform(t, manager)
	sleeping := object{"command": list{"sleep", "3600"}, "ports": list{object{"name": "http"}}}
	for name, team := range map[string]string{"blue": "a", "green": "a", "red": "b"} {
		newTerraform(t, manager).reaches(object{"name": name, "size": 2, "labels": object{"team": team}, "worker": sleeping})
	}
	names := func(rows []map[string]any, column string) (names []any) {
		for _, row := range rows {
			names = append(names, row[column])
		}
		return names
	}

	rows, diagnostics := tf.lists("resource_pools", object{})
	require.Empty(t, summaries(diagnostics))
	require.Equal(t, []any{"blue", "green", "red"}, names(rows, "name"))
	rows, _ = tf.lists("resource_pools", object{"labels": object{"team": "a"}})
	require.Equal(t, []any{"blue", "green"}, names(rows, "name"))
	require.Equal(t, []any{"active", "healthy", int64(2), int64(1), map[string]any{"team": "a"}},
		[]any{rows[0]["state"], rows[0]["health_status"], rows[0]["ready_workers"], rows[0]["revision"], rows[0]["labels"]})

	rows, _ = tf.lists("workers", object{"name": "red"})
	require.Equal(t, []any{"ready", "ready"}, names(rows, "state"))
	require.Contains(t, rows[0]["ports"], "http")
	require.NotEmpty(t, rows[0]["created_at"])
	require.Nil(t, rows[0]["drain_by"])
	endpoints, _ := tf.lists("endpoints", object{"labels": object{"team": "b"}})
	require.ElementsMatch(t, names(rows, "id"), names(endpoints, "worker_id"))
	require.Equal(t, rows[0]["ports"], endpoints[0]["ports"])

	_, err := manager.Resize(t.Context(), "red", 1, client.Change{Reason: "less to do"})
	require.NoError(t, err)
	rows, _ = tf.lists("revisions", object{"name": "red"})
	require.Equal(t, []any{int64(2), int64(1)}, names(rows, "number"))
	require.Equal(t, "less to do", rows[0]["reason"])
	require.Contains(t, rows[0]["spec"], `"size":1`)

	rows, _ = tf.lists("events", object{"name": "red"})
	require.Equal(t, int64(1), rows[0]["sequence"])
	rest, _ := tf.lists("events", object{"name": "red", "after": 1})
	require.Equal(t, rows[1:], rest[:len(rows)-1])

	for _, name := range []string{"workers", "revisions", "events"} {
		_, diagnostics = tf.lists(name, object{"name": "none"})
		require.ErrorContains(t, firstError(diagnostics), "there is no pool \"none\"", name)
	}
}
