package simulation

import (
	"fmt"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// budget is what a pool's spec allows.
type budget struct{ desired, surge, floor int }

func budgetOf(p pool.Pool) budget {
	desired, u := p.Desired(), p.Spec.Update
	surge, unavailable := u.MaxSurge.RoundUp(desired), u.MaxUnavailable.RoundDown(desired)
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return budget{desired, surge, desired - unavailable}
}

// overspent finds a commit that takes an available worker out although too few stay.
func overspent(_ *run, m moment) string {
	if m.before.forced(m.poolUID) {
		return ""
	}
	p := m.after.pools[m.poolUID]
	for _, c := range m.turned() {
		if !c.leaves() || !m.after.serves(p, c.taken(), c.decidedAt()) {
			continue
		}
		if left, floor := m.after.available(p, c.decidedAt()), budgetOf(p).floor; left < floor {
			return fmt.Sprintf("%s is taken out for %s, which leaves %d available, fewer than %d of %d", c.after.ID, c.after.DrainCause, left, floor, p.Desired())
		}
	}
	return ""
}

// crowded finds a launch beyond the room for it.
func crowded(_ *run, m moment) string {
	p := m.after.pools[m.poolUID]
	room, launched := budgetOf(p).desired+budgetOf(p).surge, ""
	for _, c := range m.turned() {
		if c.before.State != "" {
			continue
		}
		launched = c.after.ID
		if replaced, known := m.after.workers[c.after.Replaces]; known && !replaced.State.Ended() {
			room = budgetOf(p).desired + budgetOf(p).surge + 1
		}
	}
	live := 0
	for _, w := range m.after.living(m.poolUID) {
		if !w.State.Leaving() || w.DrainCause == pool.DrainRollout || w.DrainCause == pool.DrainReplace {
			live++
		}
	}
	switch {
	case launched == "":
		return ""
	case p.Phase == pool.PhaseDeleting:
		return fmt.Sprintf("%s is launched in a pool that is being destroyed", launched)
	case live > room:
		return fmt.Sprintf("%s is launched, which makes %d, more than %d", launched, live, room)
	}
	return ""
}
