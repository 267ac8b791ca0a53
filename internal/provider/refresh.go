package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Read takes in what the manager shows. A pool is gone only if the manager that had it says so.
func (r *poolResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	name := textAt(req.State.Raw, "name")
	resp.Diagnostics.Append(identify(ctx, resp.Identity, name)...) // wanted of one that is gone, too
	manager, err := r.reach()
	if err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("Pool %q cannot be read", name), err.Error())
		return
	}
	m, diags := recall(ctx, req.Private, textAt(req.State.Raw, "id"))
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx = client.Expecting(ctx, m.Manager)
	view, err := manager.PoolByUID(ctx, m.UID)
	switch {
	case err == nil && view.Phase == pool.PhaseDestroyed:
		tflog.Warn(ctx, "the pool was destroyed outside of this configuration", map[string]any{"pool": name, "uid": m.UID})
		resp.State.RemoveResource(ctx)
		return
	case isProblem(err, client.ProblemNotFound):
		diags := r.absent(ctx, manager, name, m, err)
		resp.Diagnostics.Append(diags...)
		if !diags.HasError() {
			resp.State.RemoveResource(ctx)
		}
		return
	case isProblem(err, client.ProblemOtherManager):
		resp.Diagnostics.Append(otherManager(name, m, "", err)...)
		return
	case err != nil:
		resp.Diagnostics.Append(unreadable(name, m, err)...)
		return
	}
	if m.Manager == "" {
		if m.Manager, err = r.managerID(ctx); err != nil {
			resp.Diagnostics.Append(unreadable(name, m, err)...)
			return
		}
	}
	t, ok := req.State.Raw.Type().(tftypes.Object)
	if !ok {
		resp.Diagnostics.AddError("The state cannot be read", fmt.Sprintf("It is a %s. This is a bug of the provider; please report it.", req.State.Raw.Type()))
		return
	}
	resp.State.Raw = observe(t, req.State.Raw, view)
	m.remember(view)
	resp.Diagnostics.Append(m.keep(ctx, resp.Private)...)
	resp.Diagnostics.Append(unfitWorkers(view)...)
}

// absent judges a manager's answer that it does not have the pool: it is gone if the manager is the one
// that had it, and cannot be judged by any other.
func (r *poolResource) absent(ctx context.Context, manager client.Manager, name string, m memory, absence error) (diags diag.Diagnostics) {
	now, err := manager.Manager(ctx)
	switch {
	case err != nil:
		return unreadable(name, m, err)
	case m.Manager == "" || now.ID != m.Manager:
		return otherManager(name, m, now.ID, absence)
	}
	tflog.Warn(ctx, "the manager has no such pool any more", map[string]any{"pool": name, "uid": m.UID, "manager": now.ID})
	return nil
}

func otherManager(name string, m memory, answered string, err error) (diags diag.Diagnostics) {
	had, other := "an unknown manager", "another one"
	if m.Manager != "" {
		had = "manager " + m.Manager
	}
	if answered != "" {
		other = "manager " + answered
	}
	diags.AddError(fmt.Sprintf("Pool %q is another manager's", name),
		fmt.Sprintf("The pool (%s) is with %s, but %s answered: %v.\n\nNothing is known of the pool, so it is not taken as gone. Set the provider's endpoint or data_dir to the manager that has it. If that manager and its pools are gone for good, remove the pool from the state: terraform state rm <address of this resource>.", m.UID, had, other, err))
	return diags
}

func unreadable(name string, m memory, err error) (diags diag.Diagnostics) {
	detail := fmt.Sprintf("%v\n\nNothing is known of the pool (%s), so it is not taken as gone.", err, m.UID)
	if where := m.whereabouts(err); where != "" {
		detail += " " + where
	}
	diags.AddError(fmt.Sprintf("Pool %q cannot be read", name), detail)
	return diags
}

// unfitWorkers warns of workers that should be there or be healthy. They are no difference to mend: the
// manager does.
func unfitWorkers(view pool.View) (diags diag.Diagnostics) {
	s := view.Status
	warn := func(count int, pools, what, cure string) {
		if count == 0 {
			return
		}
		detail := fmt.Sprintf("%d of %d workers are %s; %s.", count, s.Desired, what, cure)
		if len(s.HealthReasons) > 0 {
			detail += "\n\n" + strings.Join(s.HealthReasons, "\n")
		}
		diags.AddWarning(fmt.Sprintf("Pool %q %s", view.Name, pools), detail)
	}
	replacing, remedied := "the manager is replacing them", remedy(view.Spec.Remediation)
	if view.Paused {
		replacing = fmt.Sprintf("the pool is paused, so nothing is done about it before: poolkeeper pool resume %s", view.Name)
		remedied = replacing
	}
	warn(s.Missing, "is not complete", "missing", replacing)
	warn(s.Unhealthy, "has unhealthy workers", "unhealthy", remedied)
	return diags
}

// remedy is what becomes of unhealthy workers.
func remedy(r pool.Remediation) string {
	if !r.Enabled {
		return "remediation.enabled is false, so they stay as they are"
	}
	return fmt.Sprintf("the manager replaces them, one at a time while they are more than %s (remediation.max_unhealthy)", r.MaxUnhealthy)
}
