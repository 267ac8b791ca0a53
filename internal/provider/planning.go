package provider

import (
	"fmt"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// planned is what a plan announces for one pool.
type planned struct {
	value    tftypes.Value
	replaces []string // dotted paths whose change only another pool can have
	// certain and possible are the least and the most that the change comes to; unknown, the dotted paths that decide it.
	certain, possible pool.Change
	unknown           map[string]bool
	diags             diag.Diagnostics
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
func planDestruction(prior tftypes.Value, m memory) (diags diag.Diagnostics) {
	if !m.Unborn && textAt(prior, "id") != "" && truthAt(prior, "deletion_protection") {
		diags.AddAttributeError(path.Root("deletion_protection"), "The pool is protected against deletion",
			fmt.Sprintf("Pool %q has deletion_protection = true in force, so it can neither be destroyed nor be replaced. Set it to false and apply that first.", textAt(prior, "name")))
	}
	return diags
}

// planUpdate announces a change of a pool that exists, out of prior state and memory, the proposed values and the
// table of changes alone.
func planUpdate(prior, proposed tftypes.Value, m memory) planned {
	if isBeingDestroyed(prior) {
		return planSuccessor(prior, proposed)
	}
	newest := newestOperation(prior)
	if proposed.Equal(prior) { // what most plans of most pools come to
		values := map[string]tftypes.Value{}
		newest.attach(proposed, values)
		return planned{value: withValues(proposed, values), possible: pool.ChangeNone, diags: newest.warning(pool.ChangeNone, pool.ChangeNone)}
	}
	before, after := declare(prior), declare(proposed)
	certain, possible := pool.ChangeNone, pool.ChangeNone
	changed := map[string]bool{}
	p := planned{unknown: after.unknown}
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
	p.certain, p.possible = certain, possible
	values := writtenBefore(prior, proposed, changed)
	switch {
	case len(p.replaces) > 0:
		p.diags.Append(planDestruction(prior, m)...)
		p.diags.Append(warnOfHost(prior, after)...)
		unknownReported(proposed, values, func(reported) bool { return true })
	case possible == pool.ChangeNone:
		for _, r := range reportedAttributes {
			values[r.name] = valueAt(prior, r.name)
		}
		newest.attach(proposed, values)
		p.diags.Append(newest.warning(certain, possible)...)
	default:
		for _, r := range reportedAttributes {
			if !r.moves {
				values[r.name] = valueAt(prior, r.name)
			}
		}
		unknownReported(proposed, values, func(r reported) bool { return r.moves })
		p.diags.Append(newest.warning(certain, possible)...)
		if newest.rolls { // and goes on to do so under whatever is changed beside it
			certain, possible = pool.ChangeRolling, pool.ChangeRolling
		}
		if announced(certain) == announced(possible) && certain != pool.ChangeNone {
			values[lastChange] = text(announced(certain))
		}
	}
	p.value = withValues(proposed, values)
	return p
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

// numberAt is the whole number at a dotted path, 0 if it is null or unknown.
func numberAt(v tftypes.Value, at string) (n int64) {
	if v = valueAt(v, at); v.IsKnown() && !v.IsNull() {
		var f big.Float
		if v.As(&f) == nil {
			n, _ = f.Int64()
		}
	}
	return n
}
