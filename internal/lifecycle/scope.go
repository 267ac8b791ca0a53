package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// A caller whose token is for pools with some labels finds no others. This is seen to where records are read and
// written, in the transaction itself: so no use case can forget it, and no change of labels comes in between.

// scopedStore is a store whose pools are those that the caller of a request is for.
type scopedStore struct{ store.Store }

func scopeOf(ctx context.Context) access.Scope {
	c, _ := access.Of(ctx)
	return c.Scope
}

func (s scopedStore) View(ctx context.Context, read func(store.Reader) error) error {
	if scope := scopeOf(ctx); len(scope) > 0 {
		return s.Store.View(ctx, func(r store.Reader) error { return read(scopedReader{r, scope}) })
	}
	return s.Store.View(ctx, read)
}

func (s scopedStore) Update(ctx context.Context, change func(store.Writer) error) error {
	if scope := scopeOf(ctx); len(scope) > 0 {
		return s.Store.Update(ctx, func(w store.Writer) error { return change(scopedWriter{scopedReader{w, scope}, beneath{deeper{w}}}) })
	}
	return s.Store.Update(ctx, change)
}

// scopedReader finds the pools of a scope, and what is theirs. What is listed by a pool's uid needs no look: whoever
// has the uid has found the pool.
type scopedReader struct {
	store.Reader
	scope access.Scope
}

func (r scopedReader) only(p pool.Pool, err error) (pool.Pool, error) {
	if err == nil && !r.scope.Holds(p.Spec.Labels) {
		return pool.Pool{}, fmt.Errorf("pool %q within the scope: %w", p.Name, store.ErrNotFound)
	}
	return p, err
}

func (r scopedReader) Pool(uid string) (pool.Pool, error) { return r.only(r.Reader.Pool(uid)) }

func (r scopedReader) PoolByName(name string) (pool.Pool, error) {
	return r.only(r.Reader.PoolByName(name))
}

func (r scopedReader) Pools(page store.Page) ([]pool.Pool, error) {
	found, err := r.Reader.PoolsByLabels(r.scope)
	for len(found) > 0 && found[0].Name <= page.After {
		found = found[1:]
	}
	if page.Limit > 0 {
		found = found[:min(page.Limit, len(found))]
	}
	return found, err
}

func (r scopedReader) CountPools() (int, error) {
	found, err := r.Reader.PoolsByLabels(r.scope)
	return len(found), err
}

func (r scopedReader) PoolsByLabels(labels map[string]string) ([]pool.Pool, error) {
	both, possible := r.scope.Narrow(labels)
	if !possible {
		return nil, nil
	}
	return r.Reader.PoolsByLabels(both)
}

func (r scopedReader) Operation(id string) (pool.Operation, error) {
	o, err := r.Reader.Operation(id)
	if err == nil {
		_, err = r.Pool(o.PoolUID)
	}
	return o, err
}

// Lease is one of a pool of the scope, or one that waits for any of pools that all are.
func (r scopedReader) Lease(id string) (pool.Lease, error) {
	l, err := r.Reader.Lease(id)
	switch {
	case err != nil:
	case l.PoolUID != "":
		_, err = r.Pool(l.PoolUID)
	case !r.scope.Holds(l.Selector):
		err = fmt.Errorf("lease %s within the scope: %w", id, store.ErrNotFound)
	}
	return l, err
}

func (r scopedReader) CountLeases(poolUID string) (held, waiting int, err error) {
	if poolUID != "" {
		return r.Reader.CountLeases(poolUID)
	}
	all, err := r.WaitingLeases("", 0)
	for _, l := range all {
		if r.scope.Holds(l.Selector) {
			waiting++
		}
	}
	return 0, waiting, err
}

// scopedWriter writes pools that stay in the scope. It reads as a scopedReader does: the Writer lies deeper, so what
// both can do the reader does.
type scopedWriter struct {
	scopedReader
	beneath
}

type (
	beneath struct{ deeper }
	deeper  struct{ store.Writer }
)

func (w scopedWriter) InsertPool(p pool.Pool) error {
	if err := w.holds(p.Spec); err != nil {
		return err
	}
	err := w.Writer.InsertPool(p)
	if errors.Is(err, store.ErrNameTaken) {
		return refuse(api.ProblemExists, "there is a pool %q already, which the caller's token is not for: it is for pools with %s only", p.Name, w.scope)
	}
	return err
}

func (w scopedWriter) UpdatePool(p pool.Pool) error {
	if err := w.holds(p.Spec); err != nil {
		return err
	}
	return w.Writer.UpdatePool(p)
}

func (r scopedReader) holds(spec pool.Spec) error { return within(r.scope, spec) }

// within refuses a spec whose pool would not be in the scope.
func within(scope access.Scope, spec pool.Spec) error {
	if faults := scope.Faults(spec.Labels); len(faults) > 0 {
		return &Refusal{
			Problem: api.ProblemForbidden, Faults: faults,
			Detail: fmt.Sprintf("pool %q would not be one that the caller's token is for: it is for pools with %s only", spec.Name, scope),
		}
	}
	return nil
}
