package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// maxViews bounds how many views run at once, each on a connection of its own.
const maxViews = 8

// views runs reads, each in a snapshot.
type views struct {
	places  chan struct{} // one for each view that may run
	open    func(context.Context) (*session, error)
	begin   string // begins a transaction that reads from one snapshot
	decoded *decoded

	mu   sync.Mutex
	idle []*session // the last one was used last
}

func newViews(open func(context.Context) (*session, error), begin string, known *decoded) *views {
	return &views{places: make(chan struct{}, maxViews), open: open, begin: begin, decoded: known}
}

func (v *views) view(ctx context.Context, read func(Reader) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case v.places <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-v.places }()
	reader, err := v.ready(ctx, v.take())
	if err != nil {
		return err
	}
	tx := &transaction{ctx: ctx, sql: reader, decoded: v.decoded}
	defer func() {
		failed := tx.finish()
		if err == nil {
			err = failed
		}
		if _, lost := reader.exec(context.WithoutCancel(ctx), "ROLLBACK"); lost != nil {
			_ = reader.close() // what was read is as good as ever
			return
		}
		v.keep(reader)
	}()
	return read(tx)
}

// take is a connection that nobody uses; nil if there is none.
func (v *views) take() *session {
	v.mu.Lock()
	defer v.mu.Unlock()
	last := len(v.idle) - 1
	if last < 0 {
		return nil
	}
	taken := v.idle[last]
	v.idle = v.idle[:last]
	return taken
}

func (v *views) keep(s *session) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.idle = append(v.idle, s)
}

// ready is a connection on which a view was begun: the one that was kept, or, if that is lost, a new one.
func (v *views) ready(ctx context.Context, kept *session) (*session, error) {
	begin := func(s *session) error {
		_, err := s.exec(context.WithoutCancel(ctx), v.begin)
		return err
	}
	if kept != nil {
		if begin(kept) == nil {
			return kept, nil
		}
		_ = kept.close()
	}
	opened, err := v.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a connection: %w", err)
	}
	if err := begin(opened); err != nil {
		return nil, fmt.Errorf("begin a view: %w", errors.Join(err, opened.close()))
	}
	return opened, nil
}

// close must not be called before every view has returned.
func (v *views) close() error {
	var errs []error
	for s := v.take(); s != nil; s = v.take() {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
