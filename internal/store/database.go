package store

import (
	"context"
	"errors"
	"sync"
)

// database is a Store, whatever its engine. One connection writes, several read.
type database struct {
	identity Identity
	decoded  decoded
	views    *views
	commits  *committer
	hurry    func()       // tells the engine that somebody waits for the end; may be nil
	release  func() error // closes what the engine has opened; may be nil
	shut     func() error

	mu       sync.Mutex
	closed   bool
	inFlight sync.WaitGroup
}

func newDatabase() *database {
	d := &database{}
	d.shut = sync.OnceValue(d.shutDown)
	return d
}

func (d *database) Identity() Identity { return d.identity }

func (d *database) View(ctx context.Context, read func(Reader) error) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.inFlight.Done()
	return d.views.view(ctx, read)
}

func (d *database) Update(ctx context.Context, change func(Writer) error) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.inFlight.Done()
	return d.commits.update(ctx, change)
}

func (d *database) Close() error { return d.shut() }

// enter counts a call in, so that Close waits for it.
func (d *database) enter() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	d.inFlight.Add(1)
	return nil
}

// shutDown closes as much as was opened.
func (d *database) shutDown() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	if d.hurry != nil {
		d.hurry()
	}
	d.inFlight.Wait()
	var errs []error
	if d.commits != nil {
		errs = append(errs, d.commits.stop())
	}
	if d.views != nil {
		errs = append(errs, d.views.close())
	}
	if d.release != nil {
		errs = append(errs, d.release())
	}
	return errors.Join(errs...)
}
