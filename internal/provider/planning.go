package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// planned is what a plan announces for one pool.
type planned struct {
	value    tftypes.Value
	replaces []string // dotted paths whose change only another pool can have
	diags    diag.Diagnostics
}

// planCreation announces a new pool. proposed holds the table's defaults already.
func planCreation(proposed tftypes.Value) planned {
	d := declare(proposed)
	return planned{
		value: withValues(proposed, map[string]tftypes.Value{lastChange: text(lastCreate)}),
		diags: faultDiagnostics(pool.ValidateCreation(d.spec, d.isUnjudged)),
	}
}

// planDestruction only warns ahead of what the manager would refuse: it judges the stored value too.
func planDestruction(prior tftypes.Value) (diags diag.Diagnostics) {
	if textAt(prior, "id") != "" && truthAt(prior, "deletion_protection") {
		diags.AddAttributeError(path.Root("deletion_protection"), "The pool is protected against deletion",
			fmt.Sprintf("Pool %q has deletion_protection = true in force, so it can neither be destroyed nor be replaced. Set it to false and apply that first.", textAt(prior, "name")))
	}
	return diags
}

// planUpdate announces a change of a pool that exists, out of prior state, the proposed values and the
// table of changes alone.
func planUpdate(prior, proposed tftypes.Value) planned {
	if proposed.Equal(prior) { // what most plans of most pools come to
		values := map[string]tftypes.Value{}
		diags := planAttachment(prior, proposed, values)
		return planned{value: withValues(proposed, values), diags: diags}
	}
	before, after := declare(prior), declare(proposed)
	certain, possible := pool.ChangeNone, pool.ChangeNone
	changed := map[string]bool{}
	var p planned
	note := func(at string, change pool.Change) {
		if at == hostPath && !movesHost(prior, after) {
			return
		}
		if change == pool.ChangeReplace {
			p.replaces = append(p.replaces, at)
		}
		possible = pool.Harder(possible, change)
		if !after.unknown[at] {
			certain = pool.Harder(certain, change)
		}
	}
	for _, c := range pool.Changes(before.spec, after.spec) {
		changed[c.Path] = true
		if !after.unknown[c.Path] {
			note(c.Path, c.Change)
		}
	}
	for _, f := range pool.Fields {
		if after.unknown[f.Path] {
			note(f.Path, f.Change)
		}
	}
	values := writtenBefore(prior, proposed, changed)
	switch {
	case len(p.replaces) > 0:
		p.diags.Append(planDestruction(prior)...)
		unknownReported(proposed, values, func(reported) bool { return true })
	case possible == pool.ChangeNone:
		for _, r := range reportedAttributes {
			values[r.name] = valueAt(prior, r.name)
		}
		p.diags.Append(planAttachment(prior, proposed, values)...)
	default:
		for _, r := range reportedAttributes {
			if !r.moves {
				values[r.name] = valueAt(prior, r.name)
			}
		}
		unknownReported(proposed, values, func(r reported) bool { return r.moves })
		if announced(certain) == announced(possible) && certain != pool.ChangeNone {
			values[lastChange] = text(announced(certain))
		}
	}
	p.value = withValues(proposed, values)
	return p
}

const hostPath = "runtime.process.host"

// movesHost says whether what is declared would take the pool to another host than it is on. Declaring no
// host, or the one that the manager chose, does not.
func movesHost(prior tftypes.Value, after declared) bool {
	if after.unknown[hostPath] {
		return true
	}
	host := after.spec.Runtime.Host()
	return host != "" && host != textAt(prior, "host")
}

// writtenBefore keeps the older spelling of every value that only is written in another way.
func writtenBefore(prior, proposed tftypes.Value, changed map[string]bool) map[string]tftypes.Value {
	values := map[string]tftypes.Value{}
	for _, f := range pool.Fields {
		_, several := meanings[f.Kind]
		if inside := f.Kind.Members() != nil; !several && !inside || changed[f.Path] {
			continue
		}
		was, is := valueAt(prior, f.Path), valueAt(proposed, f.Path)
		if is.IsKnown() && !is.IsNull() && !was.IsNull() && !was.Equal(is) {
			values[f.Path] = was
		}
	}
	return values
}

func unknownReported(proposed tftypes.Value, values map[string]tftypes.Value, which func(reported) bool) {
	for _, r := range reportedAttributes {
		if which(r) {
			values[r.name] = tftypes.NewValue(valueAt(proposed, r.name).Type(), tftypes.UnknownValue)
		}
	}
}

// planAttachment makes a plan without a change of the spec not empty while the newest operation has not
// reached what was asked for, so that an apply waits for it or tries again.
func planAttachment(prior, proposed tftypes.Value, values map[string]tftypes.Value) (diags diag.Diagnostics) {
	name, id, kind := textAt(prior, "name"), textAt(prior, "operation.id"), textAt(prior, "operation.kind")
	reason := textAt(prior, "operation.reason")
	phase := pool.OperationPhase(textAt(prior, "operation.phase"))
	if phase != pool.OperationRunning && phase != pool.OperationFailed {
		return nil
	}
	switch {
	case kind == string(pool.OperationDelete):
		diags.AddWarning(fmt.Sprintf("Pool %q is being destroyed", name),
			fmt.Sprintf("Operation %s (%s) destroys it, which cannot be undone. Destroy it to wait for the end of that, or to try again; a later plan then creates the pool anew.%s", id, phase, because(reason)))
	case phase == pool.OperationRunning:
		diags.AddWarning(fmt.Sprintf("Pool %q: the last change is still under way", name),
			fmt.Sprintf("Operation %s (%s) has not ended. An apply waits for it.%s", id, kind, because(reason)))
	default:
		diags.AddWarning(fmt.Sprintf("Pool %q: the last change failed", name),
			fmt.Sprintf("Operation %s (%s) failed. An apply tries it again.%s", id, kind, because(reason)))
	}
	unknownReported(proposed, values, func(r reported) bool { return r.moves && r.name != lastChange })
	return diags
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return "\n\nReason: " + reason
}

// textAt is the string at a dotted path, empty if it is null or unknown.
func textAt(v tftypes.Value, at string) (s string) {
	if v = valueAt(v, at); v.IsKnown() && !v.IsNull() {
		_ = v.As(&s) // leaves s empty for another type
	}
	return s
}

// truthAt is the bool at a dotted path, false if it is null or unknown.
func truthAt(v tftypes.Value, at string) (b bool) {
	if v = valueAt(v, at); v.IsKnown() && !v.IsNull() {
		_ = v.As(&b) // leaves b false for another type
	}
	return b
}
