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
	// unknown: nobody knows which process the worker was, so no session can be named, and whatever writes
	// to its log and carries no variables belongs to it.
	unknown bool
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
//
// A process of the session whose output is the worker's log is such a proof too, the only one that is left
// if the leader was reaped while no manager saw it and its children carry no variables. Whoever writes to
// that log has inherited it from the worker, or was handed it, or has opened it on purpose. In the first
// case an ancestor began the session, and one no further up than the worker, which began its own: so the
// session is the worker's even if its number was given away and has come back to one of its descendants.
// In the others a stranger would have to write to the log of this one worker from within a session that
// has by chance the number of that worker's. Outside of the session the log proves nothing, as long as the
// session is known: what has left it and dropped the variables is out of reach.
func (c claim) belonging(t table) (found []mine) {
	candidates := c.candidates(t)
	sessionIsOthers, disputed := c.others(candidates)
	var witness *proc
	var members []proc
	for _, p := range candidates {
		ownLog := p.origin.ownLog(c.worker)
		inSession := c.pid != 0 && p.session == c.pid && !sessionIsOthers
		carries := c.marked && (c.carriedBy(p) && (!disputed || ownLog) || c.unknown && ownLog && p.marks.worker == "")
		proves := inSession && (p.is(c.pid, c.start) || carries || ownLog || p.pid != c.pid && p.start <= c.heldUntil)
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

// others looks for processes that write to the worker's log in another data directory. A session with one of
// them in it is not the worker's. If there is such a session, or one of them carries this manager's id, another
// copy of this directory runs a worker of the same id, so that the id proves nothing by itself.
func (c claim) others(candidates []proc) (session, id bool) {
	for _, p := range candidates {
		if p.origin.othersLog(c.worker) {
			session = session || p.session == c.pid
			id = id || session || p.marks.manager() == c.manager
		}
	}
	return session, id
}

func (c claim) carriedBy(p proc) bool {
	return p.marks.worker == c.worker && p.marks.manager() == c.manager && (c.errand == "" || p.marks.errand == c.errand)
}

// candidates are all in the session, all that carry the id and, if need be, all that write to the log, each
// once.
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
	if c.unknown {
		for _, i := range t.byLog[c.worker] {
			if p := t.procs[i]; p.marks.worker == "" { // what another manager marked is foreign, and not to be ended
				procs = append(procs, p)
			}
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
