package provider

import (
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// advice says what to do about a problem that the manager answered with.
var advice = map[string]string{
	client.ProblemStale:     "The pool was changed after this plan was made. Plan again to see by what, then apply.",
	client.ProblemProtected: "Set deletion_protection = false, apply that, and destroy or replace the pool then. The stored value counts, once the pool has been active.",
	client.ProblemDeleting:  "A destroy cannot be undone. Once it has ended, apply again to create the pool anew.",
	client.ProblemReplace:   "The pool on the manager is not the one that the plan was made for. Plan again.",
}

// refusal shows the error of a call. Faults of the spec are shown at their attributes.
func refusal(summary string, err error) (diags diag.Diagnostics) {
	problem := client.ProblemOf(err)
	if problem == nil {
		diags.AddError(summary, err.Error())
		return diags
	}
	if len(problem.Errors) > 0 {
		diags.Append(faultDiagnostics(problem.Errors)...)
		if problem.Name() == client.ProblemInvalid {
			return diags
		}
	}
	detail := err.Error()
	if op := problem.Operation; op != nil {
		detail += fmt.Sprintf("\n\nIn the way: operation %s (%s, %s).%s", op.ID, op.Kind, op.Phase, because(op.Reason))
	}
	if what, ok := advice[problem.Name()]; ok {
		detail += "\n\n" + what
	}
	diags.AddError(summary, detail)
	return diags
}

// unreached is refusal for a pool whose manager may not have been reached.
func unreached(summary string, m memory, err error) (diags diag.Diagnostics) {
	if where := m.whereabouts(err); where != "" {
		diags.AddError(summary, fmt.Sprintf("%v\n\n%s", err, where))
		return diags
	}
	return refusal(summary, err)
}

// failure shows an operation that ended failed.
func failure(summary string, op pool.Operation, consequence string) (diags diag.Diagnostics) {
	detail := fmt.Sprintf("Operation %s (%s) failed: %s", op.ID, op.Kind, op.Reason)
	if op.LogTail != "" {
		detail += "\n\nThe last log lines of the workers that made it fail:\n\n" + op.LogTail
	}
	diags.AddError(summary, detail+"\n\n"+consequence)
	return diags
}

func isProblem(err error, name string) bool {
	problem := client.ProblemOf(err)
	return problem != nil && problem.Name() == name
}

func isUnreachable(err error) bool { return errors.Is(err, client.ErrUnreachable) }
