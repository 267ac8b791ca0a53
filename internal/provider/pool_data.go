package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// poolData is poolkeeper_resource_pool as a data source: any pool of the manager, by name.
type poolData struct{ *connection }

var _ datasource.DataSourceWithConfigure = (*poolData)(nil)

func newPoolData() datasource.DataSource { return &poolData{} }

func (d *poolData) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + typeName
}

func (d *poolData) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := dataAttributes(specTree())
	attributes["name"] = schema.StringAttribute{Required: true, MarkdownDescription: "Name of the pool.", Validators: nameValidators()}
	for _, r := range reportedAttributes {
		attributes[r.name] = r.dataAttribute()
	}
	attributes["status"] = schema.SingleNestedAttribute{
		Computed: true, MarkdownDescription: "What the pool's workers are doing.", Attributes: statusAttributes(),
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A pool that exists, wherever it was declared: its spec with all defaults, and how it stands.",
		Attributes:          attributes,
	}
}

func (d *poolData) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.connection = connectionOf(req.ProviderData, &resp.Diagnostics)
}

func (d *poolData) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	name := textAt(req.Config.Raw, "name")
	manager, err := d.reach()
	if err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("Pool %q cannot be read", name), err.Error())
		return
	}
	view, err := manager.Pool(ctx, name)
	if err != nil {
		resp.Diagnostics.Append(refusal(fmt.Sprintf("Pool %q cannot be read", name), err, namedPlaces)...)
		return
	}
	t, ok := req.Config.Raw.Type().(tftypes.Object)
	if !ok {
		resp.Diagnostics.AddError("The configuration cannot be read", fmt.Sprintf("It is a %s. This is a bug of the provider; please report it.", req.Config.Raw.Type()))
		return
	}
	state := observe(t, tftypes.NewValue(t, nil), view)
	resp.State.Raw = withValues(state, map[string]tftypes.Value{
		"runtime": hostedBy(t.AttributeTypes["runtime"], view.Host),
		"status":  statusValue(t.AttributeTypes["status"], view.Status),
	})
}

// nameValidators judge a name as they do for the resource. A uid, above all, is no name.
func nameValidators() []validator.String {
	field, _ := pool.FieldAt("name")
	return []validator.String{leafValidator{field}}
}

// hostedBy is the runtime of a pool whose workers are processes of a host; of one that is not named if it is empty.
func hostedBy(t tftypes.Type, host string) tftypes.Value {
	process, named := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"host": tftypes.String}}, text(host)
	if host == "" {
		named = tftypes.NewValue(tftypes.String, nil)
	}
	return tftypes.NewValue(t, map[string]tftypes.Value{
		"process": tftypes.NewValue(process, map[string]tftypes.Value{"host": named}),
	})
}

// dataAttributes is the spec as attributes that are only read.
func dataAttributes(object *node) map[string]schema.Attribute {
	attributes := map[string]schema.Attribute{}
	for _, m := range object.members {
		if m.field != nil && m.field.Secret {
			continue
		}
		if m.field != nil {
			attributes[m.name] = dataLeaf(*m.field)
		} else {
			attributes[m.name] = schema.SingleNestedAttribute{
				Computed: true, MarkdownDescription: objectDocs[m.path], Attributes: dataAttributes(m),
			}
		}
	}
	return attributes
}

func dataLeaf(f pool.Field) schema.Attribute {
	switch f.Kind {
	case pool.KindInt:
		return schema.Int64Attribute{Computed: true, MarkdownDescription: inHCL.Replace(f.Doc)}
	case pool.KindBool:
		return schema.BoolAttribute{Computed: true, MarkdownDescription: inHCL.Replace(f.Doc)}
	case pool.KindList:
		return schema.ListAttribute{Computed: true, MarkdownDescription: inHCL.Replace(f.Doc), ElementType: types.StringType}
	case pool.KindMap:
		return schema.MapAttribute{Computed: true, MarkdownDescription: inHCL.Replace(f.Doc), ElementType: types.StringType}
	case pool.KindPorts, pool.KindWindows:
		members := map[string]schema.Attribute{}
		for _, m := range f.Kind.Members() {
			members[m.Name] = schema.StringAttribute{Computed: true, MarkdownDescription: m.Doc, CustomType: stringType(m.Kind)}
		}
		return schema.ListNestedAttribute{Computed: true, MarkdownDescription: inHCL.Replace(f.Doc), NestedObject: schema.NestedAttributeObject{Attributes: members}}
	}
	return schema.StringAttribute{Computed: true, MarkdownDescription: inHCL.Replace(f.Doc), CustomType: stringType(f.Kind)}
}

// statusCounts are the numbers of a status.
var statusCounts = []struct {
	name, doc string
	count     func(pool.Status) int
}{
	{"desired", "Workers that there should be.", func(s pool.Status) int { return s.Desired }},
	{"current", "Workers that run, draining ones included.", func(s pool.Status) int { return s.Current }},
	{"ready", "Workers that are ready and not draining.", func(s pool.Status) int { return s.Ready }},
	{"available", "Ready workers that pass their check since `update.min_ready`.", func(s pool.Status) int { return s.Available }},
	{"unhealthy", "Workers that fail their check.", func(s pool.Status) int { return s.Unhealthy }},
	{"draining", "Workers that are on their way out.", func(s pool.Status) int { return s.Draining }},
	{"old", "Workers made from another template than the newest.", func(s pool.Status) int { return s.Old }},
	{"missing", "Workers that should be there and are not, while no operation runs.", func(s pool.Status) int { return s.Missing }},
}

func statusAttributes() map[string]schema.Attribute {
	attributes := map[string]schema.Attribute{
		"reason":         schema.StringAttribute{Computed: true, MarkdownDescription: "Why the pool is in its `state`, if there is more to say."},
		"health_reasons": schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Why `health_status` is not `healthy`."},
	}
	for _, c := range statusCounts {
		attributes[c.name] = schema.Int64Attribute{Computed: true, MarkdownDescription: c.doc}
	}
	return attributes
}

func statusValue(t tftypes.Type, s pool.Status) tftypes.Value {
	reasons := make([]tftypes.Value, len(s.HealthReasons))
	for i, reason := range s.HealthReasons {
		reasons[i] = text(reason)
	}
	values := map[string]tftypes.Value{
		"reason":         text(s.Reason),
		"health_reasons": tftypes.NewValue(tftypes.List{ElementType: tftypes.String}, reasons),
	}
	for _, c := range statusCounts {
		values[c.name] = number(int64(c.count(s)))
	}
	return tftypes.NewValue(t, values)
}
