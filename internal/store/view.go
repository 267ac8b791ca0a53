package store

import (
	"context"
	"errors"
	"fmt"
)

// maxViews bounds how many views run at once, each on a connection of its own.
const maxViews = 8

// views runs reads, each in a snapshot.
type views struct {
	places  chan *session // one for each view that may run; nil: its connection is yet to be opened
	open    func(context.Context) (*session, error)
	begin   string // begins a transaction that reads from one snapshot
	decoded *decoded
}

func newViews(open func(context.Context) (*session, error), begin string, known *decoded) *views {
	v := &views{places: make(chan *session, maxViews), open: open, begin: begin, decoded: known}
	for range maxViews {
		v.places <- nil
	}
	return v
}

func (v *views) view(ctx context.Context, read func(Reader) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	var reader *session
	select {
	case reader = <-v.places:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { v.places <- reader }()
	if reader, err = v.ready(ctx, reader); err != nil {
		return err
	}
	tx := &transaction{ctx: ctx, sql: reader, decoded: v.decoded}
	defer func() {
		failed := tx.finish()
		if err == nil {
			err = failed
		}
		if _, endErr := reader.exec(context.WithoutCancel(ctx), "ROLLBACK"); endErr != nil {
			// The connection is lost, and with it the transaction: what was read is as good as ever.
			_ = reader.close()
			reader = nil
		}
	}()
	return read(tx)
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
	for len(v.places) > 0 {
		if reader := <-v.places; reader != nil {
			errs = append(errs, reader.close())
		}
	}
	return errors.Join(errs...)
}
