package provider

import (
	"context"
	"fmt"

	query "github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// poolList is poolkeeper_resource_pool as a list resource, for terraform query: it finds pools to import.
type poolList struct{ poolResource }

var _ query.ListResourceWithConfigure = (*poolList)(nil)

func newPoolList() query.ListResource { return &poolList{} }

func (l *poolList) ListResourceConfigSchema(_ context.Context, _ query.ListResourceSchemaRequest, resp *query.ListResourceSchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The pools of the manager, by name, wherever they were declared. Nothing is claimed by being listed.",
		Attributes: map[string]schema.Attribute{
			"labels": schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Labels that a pool has to have. Left out, all pools are listed."},
		},
	}
}

// List tells the pools page by page, as long as somebody listens.
func (l *poolList) List(ctx context.Context, req query.ListRequest, stream *query.ListResultsStream) {
	stream.Results = func(push func(query.ListResult) bool) {
		result := req.NewListResult(ctx)
		manager, err := l.reach()
		if err != nil {
			result.Diagnostics.AddError("The pools cannot be listed", err.Error())
			push(result)
			return
		}
		labels, told := labelsAt(req.Config.Raw), int64(0)
		for view, err := range manager.EachPool(ctx) {
			if err != nil {
				result := req.NewListResult(ctx)
				result.Diagnostics.Append(refusal("The pools cannot be listed", err, nil)...)
				push(result)
				return
			}
			if !pool.Selects(labels, view.Spec.Labels) {
				continue
			}
			if told++; !push(l.result(ctx, req, view)) || told == req.Limit {
				return
			}
		}
	}
}

// result shows one pool.
func (l *poolList) result(ctx context.Context, req query.ListRequest, view pool.View) query.ListResult {
	result := req.NewListResult(ctx)
	result.DisplayName = view.Name
	result.Diagnostics.Append(identify(ctx, result.Identity, view.Name)...)
	if !req.IncludeResource {
		return result
	}
	t, ok := req.ResourceSchema.Type().TerraformType(ctx).(tftypes.Object)
	if !ok {
		result.Diagnostics.AddError("The pool cannot be shown", fmt.Sprintf("Its schema is of a %s. This is a bug of the provider; please report it.", req.ResourceSchema.Type()))
		return result
	}
	result.Resource.Raw = observe(t, tftypes.NewValue(t, nil), view)
	return result
}
