package provider

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// What a test may do to a fakeManager beside asking it.

// hold keeps operations running until the returned function ends all of them.
func (f *fakeManager) hold() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = true
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.held = false
		for _, op := range f.ops {
			if !op.Phase.Ended() {
				f.end(op)
			}
		}
	}
}

// fail makes every call of a method err; nil mends it.
func (f *fakeManager) fail(method string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken[method] = err
}

// mutations lists the calls since the last time, without those that only look.
func (f *fakeManager) mutations() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []string
	for _, call := range f.asked {
		method, _, _ := strings.Cut(call, " ")
		if slices.Contains([]string{"Create", "Update", "Patch", "Resize", "Restart", "Delete"}, method) {
			calls = append(calls, call)
		}
	}
	f.asked = nil
	return calls
}

// shut keeps the provider's mutations from being answered until the returned function is called.
func (f *fakeManager) shut() (open func()) {
	f.gate = make(chan struct{})
	return func() { close(f.gate) }
}

func (f *fakeManager) pass(ctx context.Context) error {
	if f.gate == nil {
		return nil
	}
	select {
	case f.waiting <- struct{}{}:
	default:
	}
	select {
	case <-f.gate:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lose ends every wait that is under way with an error, once.
func (f *fakeManager) lose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost = true
	f.announce()
}

func (f *fakeManager) announce() {
	close(f.news)
	f.news = make(chan struct{})
}

// awaited returns once somebody waits for an operation.
func (f *fakeManager) awaited(t *testing.T) {
	t.Helper()
	select {
	case <-f.waiting:
	case <-time.After(time.Minute):
		t.Fatal("nobody waits")
	}
}

// alter changes a pool behind everybody's back.
func (f *fakeManager) alter(name string, change func(*pool.View)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.named(name))
}

// forget loses every record, as a manager with another store would have it.
func (f *fakeManager) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pools = map[string]*pool.View{}
}
