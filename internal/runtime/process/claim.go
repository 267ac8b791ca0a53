//go:build linux || darwin

package process

import (
	"cmp"
	"slices"
)

// claim says which processes are a worker's, or those of an errand beside it.
type claim struct {
	worker, manager string
	// errand, if it is set, narrows the claim to that errand beside the worker.
	errand string
	// pid and start are those of its leader; 0 if they are of another boot or were never known.
	pid   int
	start int64
	// heldUntil is the last moment at which the leader is known to have held its pid; 0 if none is.
	// What is in the session of that number and began by then is in the leader's session: the number
	// cannot have gone round all others within one unit of clock.
	heldUntil int64
	// marked is false while another instance runs under the worker's id.
	marked bool
	self   int // pid of the manager, which is nobody's
}

// mine is a process that belongs to a worker.
type mine struct {
	proc
	// witness proves that p's session is the worker's, if p does not prove it itself.
	witness *proc
}

// belonging finds a worker's living processes. The proof of a session is one process of it that is
// certainly the worker's: as long as it lives nobody else can have a session of that number. Those that
// need a witness come first, so that they can be acted on while it lives.
func (c claim) belonging(t table) (found []mine) {
	var witness *proc
	var members []proc
	for _, p := range c.candidates(t) {
		inSession := c.pid != 0 && p.session == c.pid
		carries := c.marked && c.carriedBy(p)
		proves := inSession && (p.is(c.pid, c.start) || carries || p.pid != c.pid && p.start <= c.heldUntil)
		if proves && witness == nil {
			witness = &p
		}
		switch {
		case p.zombie || p.pid == c.self:
		case proves || carries:
			found = append(found, mine{proc: p})
		case inSession:
			members = append(members, p)
		}
	}
	if witness == nil {
		return found
	}
	for _, p := range members {
		found = append(found, mine{p, witness})
	}
	slices.SortStableFunc(found, func(a, b mine) int {
		return cmp.Compare(needs(b), needs(a))
	})
	return found
}

func (c claim) carriedBy(p proc) bool {
	return p.marks.worker == c.worker && p.marks.manager() == c.manager && (c.errand == "" || p.marks.errand == c.errand)
}

// candidates are all in the session and all that carry the id, each once.
func (c claim) candidates(t table) (procs []proc) {
	if c.pid != 0 {
		for _, i := range t.bySession[c.pid] {
			procs = append(procs, t.procs[i])
		}
	}
	for _, i := range t.byWorker[c.worker] {
		if p := t.procs[i]; c.pid == 0 || p.session != c.pid {
			procs = append(procs, p)
		}
	}
	return procs
}

func needs(m mine) int {
	if m.witness == nil {
		return 0
	}
	return 1
}
