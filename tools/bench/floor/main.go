// Floor is a provider that does nothing: its one resource has the attributes of poolkeeper_resource_pool and no
// behavior. What Terraform takes to plan it is what any provider with such a schema has to take.
package main

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	poolkeeper "github.com/poolkeeper/terraform-provider-poolkeeper/internal/provider"
)

// address differs from the real provider's, so that one mirror holds both.
const address = "registry.terraform.io/poolkeeper/floor"

func main() {
	err := providerserver.Serve(context.Background(), func() provider.Provider { return floor{} }, providerserver.ServeOpts{Address: address})
	if err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

type floor struct{}

func (floor) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "poolkeeper" // so that the same configuration fits both providers
}

func (floor) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse) {}

func (floor) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {}

func (floor) DataSources(context.Context) []func() datasource.DataSource { return nil }

func (floor) Resources(ctx context.Context) []func() resource.Resource {
	genuine := poolkeeper.New("floor", "")().Resources(ctx)[0]
	return []func() resource.Resource{func() resource.Resource { return idle{genuine()} }}
}

// idle keeps what it was given.
type idle struct{ genuine resource.Resource }

func (i idle) Metadata(ctx context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	i.genuine.Metadata(ctx, req, resp)
}

func (i idle) Schema(ctx context.Context, req resource.SchemaRequest, resp *resource.SchemaResponse) {
	var genuine resource.SchemaResponse
	i.genuine.Schema(ctx, req, &genuine)
	resp.Schema = schema.Schema{Attributes: bareAll(genuine.Schema.Attributes)}
}

func (idle) Create(_ context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	filled, err := tftypes.Transform(req.Plan.Raw, fill)
	if err != nil {
		resp.Diagnostics.AddError("The floor cannot make up a value", err.Error())
		return
	}
	resp.State.Raw = filled
}

// ModifyPlan keeps what was made up, as the real one keeps what it knows: the framework takes all of it for
// unknown as soon as anything differs.
func (idle) ModifyPlan(_ context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.State.Raw.IsNull() || req.Plan.Raw.IsNull() {
		return
	}
	kept, err := tftypes.Transform(req.Plan.Raw, func(path *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
		if v.IsKnown() {
			return v, nil
		}
		if was, _, err := tftypes.WalkAttributePath(req.State.Raw, path); err == nil {
			return was.(tftypes.Value), nil
		}
		return v, nil
	})
	if err != nil {
		resp.Diagnostics.AddError("The floor cannot keep a value", err.Error())
		return
	}
	resp.Plan.Raw = kept
}

func (idle) Read(context.Context, resource.ReadRequest, *resource.ReadResponse) {}

func (idle) Update(_ context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.State.Raw = req.Plan.Raw
}

func (idle) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}

// fill puts a value of the right type where a provider would put what it finds out, so that the floor's state
// is about as large as the real one.
func fill(_ *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
	if v.IsKnown() {
		return v, nil
	}
	return made(v.Type())
}

func made(t tftypes.Type) (tftypes.Value, error) {
	switch t := t.(type) {
	case tftypes.Object:
		members := map[string]tftypes.Value{}
		for name, of := range t.AttributeTypes {
			member, err := made(of)
			if err != nil {
				return member, err
			}
			members[name] = member
		}
		return tftypes.NewValue(t, members), nil
	case tftypes.List, tftypes.Map, tftypes.Set:
		return tftypes.NewValue(t, nil), nil
	}
	switch {
	case t.Is(tftypes.String):
		return tftypes.NewValue(t, "floor"), nil
	case t.Is(tftypes.Number):
		return tftypes.NewValue(t, new(big.Float)), nil
	case t.Is(tftypes.Bool):
		return tftypes.NewValue(t, false), nil
	}
	return tftypes.Value{}, fmt.Errorf("no value is known for type %s", t)
}

// bareAll is attributes without validators, defaults, plan modifiers and types of their own.
func bareAll(attributes map[string]schema.Attribute) map[string]schema.Attribute {
	all := maps.Clone(attributes)
	for name, a := range all {
		all[name] = bare(a)
	}
	return all
}

func bare(a schema.Attribute) schema.Attribute {
	switch a := a.(type) {
	case schema.StringAttribute:
		return schema.StringAttribute{Required: a.Required, Optional: a.Optional, Computed: a.Computed, Sensitive: a.Sensitive, MarkdownDescription: a.MarkdownDescription}
	case schema.Int64Attribute:
		return schema.Int64Attribute{Required: a.Required, Optional: a.Optional, Computed: a.Computed, MarkdownDescription: a.MarkdownDescription}
	case schema.NumberAttribute:
		return schema.NumberAttribute{Required: a.Required, Optional: a.Optional, Computed: a.Computed, MarkdownDescription: a.MarkdownDescription}
	case schema.BoolAttribute:
		return schema.BoolAttribute{Required: a.Required, Optional: a.Optional, Computed: a.Computed, MarkdownDescription: a.MarkdownDescription}
	case schema.ListAttribute:
		return schema.ListAttribute{ElementType: a.ElementType, Required: a.Required, Optional: a.Optional, Computed: a.Computed, MarkdownDescription: a.MarkdownDescription}
	case schema.MapAttribute:
		return schema.MapAttribute{ElementType: a.ElementType, Required: a.Required, Optional: a.Optional, Computed: a.Computed, WriteOnly: a.WriteOnly, Sensitive: a.Sensitive, MarkdownDescription: a.MarkdownDescription}
	case schema.ListNestedAttribute:
		return schema.ListNestedAttribute{NestedObject: schema.NestedAttributeObject{Attributes: bareAll(a.NestedObject.Attributes)},
			Required: a.Required, Optional: a.Optional, Computed: a.Computed, MarkdownDescription: a.MarkdownDescription}
	case schema.SingleNestedAttribute:
		return schema.SingleNestedAttribute{Attributes: bareAll(a.Attributes),
			Required: a.Required, Optional: a.Optional, Computed: a.Computed, MarkdownDescription: a.MarkdownDescription}
	}
	panic(fmt.Sprintf("the floor does not know attributes of the type %T: add it, so that both schemas stay the same", a))
}
