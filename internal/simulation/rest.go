package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// rests says whether nothing is left to be done.
func (r *run) rests() bool { return r.life.ready() && r.unrest() == "" && r.leak() == "" }

// unrest says what is not as it is wanted yet.
func (r *run) unrest() string {
	var unrest []string
	for _, c := range r.gate.list(r.story.name) {
		if !c.idle() {
			unrest = append(unrest, c.name+" waits")
		}
	}
	if len(r.world.notices) > 0 {
		unrest = append(unrest, "an end is to be told")
	}
	for _, l := range r.books.claims(func(pool.Lease) bool { return true }) {
		unrest = append(unrest, fmt.Sprintf("%s is %s", l.ID, l.State))
	}
	for _, uid := range r.books.poolUIDs() {
		if text := r.books.unrestOf(r.books.pools[uid], r.now()); text != "" {
			unrest = append(unrest, text)
		}
	}
	return r.story.named(strings.Join(unrest, "; "))
}

// disquiet is which promise an end without rest breaks, and how.
func (r *run) disquiet() (promise, text string) {
	unrest, leak := r.unrest(), r.leak()
	if leak != "" {
		return leaks, strings.TrimPrefix(unrest+"; "+leak, "; ")
	}
	return rests, unrest
}

// unrestOf says what of a pool is not as it is wanted.
func (b *books) unrestOf(p pool.Pool, now time.Time) string {
	running, living := b.running(p.UID), b.living(p.UID)
	switch {
	case p.Phase != pool.PhaseDeleting && b.waitsForAPerson(p):
		return ""
	case len(running) > 0:
		return fmt.Sprintf("%s %s of %s runs", running[0].ID, running[0].Kind, p.Name)
	case p.Phase == pool.PhaseDestroyed:
		return ""
	case p.Phase != pool.PhaseLive:
		return fmt.Sprintf("%s is %s", p.Name, p.Phase)
	case p.ConvergedGeneration != p.Generation:
		return fmt.Sprintf("%s is at generation %d of %d", p.Name, p.ConvergedGeneration, p.Generation)
	case len(living) != p.Desired() || b.available(p, now) != p.Desired():
		return fmt.Sprintf("%s has %d workers, %d available, of %d", p.Name, len(living), b.available(p, now), p.Desired())
	}
	for _, w := range living {
		if w.TemplateHash != p.Target() {
			return w.ID + " is old"
		}
	}
	return ""
}

// waitsForAPerson says that a pool is left as it is until somebody has it go on.
func (b *books) waitsForAPerson(p pool.Pool) bool {
	return p.Paused || slices.ContainsFunc(b.running(p.UID), func(o pool.Operation) bool { return o.Phase.Waits() })
}

// said says whether a destroyed pool's last event names something that was left.
func (b *books) said(poolUID, what string) bool {
	return slices.ContainsFunc(b.events[poolUID], func(e pool.Event) bool {
		return e.Type == pool.EventPoolDestroyed && strings.Contains(e.Message, what)
	})
}

// leak says what runs and is not recorded, or is recorded and does not run.
func (r *run) leak() string {
	w := r.world
	recorded := map[string]bool{}
	for _, uid := range r.books.poolUIDs() {
		for _, living := range r.books.living(uid) {
			recorded[living.ID] = true
			if w.instances[living.ID] == nil {
				return fmt.Sprintf("nothing runs for %s, which is %s", living.ID, living.State)
			}
		}
		if r.books.pools[uid].Phase == pool.PhaseDestroyed && len(w.logs[uid]) > 0 && !r.books.said(uid, "logs") {
			return fmt.Sprintf("the destroyed pool %s has logs", r.books.pools[uid].Name)
		}
	}
	for _, id := range w.running() {
		if uid := w.instances[id].found.PoolUID; !recorded[id] && !r.books.said(uid, id) {
			return fmt.Sprintf("%s runs, and its worker is %q", w.instances[id], r.books.workers[id].State)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.left)) {
		if uid := r.books.workers[id].PoolUID; !recorded[id] && !r.books.said(uid, id) { // else it goes with its worker
			return fmt.Sprintf("something that %s left still runs", id)
		}
	}
	return ""
}

// unconverged finds a pool that is called converged before it is as wanted.
func unconverged(_ *run, m moment) string {
	b, a := m.before.pools[m.poolUID], m.after.pools[m.poolUID]
	if b.ConvergedGeneration == a.ConvergedGeneration {
		return ""
	}
	events := m.after.events[m.poolUID]
	now := events[len(events)-1].Time // of the decision; the commit may come later
	n, living := m.after.available(a, now), m.after.living(m.poolUID)
	old := slices.ContainsFunc(living, func(w pool.Worker) bool { return w.TemplateHash != a.Target() })
	if n != a.Desired() || len(living) != n || old {
		return fmt.Sprintf("%s is called converged with %d workers, %d available, of %d; old ones: %t", a.Name, len(living), n, a.Desired(), old)
	}
	return ""
}

// leftovers finds what a destroyed pool has left without saying so.
func leftovers(r *run, m moment) string {
	b, a := m.before.pools[m.poolUID], m.after.pools[m.poolUID]
	if b.Phase == a.Phase || a.Phase != pool.PhaseDestroyed {
		return ""
	}
	for _, w := range m.after.ofPool(m.poolUID) {
		if m.after.said(m.poolUID, w.ID) {
			continue
		}
		if !w.State.Ended() {
			return fmt.Sprintf("%s is %s", w.ID, w.State)
		}
		if i := r.world.instances[w.ID]; i != nil {
			return fmt.Sprintf("%s runs", i)
		}
		if r.world.left[w.ID] {
			return fmt.Sprintf("something that %s left still runs", w.ID)
		}
	}
	if logs := r.world.logs[m.poolUID]; len(logs) > 0 && !m.after.said(m.poolUID, "logs") {
		return fmt.Sprintf("the logs of %d workers are left", len(logs))
	}
	return ""
}
