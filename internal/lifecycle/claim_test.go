package lifecycle_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// launchesWarmUp has all instances fail their probe for a while.
func launchesWarmUp(d time.Duration) func(runtime.Launch) habit {
	return func(runtime.Launch) habit { return habit{warmUp: d} }
}

// interrupted is a pool being created whose creator went away.
func (s *stage) interrupted() lifecycle.Accepted {
	s.t.Helper()
	s.world.habits = launchesWarmUp(5 * time.Minute)
	done := s.create(spec(1, probed))
	ctx, cancel := context.WithCancel(s.t.Context())
	failed := make(chan error)
	go func() {
		_, err := s.m.Operation(ctx, done.Operation.ID, time.Hour)
		failed <- err
	}()
	s.pass(time.Second)
	cancel()
	require.ErrorIs(s.t, <-failed, context.Canceled)
	return done
}

func TestACreationAttachesToAnUnclaimedPoolOfItsAuthor(t *testing.T) {
	t.Run("the same spec", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			first := s.interrupted()
			second := s.create(spec(1, probed))
			require.Equal(t, []any{false, first.Pool.UID, first.Operation.ID}, []any{second.Changed, second.Pool.UID, second.Operation.ID})
			s.succeeds(second)
			require.True(t, s.view("web").Claimed)
		})
	})
	t.Run("that nobody ever waited for", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			first := s.create(spec(0))
			s.pass(time.Hour)
			require.Equal(t, first.Pool.UID, s.create(spec(0)).Pool.UID)
		})
	})
	t.Run("that was only looked at", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			first := s.interrupted()
			require.False(t, s.view("web").Claimed, "its name is no proof")
			s.operation(first)
			require.Equal(t, first.Pool.UID, s.create(spec(1, probed)).Pool.UID)
		})
	})
	t.Run("also after the manager was restarted", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			first := s.interrupted()
			s.close()
			s.open()
			require.Equal(t, first.Pool.UID, s.create(spec(1, probed)).Pool.UID)
		})
	})
}

func TestACreationIsRefusedWhereThePoolIsSomebodys(t *testing.T) {
	taken := func(t *testing.T, s *stage, by lifecycle.Request) {
		t.Helper()
		uid := s.view("web").UID
		_, err := s.m.Put(t.Context(), by, spec(1, probed))
		r := refused(t, err, api.ProblemExists)
		require.Equal(t, uid, r.UID)
		require.Contains(t, r.Detail, author)
	}
	t.Run("its creator's wait ended", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			s.created(spec(1, probed))
			taken(t, s, asNew)
		})
	})
	t.Run("a request named its uid", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			done := s.interrupted()
			require.True(t, s.view(done.Pool.UID).Claimed)
			taken(t, s, asNew)
		})
	})
	t.Run("another author's", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			s.interrupted()
			taken(t, s, lifecycle.Request{Author: "user:bob", IfNoneMatch: true})
		})
	})
	t.Run("somebody waits for it", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			s.world.habits = launchesWarmUp(time.Hour)
			done := s.create(spec(1, probed))
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = s.m.Operation(ctx, done.Operation.ID, 30*time.Second)
			}()
			synctest.Wait()
			taken(t, s, asNew)
			s.pass(31 * time.Second)
			<-ended
			go func() { // between two polls it is waited for the next one
				<-time.After(3 * time.Second)
				_, _ = s.m.Operation(ctx, done.Operation.ID, 30*time.Second)
			}()
			began := time.Now()
			taken(t, s, asNew)
			require.InDelta(t, 3, time.Since(began).Seconds(), 0.5)
			s.pass(31 * time.Second)
			require.Equal(t, done.Pool.UID, s.create(spec(1, probed)).Pool.UID, "the next poll did not come")
			require.InDelta(t, 38, time.Since(began).Seconds(), 0.5)
			cancel()
		})
	})
	t.Run("another spec", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			s.interrupted()
			before := s.view("web")
			_, err := s.m.Put(t.Context(), asNew, spec(1, probed, describedAs("somebody else's")))
			refused(t, err, api.ProblemExists)
			require.Equal(t, before, s.view("web"))
		})
	})
	t.Run("somebody changed it", func(t *testing.T) {
		for name, change := range map[string]func(*stage) (lifecycle.Accepted, error){
			"patch": func(s *stage) (lifecycle.Accepted, error) {
				return s.m.Patch(s.t.Context(), asChange, "web", []byte(`{"size":2}`))
			},
			"put":     func(s *stage) (lifecycle.Accepted, error) { return s.m.Put(s.t.Context(), asChange, spec(2, probed)) },
			"restart": func(s *stage) (lifecycle.Accepted, error) { return s.m.Restart(s.t.Context(), asChange, "web") },
		} {
			t.Run(name, func(t *testing.T) {
				play(t, func(t *testing.T, s *stage) {
					s.interrupted()
					_, err := change(s)
					require.NoError(t, err)
					require.True(t, s.view("web").Claimed)
					taken(t, s, asNew)
				})
			})
		}
	})
	t.Run("being destroyed", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			s.world.habits = func(runtime.Launch) habit { return habit{work: time.Second} }
			s.created(spec(1))
			destroy := s.destroy("web")
			for _, by := range []lifecycle.Request{asNew, {Author: "user:bob", IfNoneMatch: true}} {
				_, err := s.m.Put(t.Context(), by, spec(1))
				r := refused(t, err, api.ProblemDeleting)
				require.Equal(t, destroy.Operation.ID, r.Operation.ID)
			}
			s.succeeds(destroy)
			require.Equal(t, pool.PhaseCreating, s.create(spec(1)).Pool.Phase)
		})
	})
}

func TestOfManyCreationsAtOnceOneMakesThePool(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		results := make(chan lifecycle.Accepted, 20)
		for range 20 {
			go func() {
				done, err := s.m.Put(t.Context(), asNew, spec(1))
				if err != nil {
					t.Error(err) // and not require, which would end this goroutine alone
				}
				results <- done
			}()
		}
		changed := 0
		uids := map[string]bool{}
		for range 20 {
			done := <-results
			uids[done.Pool.UID] = true
			if done.Changed {
				changed++
			}
		}
		require.Equal(t, 1, changed)
		require.Len(t, uids, 1)
	})
}

// TestOfManyCreatorsAtOnceWhoWaitOneHasThePool: each waits for the pool if it gets it, as Terraform does.
func TestOfManyCreatorsAtOnceWhoWaitOneHasThePool(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		results := make(chan error, 20)
		for range 20 {
			go func() {
				done, err := s.m.Put(t.Context(), asNew, spec(1))
				if err == nil {
					_, err = s.m.Operation(t.Context(), done.Operation.ID, time.Minute)
				}
				results <- err
			}()
		}
		have := 0
		for range 20 {
			if err := <-results; err == nil {
				have++
			} else {
				refused(t, err, api.ProblemExists)
			}
		}
		require.Equal(t, 1, have)
	})
}
