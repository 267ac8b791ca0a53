package simulation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// ofPool lists a pool's workers, ended ones too.
func (b *books) ofPool(poolUID string) (workers []pool.Worker) {
	for _, id := range slices.Sorted(maps.Keys(b.workers)) {
		if w := b.workers[id]; w.PoolUID == poolUID {
			workers = append(workers, w)
		}
	}
	return workers
}

var phases = []pool.Phase{"", pool.PhaseCreating, pool.PhaseLive, pool.PhaseDeleting, pool.PhaseDestroyed}

// generations finds a pool that goes backwards, or is further than what was asked for.
func generations(_ *run, m moment) string {
	b, a := m.before.pools[m.poolUID], m.after.pools[m.poolUID]
	switch {
	case a.Generation < b.Generation, a.Revision < b.Revision, a.Restarts < b.Restarts && !m.returns():
		return fmt.Sprintf("generation %d follows %d, revision %d %d", a.Generation, b.Generation, a.Revision, b.Revision)
	case a.ConvergedGeneration < b.ConvergedGeneration, a.ConvergedGeneration > a.Generation:
		return fmt.Sprintf("converged generation %d follows %d, of %d", a.ConvergedGeneration, b.ConvergedGeneration, a.Generation)
	case slices.Index(phases, a.Phase) < slices.Index(phases, b.Phase):
		return fmt.Sprintf("phase %s follows %s", a.Phase, b.Phase)
	case a.Generation > b.Generation && m.makerOf(a).ID == "":
		return fmt.Sprintf("generation %d has no operation", a.Generation)
	}
	return ""
}

// makerOf is the operation that made the pool's newest generation.
func (m moment) makerOf(p pool.Pool) (maker pool.Operation) {
	for _, o := range m.after.operations {
		if o.PoolUID == p.UID && o.Generation == p.Generation {
			maker = o
		}
	}
	return maker
}

// rewritten finds a change of what was final: revisions, ended operations, replies, events.
func rewritten(_ *run, m moment) string {
	for k, r := range m.before.revisions {
		if after := m.after.revisions[k]; after.Author != r.Author || !after.CreatedAt.Equal(r.CreatedAt) {
			return fmt.Sprintf("revision %d of %s was rewritten", k.number, k.poolUID)
		}
	}
	for id, o := range m.before.operations {
		if after := m.after.operations[id]; o.Phase.Ended() && (after.Phase != o.Phase || after.Reason != o.Reason) {
			return fmt.Sprintf("%s was %s and is %s", id, o.Phase, after.Phase)
		}
	}
	for id, l := range m.before.leases {
		if after, there := m.after.leases[id]; there && l.State.Ended() && (after.State != l.State || after.Reason != l.Reason) {
			return fmt.Sprintf("%s was %s and is %s", id, l.State, after.State)
		}
	}
	for k, r := range m.before.replies {
		if after, there := m.after.replies[k]; there && after.Answered != r.Answered {
			return fmt.Sprintf("the reply to %s was rewritten", k.key)
		}
	}
	return ""
}

// unrecordedAnswer finds an accepted change that is not in the records, or by somebody else.
func unrecordedAnswer(r *run, m moment) string {
	if m.err != nil {
		return ""
	}
	if m.request.claim != nil {
		return unrecordedLease(r, m)
	}
	if m.request.mark != nil {
		return unrecordedMark(m)
	}
	o, known := m.after.operations[m.accepted.Operation.ID]
	p := m.after.pools[m.accepted.Pool.UID]
	switch {
	case !known:
		return fmt.Sprintf("%s was answered %s, which is not on record", m.request.what, m.accepted.Operation.ID)
	case p.Generation < o.Generation:
		return fmt.Sprintf("%s made generation %d, and the pool is at %d", o.ID, o.Generation, p.Generation)
	case m.accepted.Changed && (o.Author != m.request.by.Author || o.Generation == 0):
		return fmt.Sprintf("%s of %s is on record as one of %q", o.ID, m.request.by.Author, o.Author)
	}
	return ""
}

// otherAnswer finds a request with a key whose answer is not the recorded one.
func otherAnswer(_ *run, m moment) string {
	by := m.request.by
	if m.err != nil || by.Key == "" || m.request.looks {
		return ""
	}
	answered := m.accepted.Operation.ID
	if m.request.claim != nil {
		answered = m.lease.ID
	}
	reply, kept := m.after.replies[replyKey{by.Author, by.Key}]
	if !kept || reply.Answered != answered {
		return fmt.Sprintf("%s (%s) was answered %s, and the reply on record is %q", m.request.what, by.Key, answered, reply.Answered)
	}
	return ""
}

// wronglyAccepted finds an answer to what had to be refused.
func wronglyAccepted(_ *run, m moment) string {
	var refusal *lifecycle.Refusal
	if m.request.never != "" && m.err == nil {
		return fmt.Sprintf("%q was accepted although %s", m.request.what, m.request.never)
	}
	if errors.As(m.err, &refusal) && refusal.Detail == "" {
		return fmt.Sprintf("%q was refused without a reason", m.request.what)
	}
	return ""
}

// unexplained finds a failure without a reason.
func unexplained(_ *run, m moment) string {
	for id, o := range m.after.operations {
		if o.Phase == pool.OperationFailed && o.Reason == "" {
			return id + " failed and does not say why"
		}
	}
	for _, w := range m.after.ofPool(m.poolUID) {
		if w.State == pool.WorkerFailed && w.Reason == "" {
			return w.ID + " failed and does not say why"
		}
	}
	return ""
}

// tells are the events that tell of a worker's states.
var tells = map[pool.WorkerState]pool.EventType{
	pool.WorkerPending:  pool.EventWorkerLaunching,
	pool.WorkerReady:    pool.EventWorkerReady,
	pool.WorkerDraining: pool.EventWorkerDraining,
	pool.WorkerStopping: pool.EventWorkerStopping,
	pool.WorkerStopped:  pool.EventWorkerStopped,
	pool.WorkerFailed:   pool.EventWorkerFailed,
}

// unauthored finds a change without its event, or an event, revision or operation without an author.
func unauthored(_ *run, m moment) string {
	news := m.after.events[m.poolUID][len(m.before.events[m.poolUID]):]
	told := func(match func(pool.Event) bool) bool { return slices.ContainsFunc(news, match) }
	if told(func(e pool.Event) bool { return e.Author == "" || e.Message == "" }) {
		return "an event has no author or says nothing"
	}
	for _, c := range m.turned() {
		tell, has := tells[c.after.State]
		if !has || c.before.State == c.after.State {
			continue
		}
		if c.after.State == pool.WorkerStopped && c.before.State != pool.WorkerStopping {
			tell = pool.EventWorkerFinished
		}
		if !told(func(e pool.Event) bool { return e.Type == tell && e.WorkerID == c.after.ID }) {
			return fmt.Sprintf("no event tells that %s is %s", c.after.ID, c.after.State)
		}
	}
	b, a := m.before.pools[m.poolUID], m.after.pools[m.poolUID]
	o := m.makerOf(a)
	if a.Generation > b.Generation && !told(func(e pool.Event) bool {
		return e.Author == o.Author && e.OperationID == o.ID || e.Type == pool.EventPoolReverted || e.Type == pool.EventRolloutAborted
	}) {
		return fmt.Sprintf("no event of %q tells of generation %d", o.Author, a.Generation)
	}
	if a.Phase != b.Phase && len(news) == 0 {
		return fmt.Sprintf("no event tells that the pool is %s", a.Phase)
	}
	if a.Generation > b.Generation && !strings.HasPrefix(o.Author, "user:") {
		return fmt.Sprintf("generation %d was made by %q", a.Generation, o.Author)
	}
	return ""
}
