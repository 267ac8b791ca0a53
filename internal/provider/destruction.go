package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// onDestroy is the attribute that says how; Terraform alone keeps it.
const (
	onDestroy     = "on_destroy"
	destroyDrains = "drain"
	destroyForces = "force"
)

// Delete destroys the pool and waits until nothing of it is left. A destroy that is under way is joined,
// and one that failed is tried again.
func (r *poolResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	name := textAt(req.State.Raw, "name")
	manager, err := r.reach()
	if err != nil {
		resp.Diagnostics.AddError(fmt.Sprintf("Pool %q cannot be destroyed", name), err.Error())
		return
	}
	timeout, diags := timeoutOf(ctx, req.State, timeouts.Value.Delete)
	resp.Diagnostics.Append(diags...)
	m, diags := recall(ctx, req.Private, textAt(req.State.Raw, "id"))
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx = client.Expecting(ctx, m.Manager)
	late, done := graced(ctx)
	accepted, err := manager.Delete(late, m.UID, textAt(req.State.Raw, onDestroy) == destroyForces, client.Change{Reason: r.reason})
	done()
	switch {
	case isProblem(err, client.ProblemNotFound):
		resp.Diagnostics.Append(r.absent(ctx, manager, name, m, err)...)
		return
	case isProblem(err, client.ProblemOtherManager):
		resp.Diagnostics.Append(otherManager(name, m, "", err)...)
		return
	case err != nil:
		resp.Diagnostics.Append(unreached(fmt.Sprintf("Pool %q cannot be destroyed", name), m, err)...)
		return
	}
	w := await(ctx, manager, accepted.Operation, timeout)
	if w.ending == ended && w.operation.Phase == pool.OperationSucceeded {
		return
	}
	ctx, cancel := afterwards(ctx)
	defer cancel()
	resp.Diagnostics.Append(destructionEnded(name, w, remains(ctx, manager, m.UID))...)
}

// destructionEnded says why a destroy that was accepted left something.
func destructionEnded(name string, w wait, remains string) (diags diag.Diagnostics) {
	op := w.operation
	switch {
	case w.ending != ended:
		diags.AddError(fmt.Sprintf("Pool %q is still being destroyed", name),
			fmt.Sprintf("%s %s Destroy again to wait for its end.\n\n%s", w.why(), w.goesOn(), remains))
	case op.Phase == pool.OperationFailed:
		return failure(fmt.Sprintf("Pool %q could not be destroyed", name), op, remains+"\n\nDestroy again to try again.")
	default:
		diags.AddError(fmt.Sprintf("Pool %q is still being destroyed", name),
			fmt.Sprintf("Somebody else took the destroy over: %s. Destroy again to wait for its end.\n\n%s", op.Reason, remains))
	}
	return diags
}

// remains names the workers that a destroy has left so far.
func remains(ctx context.Context, manager client.Manager, uid string) string {
	workers, err := manager.Workers(ctx, uid)
	if err != nil {
		return fmt.Sprintf("What is left of it cannot be told: %v", err)
	}
	var lines []string
	for _, w := range workers {
		if w.State.Ended() {
			continue
		}
		line := fmt.Sprintf("  worker %s is %s", w.ID, w.State)
		if w.Instance.PID != 0 {
			line += fmt.Sprintf(" (process %d)", w.Instance.PID)
		}
		if w.Reason != "" {
			line += ": " + w.Reason
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return "No worker is left."
	}
	return "Left of it:\n" + strings.Join(lines, "\n")
}
