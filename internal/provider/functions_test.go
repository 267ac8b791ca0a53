package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// calls calls a function with one argument, as core does; no provider has to be configured for that.
func (tf *core) calls(name string, argument tftypes.Value) (tftypes.Value, *tfprotov6.FunctionError) {
	tf.t.Helper()
	definition := tf.schema.Functions[name]
	sent := tf.dynamic(definition.Parameters[0].Type, argument)
	resp, err := tf.server.CallFunction(tf.t.Context(), &tfprotov6.CallFunctionRequest{Name: name, Arguments: []*tfprotov6.DynamicValue{sent}})
	require.NoError(tf.t, err)
	if resp.Error != nil {
		return tftypes.Value{}, resp.Error
	}
	v, err := resp.Result.Unmarshal(definition.Return.Type)
	require.NoError(tf.t, err)
	return v, nil
}

const fleetDocument = `
name: web
labels: {team: a}
size: 2
runtime: {process: {host: here}}
worker:
  command: [serve, "--port=${PORT}"]
  env: {A: "1"}
  ports: [{name: http}]
health: {http: {path: /ok}}
update: {max_surge: 50%, windows: [{cron: "0 2 * * *", duration: 2h}]}
`

func TestAPoolIsReadFromYAMLAsItsArguments(t *testing.T) {
	tf := unconfigured(t, nil, noEnvironment())
	v, failed := tf.calls("pool_from_yaml", text(fleetDocument))
	require.Nil(t, failed)
	for at, expected := range map[string]any{
		"name": "web", "size": int64(2), "labels": map[string]any{"team": "a"}, "runtime.process.host": "here", "health.http.path": "/ok",
		"update.max_surge": "50%", "drain.timeout": "5m", "autoscaling": nil, "description": nil, "deletion_protection": false,
	} {
		require.Equal(t, expected, plain(valueAt(v, at)), at)
	}
	spec, err := pool.Decode([]byte(fleetDocument))
	require.NoError(t, err)
	require.Empty(t, pool.Changes(spec, declare(v).spec), "it is the spec that the document is")

	tf = newTerraform(t, newFake())
	other, failed := tf.calls("pool_from_yaml", text("name: b\nautoscaling: {min: 1, max: 3}\nworker: {command: [run]}"))
	require.Nil(t, failed)
	require.True(t, other.Type().Equal(v.Type()), "the pools of a fleet are of one type")
}

func TestADocumentThatIsNoPoolIsRefused(t *testing.T) {
	tf := unconfigured(t, nil, noEnvironment())
	for document, expected := range map[string]string{
		"name: web\nsiez: 3\nworker: {command: [run]}":  "siez",
		"name: web\nsize: many\nworker: {command: [x]}": "size",
		"name: web\nsize: 1":                            "worker.command",
		"name: Web\nsize: 1\nworker: {command: [run]}":  "name",
		"":  "",
		"[": "",
	} {
		_, failed := tf.calls("pool_from_yaml", text(document))
		require.NotNil(t, failed, document)
		require.Contains(t, failed.Text, expected)
		require.Equal(t, int64(0), *failed.FunctionArgument)
	}
}

func TestAPoolIsWrittenAsYAML(t *testing.T) {
	tf := newTerraform(t, newFake())
	tf.reaches(full())
	written, failed := tf.calls("pool_to_yaml", tf.state)
	require.Nil(t, failed)
	spec, err := pool.Decode([]byte(as[string](written)))
	require.NoError(t, err)
	require.Empty(t, pool.Changes(declare(tf.state).spec, spec), "a whole resource is the spec that it has")

	read, failed := tf.calls("pool_from_yaml", text(fleetDocument))
	require.Nil(t, failed)
	written, failed = tf.calls("pool_to_yaml", read)
	require.Nil(t, failed)
	again, failed := tf.calls("pool_from_yaml", written)
	require.Nil(t, failed)
	require.True(t, read.Equal(again), "there and back it stays the same")

	command := tftypes.NewValue(tftypes.Tuple{ElementTypes: []tftypes.Type{tftypes.String}}, []tftypes.Value{text("run")})
	worker := tftypes.NewValue(tftypes.Object{AttributeTypes: map[string]tftypes.Type{"command": command.Type()}}, map[string]tftypes.Value{"command": command})
	literal := tftypes.NewValue(tftypes.Object{AttributeTypes: map[string]tftypes.Type{"name": tftypes.String, "worker": worker.Type()}},
		map[string]tftypes.Value{"name": text("web"), "worker": worker})
	written, failed = tf.calls("pool_to_yaml", literal)
	require.Nil(t, failed, "what HCL writes as an object")
	require.Contains(t, as[string](written), "- run")

	for _, wrong := range []tftypes.Value{text("web"), number(1)} {
		_, failed = tf.calls("pool_to_yaml", wrong)
		require.Contains(t, failed.Text, "no object")
	}
}
