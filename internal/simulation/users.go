package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// crowd is who asks for things, and what they remember to ask again.
type crowd struct {
	asked    int
	recent   []*request
	attended time.Time // when a person last looked at pools at rest
}

// remembered is how many requests may be repeated.
const remembered = 8

func newCrowd() *crowd { return &crowd{} }

// request is what a user asks for. Asked again it is the same request, with the same key.
type request struct {
	what string
	by   lifecycle.Request
	// never says why it must not be accepted; empty if it may be.
	never string
	looks bool // it changes nothing, and its key is not used
	// One of the three asks, for a change, for a lease, or for a mark of a worker.
	ask   func(context.Context, *lifecycle.Manager, lifecycle.Request) (lifecycle.Accepted, error)
	claim func(context.Context, *lifecycle.Manager, lifecycle.Request) (api.LeaseView, error)
	mark  func(context.Context, *lifecycle.Manager, lifecycle.Request) (pool.Worker, error)
}

// wish is one kind of thing that users ask for.
type wish struct {
	name   string
	weight int
	// makes the request, or returns nil if there is nothing to ask for.
	makes func(*run) *request
}

// wishes are what users ask for in a storm.
var wishes = []wish{
	{"create", 30, func(r *run) *request {
		spec := r.newSpec(names[r.rand.IntN(len(names))])
		return put(fmt.Sprintf("create %s with %d", spec.Name, spec.Start()), lifecycle.Request{IfNoneMatch: true}, spec)
	}},
	{"change", 30, ofSome(func(r *run, p pool.Pool) *request {
		c := changes[r.rand.IntN(len(changes))]
		spec := p.Spec
		c.apply(r, &spec)
		return put(fmt.Sprintf("change %s: %s", p.Name, c.name), lifecycle.Request{IfMatch: r.basis(p)}, spec)
	})},
	{"roll out", 20, ofSome(func(r *run, p pool.Pool) *request {
		spec := p.Spec
		spec.Worker.Command = []string{pick(r, "serve", "serve", faulty), fmt.Sprint(r.rand.IntN(1000))}
		return put("roll out "+spec.Worker.Command[0]+" to "+p.Name, lifecycle.Request{IfMatch: "*"}, spec)
	})},
	{"resize", 20, ofSome(func(r *run, p pool.Pool) *request {
		size := r.rand.IntN(maxSize + 1)
		if p.Spec.Autoscaling != nil {
			return patch(fmt.Sprintf("raise the least of %s to %d", p.Name, 1), lifecycle.Request{IfMatch: r.basis(p)}, p, `{"autoscaling":{"min":1}}`)
		}
		return patch(fmt.Sprintf("resize %s to %d", p.Name, size), lifecycle.Request{IfMatch: r.basis(p)}, p, fmt.Sprintf(`{"size":%d}`, size))
	})},
	{"restart", 14, ofSome(func(r *run, p pool.Pool) *request {
		return restart(p, lifecycle.Request{IfMatch: r.basis(p)})
	})},
	{"destroy", 5, ofSome(func(r *run, p pool.Pool) *request { return destroy(p, false) })},
	{"destroy by force", 5, ofSome(func(r *run, p pool.Pool) *request { return destroy(p, true) })},
	{"pause", 4, ofSome(func(_ *run, p pool.Pool) *request { return pause(p, true) })},
	{"resume", 8, ofSome(func(_ *run, p pool.Pool) *request { return pause(p, false) })},
	{"promote", 8, ofSome(func(_ *run, p pool.Pool) *request { return promote(p) })},
	{"abort", 5, ofSome(func(_ *run, p pool.Pool) *request { return abort(p) })},
	{"revert", 5, ofSome(func(r *run, p pool.Pool) *request {
		return revert(p, lifecycle.Request{IfMatch: r.basis(p)}, 1+r.rand.Int64N(p.Revision))
	})},
	{"change what was changed meanwhile", 6, ofSome(func(r *run, p pool.Pool) *request {
		old := p
		old.Generation--
		q := restart(p, lifecycle.Request{IfMatch: api.ETag(old)})
		q.what += " as it was before"
		q.never = "it is based on an older state"
		return q
	})},
	{"what is not valid", 4, ofSome(func(r *run, p pool.Pool) *request {
		q := patch("resize "+p.Name+" to -1", lifecycle.Request{IfMatch: "*"}, p, `{"size":-1}`)
		q.never = "it is not valid"
		return q
	})},
	{"the same again", 15, func(r *run) *request {
		if len(r.crowd.recent) == 0 {
			return nil
		}
		return r.crowd.recent[r.rand.IntN(len(r.crowd.recent))]
	}},
	{"wait", 12, func(r *run) *request {
		p, some := r.somePool()
		if !some {
			return nil
		}
		return &request{looks: true, what: "wait for " + p.OperationID, ask: func(ctx context.Context, m *lifecycle.Manager, _ lifecycle.Request) (lifecycle.Accepted, error) {
			o, err := m.Operation(ctx, p.OperationID, 20*time.Second)
			return lifecycle.Accepted{Pool: p, Operation: o}, err
		}}
	}},
	{"look", 4, func(r *run) *request {
		p, some := r.somePool()
		if !some {
			return nil
		}
		return &request{looks: true, what: "look at " + p.Name, ask: func(ctx context.Context, m *lifecycle.Manager, _ lifecycle.Request) (lifecycle.Accepted, error) {
			v, err := m.Pool(ctx, p.UID)
			if err != nil {
				return lifecycle.Accepted{}, err
			}
			return lifecycle.Accepted{Pool: v.Pool, Operation: *v.Status.Operation}, nil
		}}
	}},
}

// ofSome is a wish about one of the pools.
func ofSome(makes func(*run, pool.Pool) *request) func(*run) *request {
	return func(r *run) *request {
		p, some := r.somePool()
		if !some {
			return nil
		}
		return makes(r, p)
	}
}

func (r *run) somePool() (p pool.Pool, some bool) {
	uids := r.books.poolUIDs()
	for len(uids) > len(names) && r.rand.IntN(2) == 0 { // old ones seldom
		uids = uids[1:]
	}
	if len(uids) == 0 {
		return p, false
	}
	return r.books.pools[uids[r.rand.IntN(len(uids))]], true
}

// basis is what a change of a pool is based on.
func (r *run) basis(p pool.Pool) string {
	if r.rand.IntN(2) == 0 {
		return "*"
	}
	return api.ETag(p)
}

func put(what string, by lifecycle.Request, spec pool.Spec) *request {
	return &request{what: what, by: by, ask: func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (lifecycle.Accepted, error) {
		return m.Put(ctx, by, spec)
	}}
}

func patch(what string, by lifecycle.Request, p pool.Pool, text string) *request {
	return &request{what: what, by: by, ask: func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (lifecycle.Accepted, error) {
		return m.Patch(ctx, by, p.UID, []byte(text))
	}}
}

func restart(p pool.Pool, by lifecycle.Request) *request {
	return &request{what: "restart " + p.Name, by: by, ask: func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (lifecycle.Accepted, error) {
		return m.Restart(ctx, by, p.UID)
	}}
}

// steered is the request of a person who has a pool go on in another way.
func steered(what string, p pool.Pool, steer func(context.Context, *lifecycle.Manager, lifecycle.Request) (pool.View, error)) *request {
	return &request{looks: true, what: what + " " + p.Name, ask: func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (lifecycle.Accepted, error) {
		v, err := steer(ctx, m, by)
		if err != nil {
			return lifecycle.Accepted{}, err
		}
		return lifecycle.Accepted{Pool: v.Pool, Operation: *v.Status.Operation}, nil
	}}
}

func pause(p pool.Pool, yes bool) *request {
	what := "pause"
	if !yes {
		what = "resume"
	}
	return steered(what, p, func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (pool.View, error) {
		return m.Pause(ctx, by, p.UID, yes)
	})
}

func promote(p pool.Pool) *request {
	return steered("promote", p, func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (pool.View, error) {
		return m.Promote(ctx, by, p.UID)
	})
}

func abort(p pool.Pool) *request {
	return steered("abort", p, func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (pool.View, error) {
		return m.Abort(ctx, by, p.UID)
	})
}

func revert(p pool.Pool, by lifecycle.Request, number int64) *request {
	return &request{what: fmt.Sprintf("revert %s to revision %d", p.Name, number), by: by, ask: func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (lifecycle.Accepted, error) {
		return m.Revert(ctx, by, p.UID, number)
	}}
}

// attend has a person decide where pools at rest wait for one, now and then. It says whether any does.
func (r *run) attend() bool {
	sent := false
	if time.Since(r.crowd.attended) < time.Minute {
		return slices.ContainsFunc(r.books.alive(), r.books.waitsForAPerson)
	}
	r.crowd.attended = time.Now()
	for _, p := range r.books.alive() {
		if !r.books.waitsForAPerson(p) {
			continue
		}
		q := pause(p, false)
		for _, o := range r.books.running(p.UID) {
			if o.Phase == pool.OperationAwaiting && !p.Paused {
				q = promote(p)
				if r.rand.IntN(3) == 0 {
					q = abort(p)
				}
			}
		}
		r.send(q)
		sent = true
	}
	return sent
}

func destroy(p pool.Pool, force bool) *request {
	what := "destroy " + p.Name
	if force {
		what += " by force"
	}
	return &request{what: what, by: lifecycle.Request{IfMatch: "*"}, ask: func(ctx context.Context, m *lifecycle.Manager, by lifecycle.Request) (lifecycle.Accepted, error) {
		return m.Delete(ctx, by, p.UID, force)
	}}
}

var authors = []string{"user:ann", "user:bob"}

// asks has somebody ask for one of some things, where a manager serves.
func asks(wishes []wish) func(*run) bool {
	return func(r *run) bool { return r.life.ready() && r.wishFor(wishes) }
}

// wishFor has one of the wishes asked for.
func (r *run) wishFor(wishes []wish) bool {
	all := 0
	for _, w := range wishes {
		all += w.weight
	}
	n := r.rand.IntN(all)
	for _, w := range wishes {
		if n -= w.weight; n >= 0 {
			continue
		}
		q := w.makes(r)
		if q == nil {
			return false
		}
		r.send(q)
		return true
	}
	panic("the weights add up")
}

// send has a request asked by a goroutine of its own.
func (r *run) send(q *request) {
	l, crowd := r.life, r.crowd
	crowd.asked++
	if q.by.Author == "" {
		q.by.Author = authors[r.rand.IntN(len(authors))]
		if q.by.Fingerprint = q.what; r.rand.IntN(4) > 0 {
			q.by.Key = fmt.Sprintf("key %d", crowd.asked)
		}
		crowd.recent = append(crowd.recent, q)
		crowd.recent = crowd.recent[max(len(crowd.recent)-remembered, 0):]
	}
	who := fmt.Sprintf("%s#%d", q.by.Author[len("user:"):], crowd.asked)
	r.story.tell(who, "asks: %s (%s)", q.what, q.by.Key)
	ctx := context.WithValue(context.Background(), callerKey{}, who)
	l.users.Go(func() {
		m := moment{kind: answer, request: q}
		switch {
		case q.claim != nil:
			m.lease, m.err = q.claim(ctx, l.manager, q.by)
		case q.mark != nil:
			m.worker, m.err = q.mark(ctx, l.manager, q.by)
		default:
			m.accepted, m.err = q.ask(ctx, l.manager, q.by)
			m.poolUID = m.accepted.Pool.UID
		}
		if l.wait(ctx, "hear", "") != dead {
			r.hear(who, m)
		}
	})
}

// hear takes in what a user was answered.
func (r *run) hear(who string, m moment) {
	var refusal *lifecycle.Refusal
	switch {
	case errors.As(m.err, &refusal):
		r.story.tell(who, "  is refused: %s", refusal.Problem)
	case m.err != nil:
		r.story.tell(who, "  fails: %v", m.err)
	case m.request.claim != nil:
		r.story.tell(who, "  is answered: %s %s %s", m.lease.ID, m.lease.State, m.lease.WorkerID)
	case m.request.mark != nil:
		r.story.tell(who, "  is answered: %s %s", m.worker.ID, m.worker.State)
	default:
		r.story.tell(who, "  is answered: %s %s", m.accepted.Operation.ID, m.accepted.Operation.Phase)
	}
	m.before, m.after = r.books, r.books
	r.happened(m)
}

// destroyAll asks for the end of every pool.
func (r *run) destroyAll() {
	for _, p := range r.books.alive() {
		for !r.over() && !r.life.ready() {
			r.step(func() {
				if !r.start() && !r.letGo() {
					r.pause(time.Minute)
				}
			})
		}
		if r.over() {
			return
		}
		r.send(destroy(p, r.rand.IntN(2) == 0))
	}
	for !r.over() && len(r.books.alive()) > 0 {
		r.step(func() {
			if !r.letGo() {
				r.pause(time.Minute)
			}
		})
	}
}
