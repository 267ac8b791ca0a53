package lifecycle_test

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// journal is a real store that a test can make fail, and look into after every change.
type journal struct {
	store.Store
	gate func(call string) (before, after error)

	mu       sync.Mutex
	failing  error
	watchers []func(store.Reader) error
	seen     error // what watchers complained of
}

func newJournal(s store.Store) *journal {
	return &journal{Store: s, gate: func(string) (error, error) { return nil, nil }}
}

// through has every call go through a gate from now on.
func (j *journal) through(gate func(call string) (before, after error)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.gate = gate
}

func (j *journal) gated(call string) (before, after error) {
	j.mu.Lock()
	gate := j.gate
	j.mu.Unlock()
	return gate(call)
}

// fail makes every update fail from now on; nil ends that.
func (j *journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failing = err
}

// watch has the records looked at after every update.
func (j *journal) watch(look func(store.Reader) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.watchers = append(j.watchers, look)
}

// complaints are what the watchers found.
func (j *journal) complaints() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.seen
}

func (j *journal) View(ctx context.Context, read func(store.Reader) error) error {
	before, after := j.gated("view")
	if err := cmp.Or(before, after); err != nil {
		return err
	}
	return j.Store.View(ctx, read)
}

func (j *journal) Update(ctx context.Context, change func(store.Writer) error) error {
	before, after := j.gated("update")
	if before != nil {
		return before
	}
	j.mu.Lock()
	failing, watchers := j.failing, j.watchers
	j.mu.Unlock()
	if failing != nil {
		return failing
	}
	if err := j.Store.Update(ctx, change); err != nil {
		return err
	}
	for _, look := range watchers {
		if err := j.Store.View(context.WithoutCancel(ctx), look); err != nil {
			j.mu.Lock()
			j.seen = errors.Join(j.seen, err)
			j.mu.Unlock()
		}
	}
	return after
}
