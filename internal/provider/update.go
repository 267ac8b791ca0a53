package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Update puts the planned spec on the pool and waits until it is reached. A spec that the pool has already
// is answered with the operation that is under way, or with another attempt at one that failed. An error
// never taints; the state then says what the pool is like, so that the next plan finds what is left to do.
func (r *poolResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.Diagnostics.Append(identify(ctx, resp.Identity, textAt(req.Plan.Raw, identityName))...)
	if asksNothing(req.Plan.Raw) {
		resp.State.Raw = req.Plan.Raw
		return
	}
	manager, err := r.reach()
	if err != nil {
		resp.Diagnostics.AddError("The pool cannot be updated", err.Error())
		return
	}
	timeout, diags := timeoutOf(ctx, req.Plan, timeouts.Value.Update)
	resp.Diagnostics.Append(diags...)
	m, diags := recall(ctx, req.Private, textAt(req.State.Raw, "id"))
	resp.Diagnostics.Append(diags...)
	d := declare(req.Plan.Raw)
	resp.Diagnostics.Append(faultDiagnostics(asError(d.faults))...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx = client.Expecting(ctx, m.Manager)
	if m.Generation == 0 { // the memory is lost: the change is based on the newest, but on no other pool
		view, err := manager.PoolByUID(ctx, m.UID)
		if err != nil {
			resp.Diagnostics.Append(updateRefused(d.spec.Name, m, err)...)
			return
		}
		m.remember(view)
	}
	asked := d.spec
	if newSecrets(req.State.Raw, req.Plan.Raw) {
		asked = withSecrets(asked, req.Config.Raw)
	}
	late, done := graced(ctx)
	accepted, err := manager.Update(late, asked, client.Change{Reason: r.reason, ETag: m.etag()})
	done()
	if err != nil {
		resp.Diagnostics.Append(updateRefused(d.spec.Name, m, err)...)
		return
	}
	w := await(ctx, manager, accepted.Operation, timeout)

	ctx, cancel := afterwards(ctx)
	defer cancel()
	view := viewAfter(ctx, manager, accepted, w)
	resp.State.Raw = stateAfter(req.Plan.Raw, view)
	m.remember(accepted.Pool)
	m.Unborn = view.ConvergedGeneration == 0
	resp.Diagnostics.Append(updateEnded(view, w)...)
	if differs := changedMeanwhile(accepted, view, w); differs != "" && !resp.Diagnostics.HasError() {
		resp.Diagnostics.AddError(supersededSummary(view.Name), differs+" Plan again.")
	}
	if t, ok := req.Plan.Raw.Type().(tftypes.Object); ok && resp.Diagnostics.HasError() { // it may be otherwise than planned, as after a rollback
		resp.State.Raw = observe(t, req.Plan.Raw, view)
		m.remember(view)
	}
	resp.Diagnostics.Append(m.keep(ctx, resp.Private)...)
}

// asksNothing: a plan that leaves the operation as it is changes only what Terraform itself keeps, like
// the timeouts.
func asksNothing(plan tftypes.Value) bool { return valueAt(plan, "operation").IsFullyKnown() }

// updateFailures are the phases in which a change has not reached what was asked for, and what to do then.
var updateFailures = map[pool.OperationPhase]string{
	pool.OperationFailed:   "The pool has the new spec, and its manager keeps trying. Mend the configuration and apply again.",
	pool.OperationReverted: "The pool has returned to its last good revision. Mend the configuration and apply again.",
	pool.OperationCanceled: "A person ended it, and the pool has returned to its last good revision. Apply again to try once more.",
	pool.OperationPaused:   "It waits where it is. Have it go on (poolkeeper pool resume), take a rollout back (poolkeeper rollout abort), or mend the configuration and apply again.",
}

// updateEnded says how a change that was accepted came out.
func updateEnded(view pool.View, w wait) (diags diag.Diagnostics) {
	switch {
	case w.cutShortBy(view):
		return destroyedMeanwhile(view, w, "updated")
	case w.ending != ended:
		diags.AddError(fmt.Sprintf("Pool %q is still being updated", view.Name),
			fmt.Sprintf("%s %s The next apply waits for it again.", w.why(), w.goesOn()))
	case updateFailures[w.operation.Phase] != "":
		return failure(fmt.Sprintf("Pool %q could not be updated", view.Name), w.operation, updateFailures[w.operation.Phase])
	case w.operation.Phase == pool.OperationAwaiting:
		diags.AddWarning(fmt.Sprintf("Pool %q: a canary waits for promotion", view.Name),
			fmt.Sprintf("%s. The rest of the workers follows after: poolkeeper rollout promote %s. To return to the last good revision: poolkeeper rollout abort %s.", w.operation.Reason, view.Name, view.Name))
	case w.operation.Phase == pool.OperationSuperseded:
		diags.AddError(supersededSummary(view.Name), supersededDetail(w.operation)+" Plan again.")
	}
	return diags
}

func updateRefused(name string, m memory, err error) (diags diag.Diagnostics) {
	if isProblem(err, client.ProblemNotFound) {
		diags.AddError(fmt.Sprintf("Pool %q is gone", name),
			fmt.Sprintf("%v\n\nThe pool that the plan was made for (%s) is not there under its name any more. Plan again.", err, m.UID))
		return diags
	}
	if isProblem(err, client.ProblemOtherManager) {
		return otherManager(name, m, "", err)
	}
	return unreached(fmt.Sprintf("Pool %q cannot be updated", name), m, err)
}
