package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// ImportState finds a pool by its name, as the id or as the identity. The refresh that follows reads it by its uid, which claims it.
func (r *poolResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	name, diags := sought(ctx, req)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	manager, err := r.reach()
	if err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("Pool %q cannot be imported", name), err.Error())
		return
	}
	if field, ok := pool.FieldAt("name"); ok {
		if faults := field.Check(name); len(faults) > 0 {
			resp.Diagnostics.AddError("This is no name of a pool", "A pool is imported by its name. "+faults.Error())
			return
		}
	}
	view, err := manager.Pool(ctx, name)
	if err != nil {
		resp.Diagnostics.Append(refusal(fmt.Sprintf("Pool %q cannot be imported", name), err, nil)...)
		return
	}
	if view.Phase == pool.PhaseDeleting {
		resp.Diagnostics.AddError(fmt.Sprintf("Pool %q cannot be imported", name), "It is being destroyed. "+advice[client.ProblemDeleting])
		return
	}
	m := memory{}
	m.remember(view)
	if m.Manager, err = r.managerID(ctx); err != nil {
		resp.Diagnostics.Append(unreadable(name, m, err)...)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("name"), view.Name)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), view.UID)...)
	resp.Diagnostics.Append(identify(ctx, resp.Identity, view.Name)...)
	resp.Diagnostics.Append(m.keep(ctx, resp.Private)...)
}
