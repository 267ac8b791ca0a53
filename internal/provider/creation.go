package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Create asks for the pool and waits until it is there. An error after the pool was accepted would taint
// it, and the next apply would destroy it; so only a creation that failed for good is one. Whoever stops
// waiting before gets the state and a warning, and finds the operation running in the next plan.
func (r *poolResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	manager, err := r.reach()
	if err != nil {
		resp.Diagnostics.AddError("The pool cannot be created", err.Error())
		return
	}
	timeout, diags := timeoutOf(ctx, req.Plan, timeouts.Value.Create)
	resp.Diagnostics.Append(diags...)
	d := declare(req.Plan.Raw)
	resp.Diagnostics.Append(faultDiagnostics(asError(d.faults))...)
	if resp.Diagnostics.HasError() {
		return
	}
	late, done := graced(ctx)
	accepted, err := manager.Create(late, withSecrets(d.spec, req.Config.Raw), client.Change{Reason: r.reason})
	done()
	if err != nil {
		resp.Diagnostics.Append(creationRefused(d.spec.Name, err)...)
		return
	}
	w := await(ctx, manager, accepted.Operation, timeout)

	ctx, cancel := afterwards(ctx)
	defer cancel()
	view := viewAfter(ctx, manager, accepted, w)
	resp.State.Raw = stateAfter(req.Plan.Raw, view)
	resp.Diagnostics.Append(identify(ctx, resp.Identity, d.spec.Name)...)
	var m memory
	m.remember(accepted.Pool)
	m.Unborn = view.ConvergedGeneration == 0
	if m.Manager, err = r.managerID(ctx); err != nil {
		resp.Diagnostics.AddWarning(fmt.Sprintf("Pool %q: its manager did not say who it is", d.spec.Name),
			"The next plan asks again. Until then the pool cannot be told from one of another manager: "+err.Error())
	}
	resp.Diagnostics.Append(m.keep(ctx, resp.Private)...)
	resp.Diagnostics.Append(creationEnded(view, w)...)
	if differs := changedMeanwhile(accepted, view, w); differs != "" && !resp.Diagnostics.HasError() {
		resp.Diagnostics.AddWarning(supersededSummary(view.Name), differs)
	}
}

// creationEnded says how a creation that was accepted came out.
func creationEnded(view pool.View, w wait) (diags diag.Diagnostics) {
	switch {
	case w.cutShortBy(view):
		return destroyedMeanwhile(view, w, "created")
	case w.ending != ended:
		diags.AddWarning(fmt.Sprintf("Pool %q is still being created", view.Name),
			fmt.Sprintf("%s %s The pool is in the state; the next apply waits for it again.", w.why(), w.goesOn()))
	case w.operation.Phase == pool.OperationFailed:
		return failure(fmt.Sprintf("Pool %q could not be created", view.Name), w.operation,
			"The pool exists and its manager keeps trying. It is marked as tainted: the next apply destroys it and creates it anew. To keep it, mend the configuration and run terraform untaint before the next apply.")
	case w.operation.Phase == pool.OperationPaused:
		diags.AddWarning(fmt.Sprintf("Pool %q is paused while it is being created", view.Name),
			fmt.Sprintf("%s. The creation goes on after: poolkeeper pool resume %s. The next apply waits for it again.", w.operation.Reason, view.Name))
	case w.operation.Phase == pool.OperationSuperseded:
		diags.AddWarning(supersededSummary(view.Name), supersededDetail(w.operation))
	}
	return diags
}

func creationRefused(name string, err error) (diags diag.Diagnostics) {
	if !isProblem(err, client.ProblemExists) {
		return refusal(fmt.Sprintf("Pool %q cannot be created", name), err, creationPlaces)
	}
	creationPlaces.show(&diags, client.ProblemExists, fmt.Sprintf("There is a pool %q already", name),
		fmt.Sprintf("%v\n\nTo manage that pool here, import it:\n\n  terraform import <address of this resource> %s\n\nOr choose another name. Two pools of one name cannot be there at the same time, so a pool with create_before_destroy can only be replaced under a new name.", err, name))
	return diags
}

// asError is nil for no faults, which a nil Faults in an error is not.
func asError(faults pool.Faults) error {
	if len(faults) == 0 {
		return nil
	}
	return faults
}
