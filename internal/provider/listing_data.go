package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

// listing is a data source that lists what the manager tells: one row for each T. listings.go has them all.
type listing[T any] struct {
	name    string // of the type, behind the provider's, and of the attribute with the rows
	doc     string
	inputs  map[string]schema.Attribute
	columns []column[T]
	read    func(ctx context.Context, m client.Manager, config tftypes.Value) ([]T, error)
}

// column is one attribute of a row.
type column[T any] struct {
	name, doc string
	kind      attr.Type
	value     func(T) tftypes.Value
}

// listingData serves a listing.
type listingData[T any] struct {
	listing[T]
	*connection
}

func (l listing[T]) source() datasource.DataSource { return &listingData[T]{listing: l} }

func (d *listingData[T]) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_" + d.name
}

func (d *listingData[T]) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	row := map[string]schema.Attribute{}
	for _, c := range d.columns {
		row[c.name] = c.attribute()
	}
	attributes := map[string]schema.Attribute{
		d.name: schema.ListNestedAttribute{Computed: true, MarkdownDescription: d.doc, NestedObject: schema.NestedAttributeObject{Attributes: row}},
	}
	for name, a := range d.inputs {
		attributes[name] = a
	}
	resp.Schema = schema.Schema{MarkdownDescription: d.doc, Attributes: attributes}
}

func (d *listingData[T]) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.connection = connectionOf(req.ProviderData, &resp.Diagnostics)
}

func (d *listingData[T]) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	summary := fmt.Sprintf("The %s cannot be read", d.name)
	if name := textAt(req.Config.Raw, "name"); name != "" {
		summary = fmt.Sprintf("The %s of pool %q cannot be read", d.name, name)
	}
	manager, err := d.reach()
	if err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
		return
	}
	rows, err := d.read(ctx, manager, req.Config.Raw)
	if err != nil {
		resp.Diagnostics.Append(refusal(summary, err, namedPlaces)...)
		return
	}
	resp.State.Raw = withValues(req.Config.Raw, map[string]tftypes.Value{d.name: d.table(ctx, rows)})
}

// table is the rows as a value of the schema's type.
func (l listing[T]) table(ctx context.Context, rows []T) tftypes.Value {
	row := tftypes.Object{AttributeTypes: map[string]tftypes.Type{}}
	for _, c := range l.columns {
		row.AttributeTypes[c.name] = c.kind.TerraformType(ctx)
	}
	values := make([]tftypes.Value, len(rows))
	for i, r := range rows {
		members := map[string]tftypes.Value{}
		for _, c := range l.columns {
			members[c.name] = c.value(r)
		}
		values[i] = tftypes.NewValue(row, members)
	}
	return tftypes.NewValue(tftypes.List{ElementType: row}, values)
}

func (c column[T]) attribute() schema.Attribute {
	switch kind := c.kind.(type) {
	case basetypes.StringType:
		return schema.StringAttribute{Computed: true, MarkdownDescription: c.doc}
	case basetypes.Int64Type:
		return schema.Int64Attribute{Computed: true, MarkdownDescription: c.doc}
	case basetypes.BoolType:
		return schema.BoolAttribute{Computed: true, MarkdownDescription: c.doc}
	case basetypes.MapType:
		return schema.MapAttribute{Computed: true, MarkdownDescription: c.doc, ElementType: kind.ElemType}
	}
	panic(fmt.Sprintf("a column cannot be a %s", c.kind))
}
