package lifecycle_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

var errCrashed = errors.New("the manager is dead")

// crash lets a manager die at its n-th call of the store or the runtime: that call and all later ones fail.
// The n-th one may have had its effect.
type crash struct {
	mu        sync.Mutex
	left      int // calls until the crash; 0: none is planned
	effective bool
	dead      bool
	happened  chan struct{}
}

func (c *crash) plan(n int, effective bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.effective, c.dead, c.happened = n, effective, false, make(chan struct{})
}

func (c *crash) gate(call string) (before, after error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return errCrashed, nil
	}
	if c.left == 0 || call == "view" || call == "logs" {
		return nil, nil
	}
	if c.left--; c.left > 0 {
		return nil, nil
	}
	c.dead = true
	close(c.happened)
	if c.effective {
		return nil, errCrashed
	}
	return errCrashed, nil
}

// outlived waits until an operation has ended or its manager is dead, and says whether it died.
func (c *crash) outlived(s *stage, operationID string) bool {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = s.m.Operation(s.t.Context(), operationID, time.Hour)
	}()
	select {
	case <-c.happened:
		s.close()
		<-ended
		return true
	case <-ended:
	}
	select {
	case <-c.happened:
		return true
	default:
		return false
	}
}

// crashCase is a change during which a manager dies.
type crashCase struct {
	name     string
	prepare  func(*stage)
	ask      func(*stage, lifecycle.Request) (lifecycle.Accepted, error)
	launched int // instances that are started in all
	running  int // instances that run at the end
	// lives says of a worker that is in service when its manager dies whether it must not be touched.
	lives func(pool.Worker) bool
}

func crashCases() []crashCase {
	all := func(pool.Worker) bool { return true }
	none := func(pool.Worker) bool { return false }
	return []crashCase{
		{"create", func(*stage) {}, func(s *stage, by lifecycle.Request) (lifecycle.Accepted, error) {
			by.IfNoneMatch = true
			return s.m.Put(s.t.Context(), by, spec(3, probed))
		}, 3, 3, all},
		{"rolling update", func(s *stage) { s.created(spec(2, probed, update(1, 0))) }, func(s *stage, by lifecycle.Request) (lifecycle.Accepted, error) {
			by.IfMatch = "*"
			return s.m.Put(s.t.Context(), by, spec(2, probed, update(1, 0), command("serve", "v2")))
		}, 4, 2, func(w pool.Worker) bool { return w.Revision == 2 }},
		{"resize down", func(s *stage) { s.created(spec(3, probed)) }, func(s *stage, by lifecycle.Request) (lifecycle.Accepted, error) {
			by.IfMatch = "*"
			return s.m.Patch(s.t.Context(), by, "web", []byte(`{"size":1}`))
		}, 3, 1, none},
		{"destroy", func(s *stage) { s.created(spec(2, probed)) }, func(s *stage, by lifecycle.Request) (lifecycle.Accepted, error) {
			by.IfMatch = "*"
			return s.m.Delete(s.t.Context(), by, "web", false)
		}, 2, 0, none},
	}
}

// TestAManagerMayDieAtAnyInstant kills a manager at every call that it makes during a change, before the call
// has its effect or after, starts another one, and repeats the request as a client would.
func TestAManagerMayDieAtAnyInstant(t *testing.T) {
	for _, c := range crashCases() {
		for _, effective := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, the last call effective %t", c.name, effective), func(t *testing.T) {
				play(t, func(t *testing.T, s *stage) {
					died := &crash{}
					s.journal.through(died.gate)
					s.gate = died.gate
					s.world.habits = func(runtime.Launch) habit { return habit{warmUp: time.Second, work: time.Second} }
					n := 1
					for c.dies(s, died, n, effective) {
						n++
					}
					require.Greater(t, n, 8, "calls during the change")
				})
			})
		}
	}
}

// dies goes through one change whose manager dies at its n-th call, and says whether it got as far.
func (c crashCase) dies(s *stage, died *crash, n int, effective bool) bool {
	t, call := s.t, fmt.Sprintf("call %d", n)
	s.close()
	died.plan(0, false)
	s.open()
	s.world.forget()
	c.prepare(s)

	died.plan(n, effective)
	by := lifecycle.Request{Author: author, Key: fmt.Sprint("key ", n), Fingerprint: c.name}
	first, err := c.ask(s, by)
	dead := err != nil || died.outlived(s, first.Operation.ID)
	s.close()
	if err != nil {
		require.ErrorIs(t, err, errCrashed, call)
	}
	untouchable := c.untouchable(s)
	s.pass(500 * time.Millisecond)

	died.plan(n%9+1, effective) // the one that takes over dies too
	if err := s.tryOpen(); err != nil {
		require.ErrorIs(t, err, errCrashed, call)
	}
	s.pass(500 * time.Millisecond)
	s.close()

	died.plan(0, false)
	s.open()
	second, err := c.ask(s, by)
	require.NoError(t, err, call)
	if first.Operation.ID != "" {
		require.Equal(t, first.Operation.ID, second.Operation.ID, "%s: what was accepted is not lost", call)
	}
	s.succeeds(second)
	synctest.Wait()
	require.ElementsMatch(t, ids(s.living(second.Pool.UID)), s.world.running(), call)
	require.Len(t, s.world.running(), c.running, call)
	require.Len(t, s.world.starts(), c.launched, call)
	require.Empty(t, s.world.leftRunning(), call)
	for id, i := range untouchable {
		require.Same(t, i, s.world.instance(id), "%s: worker %s lives on", call, id)
	}
	s.uids[second.Pool.UID] = true
	if c.running > 0 {
		s.succeeds(s.force("web"))
	}
	require.Empty(t, s.world.running(), call)
	return dead
}

// untouchable are the instances that must outlive the change.
func (c crashCase) untouchable(s *stage) map[string]*instance {
	s.t.Helper()
	instances := map[string]*instance{}
	err := s.journal.Store.View(s.t.Context(), func(r store.Reader) error {
		p, err := r.PoolByName("web")
		if err != nil {
			return err
		}
		workers, err := r.Workers(p.UID)
		for _, w := range workers {
			if i := s.world.instance(w.ID); i != nil && !w.State.Leaving() && c.lives(w) {
				instances[w.ID] = i
			}
		}
		return err
	})
	if !errors.Is(err, store.ErrNotFound) {
		require.NoError(s.t, err)
	}
	return instances
}
