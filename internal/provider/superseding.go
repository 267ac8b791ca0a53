package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func supersededSummary(name string) string {
	return fmt.Sprintf("Pool %q was changed by somebody else meanwhile", name)
}

func supersededDetail(op pool.Operation) string {
	return fmt.Sprintf("Operation %s (%s) was taken over before it ended: %s. The next plan shows what differs now.", op.ID, op.Kind, op.Reason)
}

// cutShortBy says that what was waited for will never be, because the pool is on its way out or gone.
func (w wait) cutShortBy(view pool.View) bool {
	leaving := view.Phase == pool.PhaseDeleting || view.Phase == pool.PhaseDestroyed
	return leaving && w.operation.Phase != pool.OperationSucceeded && w.operation.Phase != pool.OperationFailed
}

// destroyedMeanwhile is an error for a creation too: the pool that it taints is none to be kept.
func destroyedMeanwhile(view pool.View, w wait, what string) (diags diag.Diagnostics) {
	summary, next := "is being destroyed", "The next apply waits for the end of that and creates the pool anew."
	if view.Phase == pool.PhaseDestroyed {
		summary, next = "was destroyed", "Apply again to create it anew."
	}
	by := "Somebody else"
	if op := view.Status.Operation; op != nil && op.ID != w.operation.ID {
		by = fmt.Sprintf("Operation %s (%s) of %s", op.ID, op.Kind, op.Author)
	}
	diags.AddError(fmt.Sprintf("Pool %q %s", view.Name, summary),
		fmt.Sprintf("%s took over while the pool was being %s (operation %s), and a destroy cannot be undone. %s", by, what, w.operation.ID, next))
	return diags
}
