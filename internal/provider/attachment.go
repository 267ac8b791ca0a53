package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// unreachedPhases are the phases in which the newest operation has not reached what was asked for, and what a
// plan says of it. In any other phase there is nothing to say.
//
// One that was taken back leaves the pool at what it had before: a configuration that still asks for more differs
// from that, so its plan is not empty by itself, and one that asks for just that has nothing left to apply.
var unreachedPhases = map[pool.OperationPhase]struct {
	summary string
	stands  string // how it stands
	applied string // what an apply does about it
	rests   bool   // an apply does nothing about it, so a plan without another change is empty
	again   string // what an apply of a change does about it; empty: what the others do
}{
	pool.OperationRunning:   {"the last change is still under way", "has not ended", "An apply waits for it", false, ""},
	pool.OperationReverting: {"the last change failed and is being taken back", "has not ended", "An apply waits for it", false, ""},
	pool.OperationFailed:    {"the last change failed", "failed", "An apply tries it again", false, ""},
	pool.OperationPaused:    {"the last change waits", "is paused", "An apply fails until it is resumed (poolkeeper pool resume)", false, ""},
	pool.OperationAwaiting:  {"a canary waits for promotion", "waits for a person", "Have the rest follow with poolkeeper rollout promote, or end it with poolkeeper rollout abort", true, ""},
	pool.OperationReverted:  {"the last change failed and was taken back", "was reverted", restored, true, triedAgain},
	pool.OperationCanceled:  {"the last change was ended by a person and taken back", "was canceled", restored, true, triedAgain},
}

const (
	restored   = "The pool is at its last good revision, as it is declared now"
	triedAgain = "The pool is at its last good revision. An apply tries anew what differs from it"
)

// newest is the newest operation of a pool, as a state tells of it.
type newest struct {
	pool, id, kind, reason string

	phase pool.OperationPhase
	rolls bool // it has workers still to replace
}

func newestOperation(prior tftypes.Value) newest {
	n := newest{
		pool: textAt(prior, "name"), id: textAt(prior, "operation.id"), kind: textAt(prior, "operation.kind"),
		reason: textAt(prior, "operation.reason"), phase: pool.OperationPhase(textAt(prior, "operation.phase")),
	}
	n.rolls = (n.isUnreached() || n.phase == pool.OperationAwaiting) && textAt(prior, lastChange) == lastRolling
	return n
}

func (n newest) isUnreached() bool {
	says, unreached := unreachedPhases[n.phase]
	return unreached && !says.rests
}

// attach makes a plan that changes nothing not empty, so that an apply waits for the operation or tries again.
func (n newest) attach(proposed tftypes.Value, values map[string]tftypes.Value) {
	if n.isUnreached() {
		unknownReported(proposed, values, func(r reported) bool { return r.moves && r.name != lastChange })
	}
}

// warning says what becomes of the operation by an apply whose own change is at least one and at most the other.
func (n newest) warning(certain, possible pool.Change) (diags diag.Diagnostics) {
	says, unreached := unreachedPhases[n.phase]
	if !unreached {
		return nil
	}
	applied := says.applied + "."
	switch {
	case says.again != "" && possible != pool.ChangeNone:
		applied = says.again + "."
	case certain == pool.ChangeRolling:
		applied = "What changes now takes its place."
	case says.rests:
	case possible != pool.ChangeNone:
		applied = says.applied + ", together with what changes now."
	}
	diags.AddWarning(fmt.Sprintf("Pool %q: %s", n.pool, says.summary),
		fmt.Sprintf("Operation %s (%s) %s. %s%s", n.id, n.kind, says.stands, applied, because(n.reason)))
	return diags
}

// isBeingDestroyed: a destroy that was accepted is final, however its operation stands.
func isBeingDestroyed(prior tftypes.Value) bool {
	return textAt(prior, "operation.kind") == string(pool.OperationDelete)
}

// planSuccessor announces another pool in the place of one that is being destroyed: the apply joins the
// destroy, and then creates.
func planSuccessor(prior, proposed tftypes.Value) planned {
	n := newestOperation(prior)
	values := map[string]tftypes.Value{}
	unknownReported(proposed, values, func(reported) bool { return true })
	p := planned{value: withValues(proposed, values), replaces: []string{"id"}, diags: warnOfHost(prior, declare(proposed))}
	p.diags.AddWarning(fmt.Sprintf("Pool %q is being destroyed", n.pool),
		fmt.Sprintf("Operation %s (%s) destroys it, which cannot be undone. An apply waits for the end of that, or tries again if it failed, and then creates the pool anew.%s", n.id, n.phase, because(n.reason)))
	return p
}
