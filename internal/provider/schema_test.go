package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func poolSchema(t *testing.T) schema.Schema {
	t.Helper()
	var resp resource.SchemaResponse
	newPoolResource().Schema(t.Context(), resource.SchemaRequest{}, &resp)
	return resp.Schema
}

func TestSchemaIsSoundByTheFrameworksOwnRules(t *testing.T) {
	require.Empty(t, poolSchema(t).ValidateImplementation(t.Context()))
	newTerraform(t, newFake()) // a provider's schema is validated when the server hands it out
}

func TestSchemaHasEveryFieldOfTheTableWithItsMeaning(t *testing.T) {
	s := poolSchema(t)
	for _, f := range pool.Fields {
		t.Run(f.Path, func(t *testing.T) {
			a, diags := s.AttributeAtPath(t.Context(), attributePath(f.Path))
			require.False(t, diags.HasError(), "%v", diags)
			require.Contains(t, a.GetMarkdownDescription(), inHCL.Replace(f.Doc))
			require.Equal(t, f.Required && f.Path != "size" && !f.OneOf, a.IsRequired())
			require.Equal(t, !a.IsRequired(), a.IsOptional())
			require.Equal(t, f.Default != "", a.IsComputed())
			if f.Default != "" {
				require.Contains(t, a.GetMarkdownDescription(), "Default: `"+f.Default+"`.")
			}
		})
	}
}

func TestEveryObjectOfTheSpecIsDocumented(t *testing.T) {
	for _, path := range pool.Objects() {
		require.NotEmpty(t, objectDocs[path], path)
	}
	for path := range objectDocs {
		require.Contains(t, pool.Objects(), path)
	}
	for path := range hclNotes {
		_, ok := pool.FieldAt(path)
		require.True(t, ok, path)
	}
}

func TestCommandSaysHowAPortIsWrittenInHCL(t *testing.T) {
	f, _ := pool.FieldAt("worker.command")
	require.Contains(t, fieldDoc(f), "`$${PORT}`")
}

func TestWhatIsReportedIsOnlyComputed(t *testing.T) {
	s := poolSchema(t)
	for _, r := range reportedAttributes {
		a := s.Attributes[r.name]
		require.True(t, a.IsComputed() && !a.IsOptional() && !a.IsRequired(), r.name)
	}
}

func TestTokenIsSensitive(t *testing.T) {
	var resp provider.SchemaResponse
	newProvider("test", nil, noEnvironment())().Schema(t.Context(), provider.SchemaRequest{}, &resp)
	require.True(t, resp.Schema.Attributes["token"].IsSensitive())
}

func TestDefaultsOfThePlanAreTheDefaultsOfTheDomain(t *testing.T) {
	tf := newTerraform(t, newFake())
	for name, config := range map[string]object{
		"objects left out":        web(),
		"leaves left out":         web(object{"health": object{}, "remediation": object{}, "update": object{}, "drain": object{}, "logs": object{}}),
		"some of the leaves left": web(object{"health": object{"http": nil, "interval": "10s"}, "drain": object{"signal": "TERM"}}),
	} {
		t.Run(name, func(t *testing.T) {
			p := tf.plan(config)
			require.Empty(t, summaries(p.diagnostics))
			d := declare(p.value)
			require.Empty(t, d.faults)
			expected := pool.Default()
			size := int64(3)
			expected.Name, expected.Size, expected.Worker.Command = "web", &size, []string{"/bin/worker"}
			require.Equal(t, expected, d.spec)
			for _, f := range pool.Fields {
				if f.Default != "" {
					require.True(t, valueAt(p.value, f.Path).Equal(defaultValue(f)), "%s is %s", f.Path, valueAt(p.value, f.Path))
				}
			}
		})
	}
}

func TestDocsNeverShowATemplateThatTerraformWouldRead(t *testing.T) {
	for _, f := range pool.Fields {
		if strings.Contains(f.Doc, "${") {
			require.NotEmpty(t, hclNotes[f.Path], "%s shows ${…} without saying how it is written in HCL", f.Path)
		}
	}
}

// web is a valid configuration with changes laid over it.
func web(changes ...object) object {
	config := object{"name": "web", "size": 3, "worker": object{"command": list{"/bin/worker"}}}
	for _, c := range changes {
		config = overlaid(config, c)
	}
	return config
}

func overlaid(base, over object) object {
	result := object{}
	for name, v := range base {
		result[name] = v
	}
	for name, v := range over {
		inner, isObject := v.(object)
		was, wasObject := result[name].(object)
		if isObject && wasObject {
			result[name] = overlaid(was, inner)
		} else {
			result[name] = v
		}
	}
	return result
}

// at is the overlay that sets one dotted path.
func at(path string, v any) object {
	names := strings.Split(inHCL.Replace(path), ".")
	over := object{names[len(names)-1]: v}
	for i := len(names) - 2; i >= 0; i-- {
		over = object{names[i]: over}
	}
	return over
}

func TestValuesBelowAnUnknownAreUnknown(t *testing.T) {
	inner := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"b": tftypes.String}}
	outer := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"a": inner}}
	for name, row := range map[string]struct {
		v       any
		known   bool
		present bool
	}{
		"unknown object": {object{"a": unknown}, false, false},
		"unknown root":   {unknown, false, false},
		"null object":    {object{}, true, false},
		"null root":      {nil, true, false},
		"value":          {object{"a": object{"b": "x"}}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			v := valueAt(value(t, outer, row.v), "a.b")
			require.Equal(t, row.known, v.IsKnown())
			require.Equal(t, row.present, v.IsKnown() && !v.IsNull())
		})
	}
}

func TestReplacingAValueLeavesTheOriginalAlone(t *testing.T) {
	typ := newTerraform(t, newFake()).poolType()
	before := value(t, typ, full())
	after := withValues(before, map[string]tftypes.Value{
		"name": text("other"), "drain.timeout": text("1s"), "health.tcp.port": text("below a null"), "no.such": text("x"),
	})
	require.True(t, before.Equal(value(t, typ, full())))
	require.True(t, after.Equal(value(t, typ, overlaid(full(), object{"name": "other", "drain": object{"timeout": "1s"}}))))
}
