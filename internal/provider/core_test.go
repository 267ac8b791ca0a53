package provider

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

const poolType = "poolkeeper_resource_pool"

// core drives the provider as Terraform's core does, through the protocol, so that warnings, private
// state and single calls can be seen. What core itself checks is left to the tests with the real program.
type core struct {
	t        *testing.T
	server   tfprotov6.ProviderServer
	schema   *tfprotov6.GetProviderSchemaResponse
	state    tftypes.Value // of the one resource
	private  []byte
	identity *tfprotov6.ResourceIdentityData
}

// object, list and unknown write a configuration; nil is null.
type (
	object map[string]any
	list   []any
)

type unknownMark struct{}

var unknown = unknownMark{}

// noEnvironment is a quiet Linux machine.
func noEnvironment() environment { return environmentOf("linux", nil) }

func environmentOf(goos string, variables map[string]string) environment {
	return environment{goos: goos, lookUp: func(name string) (string, bool) {
		v, ok := variables[name]
		return v, ok
	}}
}

func newTerraform(t *testing.T, manager client.Manager) *core {
	t.Helper()
	return configured(t, manager, object{}, noEnvironment())
}

func configured(t *testing.T, manager client.Manager, config object, e environment) *core {
	t.Helper()
	tf := unconfigured(t, manager, e)
	require.Empty(t, tf.configure(config))
	return tf
}

func unconfigured(t *testing.T, manager client.Manager, e environment) *core {
	t.Helper()
	dialed := func(context.Context, settings) (client.Manager, error) { return manager, nil }
	server, err := providerserver.NewProtocol6WithError(newProvider("test", dialed, e)())()
	require.NoError(t, err)
	schema, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	require.NoError(t, err)
	require.Empty(t, summaries(schema.Diagnostics))
	tf := &core{t: t, server: server, schema: schema}
	tf.state = tftypes.NewValue(tf.poolType(), nil)
	return tf
}

func (tf *core) configure(config object) []string {
	t := tf.schema.Provider.ValueType()
	resp, err := tf.server.ConfigureProvider(tf.t.Context(), &tfprotov6.ConfigureProviderRequest{Config: tf.dynamic(t, value(tf.t, t, config))})
	require.NoError(tf.t, err)
	return summaries(resp.Diagnostics)
}

func (tf *core) poolType() tftypes.Type { return tf.schema.ResourceSchemas[poolType].ValueType() }

func (tf *core) dynamic(t tftypes.Type, v tftypes.Value) *tfprotov6.DynamicValue {
	tf.t.Helper()
	d, err := tfprotov6.NewDynamicValue(t, v)
	require.NoError(tf.t, err)
	return &d
}

func (tf *core) unpacked(d *tfprotov6.DynamicValue) tftypes.Value {
	tf.t.Helper()
	v, err := d.Unmarshal(tf.poolType())
	require.NoError(tf.t, err)
	return v
}

// value makes a Terraform value out of plain Go; attributes that are left out are null.
func value(t *testing.T, typ tftypes.Type, v any) tftypes.Value {
	t.Helper()
	switch v := v.(type) {
	case nil:
		return tftypes.NewValue(typ, nil)
	case unknownMark:
		return tftypes.NewValue(typ, tftypes.UnknownValue)
	case int:
		return tftypes.NewValue(typ, big.NewFloat(float64(v)))
	case float64:
		return tftypes.NewValue(typ, big.NewFloat(v))
	case object:
		members := map[string]tftypes.Value{}
		switch typ := typ.(type) {
		case tftypes.Object:
			for name, attribute := range typ.AttributeTypes {
				members[name] = value(t, attribute, v[name])
			}
			for name := range v {
				require.Contains(t, typ.AttributeTypes, name)
			}
		case tftypes.Map:
			for key, item := range v {
				members[key] = value(t, typ.ElementType, item)
			}
		default:
			t.Fatalf("an object for a %s", typ)
		}
		return tftypes.NewValue(typ, members)
	case list:
		items := make([]tftypes.Value, len(v))
		for i, item := range v {
			items[i] = value(t, typ.(tftypes.List).ElementType, item)
		}
		return tftypes.NewValue(typ, items)
	}
	return tftypes.NewValue(typ, v)
}

// validate returns the diagnostics of a configuration, as "attribute path: detail".
func (tf *core) validate(config object) []*tfprotov6.Diagnostic {
	tf.t.Helper()
	t := tf.poolType()
	resp, err := tf.server.ValidateResourceConfig(tf.t.Context(), &tfprotov6.ValidateResourceConfigRequest{
		ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},

		TypeName: poolType, Config: tf.dynamic(t, value(tf.t, t, config)),
	})
	require.NoError(tf.t, err)
	return resp.Diagnostics
}

// plan is what a plan of the resource came to.
type plan struct {
	config, value tftypes.Value
	private       []byte
	identity      *tfprotov6.ResourceIdentityData
	replaces      []string
	diagnostics   []*tfprotov6.Diagnostic
}

// empty says that the plan changes nothing.
func (p plan) empty(tf *core) bool { return p.value.Equal(tf.state) }

// plan plans a configuration over the present state.
func (tf *core) plan(config object) plan {
	tf.t.Helper()
	return tf.planOver(tf.state, config)
}

func (tf *core) planOver(prior tftypes.Value, config object) plan {
	tf.t.Helper()
	t := tf.poolType()
	p := plan{config: value(tf.t, t, config)}
	resp, err := tf.server.PlanResourceChange(tf.t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: poolType, Config: tf.dynamic(t, p.config), PriorState: tf.dynamic(t, prior),
		ProposedNewState: tf.dynamic(t, proposed(p.config, prior)), PriorPrivate: tf.private, PriorIdentity: tf.identity,
	})
	require.NoError(tf.t, err)
	p.diagnostics, p.private, p.identity = resp.Diagnostics, resp.PlannedPrivate, resp.PlannedIdentity
	if resp.PlannedState != nil {
		p.value = tf.unpacked(resp.PlannedState)
	}
	for _, at := range resp.RequiresReplace {
		p.replaces = append(p.replaces, at.String())
	}
	return p
}

// proposed is what Terraform proposes: the configuration, and the prior values of what is computed where it is
// left open. What is write-only is in no plan.
func proposed(config, prior tftypes.Value) tftypes.Value {
	var members map[string]tftypes.Value
	if !config.IsKnown() || config.IsNull() || config.As(&members) != nil {
		return config
	}
	open, attributes := map[string]tftypes.Value{}, poolAttributes(context.Background())
	open["worker.secret_env_wo"] = tftypes.NewValue(tftypes.Map{ElementType: tftypes.String}, nil)
	for name, v := range members {
		if !attributes[name].IsComputed() {
			continue
		}
		if was := valueAt(prior, name); v.IsNull() && !was.IsNull() && was.Type().Equal(v.Type()) {
			open[name] = was
		}
	}
	return withValues(config, open)
}

// apply applies a plan and takes over the new state.
func (tf *core) apply(p plan) []*tfprotov6.Diagnostic {
	tf.t.Helper()
	return tf.applyUnder(tf.t.Context(), p)
}

func (tf *core) applyUnder(ctx context.Context, p plan) []*tfprotov6.Diagnostic {
	tf.t.Helper()
	t := tf.poolType()
	resp, err := tf.server.ApplyResourceChange(ctx, &tfprotov6.ApplyResourceChangeRequest{
		TypeName: poolType, PriorState: tf.dynamic(t, tf.state), PlannedState: tf.dynamic(t, p.value),
		Config: tf.dynamic(t, p.config), PlannedPrivate: p.private, PlannedIdentity: p.identity,
	})
	require.NoError(tf.t, err)
	tf.state, tf.private, tf.identity = tf.unpacked(resp.NewState), resp.Private, resp.NewIdentity
	if !hasError(resp.Diagnostics) {
		require.Empty(tf.t, broken(p.value, tf.state, ""), "core would call these inconsistent results after apply")
	}
	return resp.Diagnostics
}

// broken lists where a value is not what was planned.
func broken(planned, actual tftypes.Value, at string) (paths []string) {
	var members, results map[string]tftypes.Value
	switch {
	case !planned.IsKnown(), planned.Equal(actual):
		return nil
	case !planned.IsNull() && !actual.IsNull() && planned.Type().Is(tftypes.Object{}) && planned.As(&members) == nil && actual.As(&results) == nil:
		for name, v := range members {
			paths = append(paths, broken(v, results[name], at+"."+name)...)
		}
		return paths
	}
	return []string{fmt.Sprintf("%s: planned %s, got %s", at, planned, actual)}
}

// reaches plans and applies, and requires that neither says anything.
func (tf *core) reaches(config object) {
	tf.t.Helper()
	p := tf.plan(config)
	require.Empty(tf.t, summaries(p.diagnostics))
	require.Empty(tf.t, p.replaces)
	require.Empty(tf.t, summaries(tf.apply(p)))
}

// destroy plans and applies the end of the resource.
func (tf *core) destroy() []*tfprotov6.Diagnostic {
	tf.t.Helper()
	t := tf.poolType()
	null := tftypes.NewValue(t, nil)
	resp, err := tf.server.PlanResourceChange(tf.t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: poolType, Config: tf.dynamic(t, null), PriorState: tf.dynamic(t, tf.state),
		ProposedNewState: tf.dynamic(t, null), PriorPrivate: tf.private, PriorIdentity: tf.identity,
	})
	require.NoError(tf.t, err)
	if hasError(resp.Diagnostics) {
		return resp.Diagnostics
	}
	return append(resp.Diagnostics, tf.apply(plan{config: null, value: null, private: resp.PlannedPrivate, identity: resp.PlannedIdentity})...)
}

// refresh reads the resource and takes over what was read.
func (tf *core) refresh() []*tfprotov6.Diagnostic {
	tf.t.Helper()
	resp, err := tf.server.ReadResource(tf.t.Context(), &tfprotov6.ReadResourceRequest{
		TypeName: poolType, CurrentState: tf.dynamic(tf.poolType(), tf.state), Private: tf.private, CurrentIdentity: tf.identity,
	})
	require.NoError(tf.t, err)
	if !hasError(resp.Diagnostics) {
		tf.state, tf.private, tf.identity = tf.unpacked(resp.NewState), resp.Private, resp.NewIdentity
	}
	return resp.Diagnostics
}

// adopt imports a pool by its name and refreshes it.
func (tf *core) adopt(name string) []*tfprotov6.Diagnostic {
	tf.t.Helper()
	return tf.imports(&tfprotov6.ImportResourceStateRequest{TypeName: poolType, ID: name})
}

func (tf *core) imports(req *tfprotov6.ImportResourceStateRequest) []*tfprotov6.Diagnostic {
	tf.t.Helper()
	resp, err := tf.server.ImportResourceState(tf.t.Context(), req)
	require.NoError(tf.t, err)
	if hasError(resp.Diagnostics) {
		return resp.Diagnostics
	}
	require.Len(tf.t, resp.ImportedResources, 1)
	imported := resp.ImportedResources[0]
	tf.state, tf.private, tf.identity = tf.unpacked(imported.State), imported.Private, imported.Identity
	return append(resp.Diagnostics, tf.refresh()...)
}

func hasError(diagnostics []*tfprotov6.Diagnostic) bool {
	for _, d := range diagnostics {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			return true
		}
	}
	return false
}

// summaries lists diagnostics as "error: summary (path): detail".
func summaries(diagnostics []*tfprotov6.Diagnostic) []string {
	var lines []string
	for _, d := range diagnostics {
		severity := "warning"
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			severity = "error"
		}
		at := ""
		if d.Attribute != nil {
			at = fmt.Sprintf(" (%s)", dotted(d.Attribute))
		}
		lines = append(lines, fmt.Sprintf("%s: %s%s: %s", severity, d.Summary, at, d.Detail))
	}
	return lines
}

// dotted writes a protocol's path as the domain does.
func dotted(at *tftypes.AttributePath) string {
	text := ""
	for _, step := range at.Steps() {
		switch step := step.(type) {
		case tftypes.AttributeName:
			if text != "" {
				text += "."
			}
			text += string(step)
		case tftypes.ElementKeyInt:
			text += fmt.Sprintf("[%d]", int64(step))
		case tftypes.ElementKeyString:
			text += fmt.Sprintf("[%q]", string(step))
		}
	}
	return text
}

// shown is the present state's value at a dotted path: a string, an int64, a bool, nil or unknown.
func (tf *core) shown(at string) any { return plain(valueAt(tf.state, inHCL.Replace(at))) }

func plain(v tftypes.Value) any {
	if !v.IsKnown() {
		return unknown
	}
	if v.IsNull() {
		return nil
	}
	switch v := jsonValue(v).(type) {
	case fmt.Stringer:
		var n int64
		if _, err := fmt.Sscan(v.String(), &n); err == nil {
			return n
		}
		return v.String()
	default:
		return v
	}
}

// firstError is the first of the errors among diagnostics, nil if there is none.
func firstError(diagnostics []*tfprotov6.Diagnostic) error {
	for _, d := range diagnostics {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			return errors.New(summaries([]*tfprotov6.Diagnostic{d})[0])
		}
	}
	return nil
}
