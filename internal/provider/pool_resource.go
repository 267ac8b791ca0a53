package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// poolResource is poolkeeper_resource_pool as a resource: creation.go, update.go, refresh.go,
// destruction.go and importing.go hold what it does.
type poolResource struct{ *connection }

var (
	_ resource.ResourceWithConfigure      = (*poolResource)(nil)
	_ resource.ResourceWithIdentity       = (*poolResource)(nil)
	_ resource.ResourceWithImportState    = (*poolResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*poolResource)(nil)
	_ resource.ResourceWithValidateConfig = (*poolResource)(nil)
)

func newPoolResource() resource.Resource { return &poolResource{} }

// typeName is both the resource's and the data source's.
const typeName = "_resource_pool"

func (r *poolResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + typeName
}

func (r *poolResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A pool of interchangeable long-lived workers. An apply ends when the pool has reached what was asked for, or fails with the reason.",
		Attributes:          poolAttributes(ctx),
	}
}

func (r *poolResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.connection = connectionOf(req.ProviderData, &resp.Diagnostics)
}

// connectionOf is nil before the provider is configured, as it is for a validation.
func connectionOf(providerData any, diags *diag.Diagnostics) *connection {
	if providerData == nil {
		return nil
	}
	c, ok := providerData.(*connection)
	if !ok {
		diags.AddError("The provider is not configured", fmt.Sprintf("Its data is a %T. This is a bug of the provider; please report it.", providerData))
	}
	return c
}

// ValidateConfig judges all that is known of the configuration by the domain's rules.
func (r *poolResource) ValidateConfig(_ context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	d := declare(req.Config.Raw)
	resp.Diagnostics.Append(faultDiagnostics(asError(d.faults))...)
	resp.Diagnostics.Append(faultDiagnostics(pool.Validate(d.spec, d.isUnjudged))...)
}

// ModifyPlan makes the plan say what the apply will do. It decides that without the manager, which is only asked for
// the warnings of an update.
func (r *poolResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	m, diags := recall(ctx, req.Private, "")
	resp.Diagnostics.Append(diags...)
	var p planned
	switch {
	case req.Plan.Raw.IsNull():
		resp.Diagnostics.Append(planDestruction(req.State.Raw, m)...)
		resp.Diagnostics.Append(warnOfDestruction(req.State.Raw)...)
		return
	case req.State.Raw.IsNull():
		p = planCreation(req.Plan.Raw)
	default:
		p = planUpdate(req.State.Raw, req.Plan.Raw, m)
		resp.Diagnostics.Append(r.foresee(ctx, req.State.Raw, req.Plan.Raw, m, p)...)
	}
	resp.Diagnostics.Append(p.diags...)
	resp.Plan.Raw = p.value
	for _, at := range p.replaces {
		resp.RequiresReplace.Append(attributePath(at))
	}
}

// viewAfter is the pool after an apply, as the manager tells now. A pool that cannot be read any more is
// shown as it was when the change was accepted.
func viewAfter(ctx context.Context, manager client.Manager, accepted client.Accepted, w wait) pool.View {
	read, ref := manager.PoolByUID, accepted.Pool.UID
	if w.ending == interrupted {
		// Asking by the uid claims the pool. A Terraform that is told to stop twice does not keep this state,
		// and could then not take up the pool that it has begun.
		read, ref = manager.Pool, accepted.Pool.Name
	}
	if now, err := read(ctx, ref); err == nil && now.UID == accepted.Pool.UID {
		return now
	}
	view := accepted.Pool
	view.Status.Operation = &w.operation
	return view
}

// stateAfter is the state after an apply: what was planned, and what the manager tells.
func stateAfter(plan tftypes.Value, view pool.View) tftypes.Value {
	values := report(plan, view)
	if last := valueAt(plan, lastChange); last.IsKnown() {
		values[lastChange] = last
	}
	return withValues(plan, values)
}
