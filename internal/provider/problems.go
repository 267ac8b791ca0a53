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

// places are the attributes, by dotted path, that problems are about in what is asked for. One without a place is shown
// at the whole; so is what is wrong with the provider's own configuration, which Terraform does not show from here.
type places map[string]string

// show adds an error at the attribute that the problem is about.
func (p places) show(diags *diag.Diagnostics, problem, summary, detail string) {
	if at, ok := p[problem]; ok {
		diags.AddAttributeError(attributePath(at), summary, detail)
	} else {
		diags.AddError(summary, detail)
	}
}

// poolPlaces are those of a pool as a resource, creationPlaces those of one that is not there yet, and namedPlaces those
// of whatever names a pool that is there.
var (
	poolPlaces     = places{client.ProblemProtected: "deletion_protection"}
	creationPlaces = places{client.ProblemExists: "name", client.ProblemDeleting: "name"}
	namedPlaces    = places{client.ProblemNotFound: "name", client.ProblemDeleting: "name", client.ProblemNoRollout: "name"}
)

// refusal shows the error of a call. Faults of the spec are shown at their attributes.
func refusal(summary string, err error, at places) (diags diag.Diagnostics) {
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
	at.show(&diags, problem.Name(), summary, detail)
	return diags
}

// unreached is refusal for a pool whose manager may not have been reached.
func unreached(summary string, m memory, err error) (diags diag.Diagnostics) {
	if where := m.whereabouts(err); where != "" {
		diags.AddError(summary, fmt.Sprintf("%v\n\n%s", err, where))
		return diags
	}
	return refusal(summary, err, poolPlaces)
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
