package provider

import (
	"context"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/numberdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// objectDocs says what each inner object of a spec is.
var objectDocs = map[string]string{
	"runtime":           "Where workers run. Left out, they are processes of the manager's host.",
	"runtime.process":   "Workers are processes of one host. May be left empty (`{}`).",
	"autoscaling":       "Lets the pool size itself by its leases: it grows at once when one waits for a slot, and loses workers that none has needed for `idle_timeout`. What it decides is no difference to the configuration.",
	"worker":            "What one worker is made from.",
	"worker_limits":     "Bounds of a worker's life.",
	"leases":            "What schedulers' claims on workers are worth.",
	"health":            "How a worker is checked. With one of `http`, `tcp`, `grpc` and `exec` it is asked; without any it is healthy while its process lives.",
	"health.http":       "A worker is healthy if it answers HTTP GET with a status from 200 to 399. May be left empty (`{}`).",
	"health.tcp":        "A worker is healthy if it accepts TCP connections. May be left empty (`{}`).",
	"health.grpc":       "A worker is healthy if its gRPC health service (`grpc.health.v1.Health`) answers `SERVING`. May be left empty (`{}`).",
	"health.exec":       "A worker is healthy if a command exits with code 0.",
	"remediation":       "Replacement of unhealthy workers.",
	"update":            "Bounds within which a rolling update replaces the workers.",
	"update.canary":     "Workers of the new template that go first, and whose success the rest waits for. May be left empty (`{}`).",
	"drain":             "How a worker is taken out of service: its endpoints are withdrawn, after `deregister_delay` its `hook` is told, it is waited for until it has no work, then come the `signal` and after `grace` the kill. A worker has work while a lease is held on it or `active_jobs` is not 0. For workers without both, `signal_at = \"start\"` lets them finish by themselves.",
	"drain.hook":        "What a draining worker is told.",
	"drain.hook.http":   "A POST to the worker. May be left empty (`{}`).",
	"drain.hook.exec":   "A command that runs beside the worker.",
	"drain.active_jobs": "Where a worker tells how many jobs it works on. May be left empty (`{}`).",
	"logs":              "What is kept of each worker's output.",
}

const templateNote = "In HCL, write `$${PORT}` for `${PORT}`: a single `$` would be Terraform's own template."

// hclNotes is what the docs of a field say beyond the table, because it is so in Terraform only.
var hclNotes = map[string]string{
	"autoscaling.min":     "Has to be set.",
	"autoscaling.max":     "Has to be set.",
	"worker.command":      templateNote,
	"health.exec.command": "Has to be set. " + templateNote,

	"drain.hook.exec.command": "Has to be set. " + templateNote,
}

var changeDocs = map[pool.Change]string{
	pool.ChangeNone:     "A change of it alone is not seen.",
	pool.ChangeCreation: "Read at creation only.",
	pool.ChangeHot:      "Changed in place; no worker is replaced.",
	pool.ChangeContract: "Changed in place; living workers follow without a restart.",
	pool.ChangeRolling:  "A change replaces the workers step by step.",
	pool.ChangeReplace:  "A change replaces the pool.",
}

// fieldDoc is a leaf's description, all of it out of the table.
func fieldDoc(f pool.Field) string {
	parts := []string{f.Doc}
	if note := hclNotes[f.Path]; note != "" {
		parts = append(parts, note)
	}
	switch {
	case f.Valid != "":
		parts = append(parts, "Valid: "+f.Valid+".")
	case len(f.Enum) > 0:
		parts = append(parts, "One of `"+strings.Join(f.Enum, "`, `")+"`.")
	case f.Min != "" && f.Max != "":
		parts = append(parts, fmt.Sprintf("From `%s` to `%s`.", f.Min, f.Max))
	case f.Max != "":
		parts = append(parts, fmt.Sprintf("A whole number, or a percentage up to `%s`.", f.Max))
	}
	if f.Default != "" {
		parts = append(parts, fmt.Sprintf("Default: `%s`.", f.Default))
	}
	return inHCL.Replace(strings.Join(append(parts, changeDocs[f.Change]), " "))
}

// requiredByTerraform: leaves of one-of objects are left to the validator, because Terraform does not know
// whether the objects are there.
func requiredByTerraform(f pool.Field) bool { return f.Required && !f.OneOf }

// poolAttributes is the schema of a pool as a resource: the table's fields, then what the manager tells.
func poolAttributes(ctx context.Context) map[string]schema.Attribute {
	attributes := specAttributes(ctx, specTree())
	for _, r := range reportedAttributes {
		attributes[r.name] = r.resourceAttribute()
	}
	attributes["timeouts"] = timeoutAttributes(ctx)
	attributes[onDestroy] = schema.StringAttribute{
		Optional: true, Validators: []validator.String{stringvalidator.OneOf(destroyDrains, destroyForces)},
		MarkdownDescription: "What a destroy, or a replacement, does with workers that have work: `drain` waits for it within `drain.timeout`, `force` stops them at once, and their jobs are lost. A change of it alone asks the manager nothing. Default: `drain`.",
	}
	return attributes
}

func specAttributes(ctx context.Context, object *node) map[string]schema.Attribute {
	attributes := map[string]schema.Attribute{}
	for _, m := range object.members {
		if m.field != nil {
			attributes[m.name] = leafAttribute(*m.field)
		} else {
			attributes[m.name] = objectAttribute(ctx, m)
		}
	}
	return attributes
}

// objectAttribute: an object that holds defaults has one itself, so that leaving out the object and leaving
// out its leaves come to the same.
func objectAttribute(ctx context.Context, n *node) schema.Attribute {
	a := schema.SingleNestedAttribute{
		Attributes:          specAttributes(ctx, n),
		MarkdownDescription: objectDocs[n.path],
		Required:            n.anyLeaf(requiredByTerraform),
	}
	a.Optional = !a.Required
	if a.Optional && n.anyLeaf(hasDefault) {
		a.Computed = true
		a.Default = objectdefault.StaticValue(defaultObject(ctx, n, a.GetType()))
	}
	return a
}

// defaultObject is the object that holds the table's defaults and is null elsewhere.
func defaultObject(ctx context.Context, n *node, t attr.Type) basetypes.ObjectValue {
	attrTypes := t.(attr.TypeWithAttributeTypes).AttributeTypes()
	values := map[string]attr.Value{}
	for _, m := range n.members {
		raw := tftypes.NewValue(attrTypes[m.name].TerraformType(ctx), nil)
		if m.field != nil && hasDefault(*m.field) {
			raw = defaultValue(*m.field)
		}
		value, err := attrTypes[m.name].ValueFromTerraform(ctx, raw)
		if err != nil {
			panic(fmt.Sprintf("the default of %s is not of its attribute's type: %v", m.path, err))
		}
		values[m.name] = value
	}
	return types.ObjectValueMust(attrTypes, values)
}

func leafAttribute(f pool.Field) schema.Attribute {
	doc, required := fieldDoc(f), requiredByTerraform(f)
	optional, computed := !required, hasDefault(f)
	judge := leafValidator{f}
	if f.Secret {
		return secretAttribute(doc)
	}
	switch f.Kind {
	case pool.KindInt:
		// Of a number that is not whole, the framework's own Int64Attribute says that it is a bug of the provider.
		a := schema.NumberAttribute{MarkdownDescription: doc, Required: required, Optional: optional, Computed: computed, Validators: []validator.Number{judge}}
		if computed {
			a.Default = numberdefault.StaticBigFloat(new(big.Float).SetInt64(defaultInt(f)))
		}
		return a
	case pool.KindBool:
		a := schema.BoolAttribute{MarkdownDescription: doc, Required: required, Optional: optional, Computed: computed}
		if computed {
			a.Default = booldefault.StaticBool(f.Default == "true")
		}
		return a
	case pool.KindList:
		return schema.ListAttribute{MarkdownDescription: doc, Required: required, Optional: optional, ElementType: types.StringType, Validators: []validator.List{judge}}
	case pool.KindMap:
		return schema.MapAttribute{MarkdownDescription: doc, Required: required, Optional: optional, ElementType: types.StringType}
	case pool.KindPorts, pool.KindWindows:
		// What an object needs is required by the domain's validator only: the framework takes what is required
		// of an unknown object for missing.
		members := map[string]schema.Attribute{}
		for _, m := range f.Kind.Members() {
			members[m.Name] = schema.StringAttribute{Optional: true, MarkdownDescription: m.Doc, CustomType: stringType(m.Kind)}
		}
		return schema.ListNestedAttribute{
			MarkdownDescription: doc, Required: required, Optional: optional, NestedObject: schema.NestedAttributeObject{Attributes: members},
		}
	}
	a := schema.StringAttribute{MarkdownDescription: doc, Required: required, Optional: optional, Computed: computed, Validators: []validator.String{judge}, CustomType: stringType(f.Kind)}
	if computed {
		a.Default = stringdefault.StaticString(f.Default)
	}
	return a
}

// stringType is nil for plain strings, which need no type of their own.
func stringType(kind pool.Kind) basetypes.StringTypable {
	if _, several := meanings[kind]; several {
		return writtenType{kind: kind}
	}
	return nil
}

// defaultValue is a field's default as Terraform holds it.
func defaultValue(f pool.Field) tftypes.Value {
	switch f.Kind {
	case pool.KindInt:
		return tftypes.NewValue(tftypes.Number, defaultInt(f))
	case pool.KindBool:
		return tftypes.NewValue(tftypes.Bool, f.Default == "true")
	}
	return tftypes.NewValue(tftypes.String, f.Default)
}

func defaultInt(f pool.Field) int64 {
	n, err := strconv.ParseInt(f.Default, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("the table's default of %s is no number: %v", f.Path, err))
	}
	return n
}
