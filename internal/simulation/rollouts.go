package simulation

import (
	"fmt"
	"maps"
	"slices"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// changeOfOperation is an operation's record before and after a commit.
type changeOfOperation struct{ before, after pool.Operation } // before is blank for a new one

// went lists a pool's rollouts whose phase a commit has changed, by id.
func (m moment) went() (went []changeOfOperation) {
	for _, id := range slices.Sorted(maps.Keys(m.after.operations)) {
		c := changeOfOperation{m.before.operations[id], m.after.operations[id]}
		if c.after.PoolUID == m.poolUID && c.after.Change == pool.ChangeRolling && c.before.Phase != c.after.Phase {
			went = append(went, c)
		}
	}
	return went
}

// returns says that a pool begins its way back to what was good.
func (m moment) returns() bool {
	return slices.ContainsFunc(m.went(), func(c changeOfOperation) bool { return c.after.Phase == pool.OperationReverting })
}

// baseline is the hash of the template that a failed rollout returns to; empty if there is none.
func (b *books) baseline(p pool.Pool) string {
	good, known := b.revisions[revisionKey{p.UID, p.Good.Revision}]
	if !known {
		return ""
	}
	return pool.TemplateHash(good.Spec, p.Good.Restarts)
}

// serving counts the workers of the newest template that are ready and stay.
func (b *books) serving(p pool.Pool) (n int) {
	for _, w := range b.living(p.UID) {
		if w.TemplateHash == p.Target() && w.State == pool.WorkerReady && w.Health == pool.Healthy {
			n++
		}
	}
	return n
}

// mishandled finds a rollout that goes another way than on_failure says, or a person did.
func mishandled(_ *run, m moment) string {
	p := m.before.pools[m.poolUID]
	pauses := p.Spec.Update.OnFailure == pool.OnFailurePause
	good := m.before.baseline(p)
	hasGood := good != "" && good != p.Target()
	for _, c := range m.went() {
		was, is := c.before.Phase, c.after.Phase
		var wrong bool
		switch is {
		case pool.OperationFailed:
			wrong = was != pool.OperationReverting && (pauses || hasGood) && m.after.serving(p) < p.Desired()
		case pool.OperationPaused:
			wrong = !m.after.pools[m.poolUID].Paused && !pauses
		case pool.OperationReverting:
			wrong = !c.after.Aborted && (pauses || !hasGood)
		case pool.OperationReverted:
			wrong = was != pool.OperationReverting || c.after.Aborted
		case pool.OperationCanceled:
			wrong = was != pool.OperationReverting || !c.after.Aborted
		}
		if wrong {
			return fmt.Sprintf("%s was %s and is %s, with on_failure %q; something good is known: %t: %s", c.after.ID, was, is, p.Spec.Update.OnFailure, hasGood, c.after.Reason)
		}
	}
	return ""
}

// misled finds a pool that returns to anything but its last good template and contract, with the rest as it is.
func misled(_ *run, m moment) string {
	if !m.returns() {
		return ""
	}
	b, a := m.before.pools[m.poolUID], m.after.pools[m.poolUID]
	want := b.Spec.WithTemplateOf(m.before.revisions[revisionKey{b.UID, b.Good.Revision}].Spec)
	if text(want) != text(a.Spec) || a.Target() != m.before.baseline(b) {
		return fmt.Sprintf("the pool returns to\n\t%s\ninstead of\n\t%s", text(a.Spec), text(want))
	}
	return ""
}

// hasty finds new workers beside the canary, before the rest is to follow it.
func hasty(r *run, m moment) string {
	b, a := m.before.pools[m.poolUID], m.after.pools[m.poolUID]
	canary, good := b.Spec.Update.Canary, m.before.baseline(b)
	if canary == nil || b.Phase != pool.PhaseLive || a.Phase != pool.PhaseLive || good == "" || good == b.Target() {
		return ""
	}
	held := slices.ContainsFunc(m.before.running(b.UID), func(o pool.Operation) bool {
		return o.Change == pool.ChangeRolling && !o.Promoted && o.Phase != pool.OperationReverting && !m.after.operations[o.ID].Promoted
	})
	replaced := map[string]bool{}
	for _, w := range m.after.living(b.UID) {
		replaced[w.Replaces] = replaced[w.Replaces] || !w.State.Leaving()
	}
	stale, fresh, launched := false, 0, ""
	for _, w := range m.after.living(b.UID) {
		before := m.before.workers[w.ID]
		switch newest := w.TemplateHash == b.Target(); {
		case newest && before.State == "":
			launched = w.ID
			fallthrough
		case newest && !w.State.Leaving():
			if !replaced[w.ID] && !worn(b, w, r.now()) && !m.before.chosen(w) { // its successor counts
				fresh++
			}
		case !newest && before.State != "" && !before.State.Leaving():
			stale = true
		}
	}
	if limit := int(*canary.Count); held && stale && launched != "" && fresh > limit {
		return fmt.Sprintf("%s is launched, which makes %d new workers beside old ones, and the canary is %d", launched, fresh, limit)
	}
	return ""
}
