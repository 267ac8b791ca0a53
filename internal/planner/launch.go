package planner

import (
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// launch starts workers for the places that are free, and as successors of worn ones. While a rollout is held
// there are two groups: as many of the newest template as it may have so far, and good ones in the other places.
func (p *planning) launch() {
	all := func(i int) bool { return p.staying(i) }
	lasting := func(i int) bool { return p.staying(i) && !p.old[i] }
	fresh := func(i int) bool { return p.staying(i) && !p.stale[i] }
	others := func(i int) bool { return p.staying(i) && p.stale[i] }
	limit := min(p.limit, p.desired)
	switch {
	case !p.held:
		p.fill(p.desired-p.number(lasting), p.target, false)
		return
	case !p.another(): // there is nothing else to fill a place with
		p.fill(max(limit-p.number(fresh), p.desired-p.number(all)), p.target, false)
	default:
		p.fill(limit-p.number(fresh), p.target, false)
		p.fill(min(p.desired-limit-p.number(others), p.desired-p.number(all)), p.Good.Hash, true)
	}
	p.succeedWorn(limit)
}

// succeedWorn starts successors of worn workers while a rollout is held, each of the group of whom it succeeds:
// the two are in one place, else the rollout would be one further for each. One too many gets none.
func (p *planning) succeedWorn(limit int) {
	if !slices.Contains(p.worn, true) {
		return
	}
	missing := map[bool]int{false: limit} // in each group, by whether it is the stale one
	if p.another() {
		missing[true] = p.desired - limit
	}
	for i := range p.Workers {
		if p.staying(i) && !p.worn[i] {
			missing[p.stale[i]]--
		}
	}
	lost := p.lostSuccessors()
	for i, w := range p.Workers {
		group := p.stale[i]
		if !p.worn[i] || !p.staying(i) || missing[group] <= 0 || p.live >= p.desired+p.surge {
			continue
		}
		failed := 0
		if successor, ok := lost[w.ID]; ok {
			failed = failures(&successor, successor.EndedAt)
			if at := successor.EndedAt.Add(p.backoff(failed)); p.Now.Before(at) {
				p.result.wake(p.Now, at)
				continue
			}
		}
		missing[group]--
		p.start(Action{Replaces: w.ID, Attempt: failed, Good: group, Reason: p.wears(i)})
	}
}

// wears says in whose place a successor is launched.
func (p *planning) wears(i int) string {
	return fmt.Sprintf("worker %s is to be replaced: %s", p.Workers[i].ID, p.why[i])
}

// fill starts so many workers of one template, as far as there is room.
func (p *planning) fill(missing int, hash string, good bool) {
	missing = min(missing, p.desired+p.surge-p.live)
	if missing <= 0 {
		return
	}
	vacancies, growth := p.openVacancies(hash), p.growth(good)
	for n := range missing {
		if n >= len(vacancies) {
			p.start(Action{Reason: growth, Good: good})
			continue
		}
		v := &vacancies[n].Worker
		failed := failures(v, v.EndedAt)
		if at := v.EndedAt.Add(p.backoff(failed)); p.Now.Before(at) {
			p.result.wake(p.Now, at)
			continue
		}
		p.start(Action{Replaces: v.ID, Attempt: failed, Reason: fmt.Sprintf("worker %s failed: %s", v.ID, v.Reason), Good: good})
	}
}

// start launches a worker and counts it from now on; it has no id yet.
func (p *planning) start(a Action) {
	a.Kind = Launch
	p.result.act(a)
	if a.Replaces != "" {
		p.replaced[a.Replaces] = len(p.Workers)
		p.inherits(a.Replaces, len(p.Workers))
	}
	p.Workers = append(p.Workers, &pool.Worker{State: pool.WorkerPending, Replaces: a.Replaces, CreatedAt: p.Now})
	stale, why := a.Good && p.Good.Hash != p.target, ""
	if stale {
		why = "its template is old"
	}
	p.classes, p.stale, p.old = append(p.classes, unready), append(p.stale, stale), append(p.old, stale)
	p.worn, p.why = append(p.worn, false), append(p.why, why)
	p.heir = append(p.heir, none)
	p.live++
}

// openVacancies are the free places among workers of a template (a changed spec starts without a past). A
// failed successor of a worker that still lives left no place.
func (p *planning) openVacancies(hash string) (open []*Vacancy) {
	for i := range p.Vacancies {
		v := &p.Vacancies[i]
		_, filled := p.replaced[v.Worker.ID]
		_, lives := p.find(v.Worker.Replaces)
		if !filled && !lives && v.Worker.TemplateHash == hash {
			open = append(open, v)
		}
	}
	return open
}

func (p *planning) growth(good bool) string {
	if slices.Contains(p.stale, true) && !good {
		return "the template is new"
	}
	if i := slices.Index(p.worn, true); i >= 0 && !p.held {
		return p.wears(i)
	}
	return fmt.Sprintf("the size is %d", p.desired)
}

// crashWindow is how soon after its creation a worker must fail for the failure to count as a repeated one.
const crashWindow = 10 * time.Minute

// failures counts the failures in a worker's place, its own at the given time included.
func failures(w *pool.Worker, at time.Time) int {
	if at.Sub(w.CreatedAt) >= crashWindow {
		return 1
	}
	return w.Attempt + 1
}

// maxBackoff bounds the wait between two launches in the same place.
const maxBackoff = time.Minute

// backoff is the wait before a place is filled again after so many failures: none after the first, then
// what the spec says, doubled each time.
func (p *planning) backoff(failures int) time.Duration {
	if failures < 2 {
		return 0
	}
	first := p.Pool.Spec.Remediation.Backoff.Std()
	return min(first<<min(failures-2, 10), max(maxBackoff, first))
}
