package provider

import (
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func supersededSummary(name string) string {
	return fmt.Sprintf("Pool %q was changed by somebody else meanwhile", name)
}

func supersededDetail(op pool.Operation) string {
	return fmt.Sprintf("Operation %s (%s) was taken over before it ended: %s. The next plan shows what differs now.", op.ID, op.Kind, op.Reason)
}

// changedMeanwhile says what is not as it was accepted although the operation succeeded: a change that takes
// nothing over, like another size, leaves the operation to its end. Empty if all is.
func changedMeanwhile(accepted client.Accepted, view pool.View, w wait) string {
	differs := pool.Changes(accepted.Pool.Spec, view.Spec)
	if w.ending != ended || w.operation.Phase != pool.OperationSucceeded || len(differs) == 0 {
		return ""
	}
	var texts []string
	for _, c := range differs {
		texts = append(texts, fmt.Sprintf("%s is %s instead of %s", c.Path, c.New, c.Old))
	}
	return fmt.Sprintf("Operation %s (%s) was reached, and by now %s. The next plan shows what differs.", w.operation.ID, w.operation.Kind, strings.Join(texts, ", "))
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
