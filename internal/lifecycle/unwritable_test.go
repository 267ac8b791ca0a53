package lifecycle_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

func TestWithoutAJournalNothingIsAcceptedAndNothingIsDone(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(2)).Pool.UID
		before, events := s.world.running(), s.events(uid)
		s.journal.fail(store.ErrUnwritable)

		_, err := s.m.Put(t.Context(), asChange, spec(4))
		require.ErrorIs(t, err, store.ErrUnwritable)
		_, err = s.m.Delete(t.Context(), asChange, "web", true)
		require.ErrorIs(t, err, store.ErrUnwritable)
		s.world.crash(before[0])
		s.pass(time.Minute)
		require.Equal(t, before[1:], s.world.running(), "the replacement waits for its journal")
		require.Equal(t, events, s.events(uid))
		require.Len(t, s.living("web"), 2, "reads go on, with what was known")

		s.journal.fail(nil)
		s.pass(2 * time.Second)
		require.Len(t, s.world.running(), 2)
		require.Equal(t, pool.WorkerFailed, s.worker(before[0]).State)
		s.succeeds(s.change(spec(4)))
	})
}

func TestAChangeGoesOnWhenTheStoreCanBeWrittenAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		ask  func(*stage) func() pool.Operation
		want int
	}{
		{"create", func(s *stage) func() pool.Operation {
			done := s.create(spec(3, probed))
			return func() pool.Operation { return s.succeeds(done) }
		}, 3},
		{"rollout", func(s *stage) func() pool.Operation {
			s.created(spec(3, probed))
			done := s.change(spec(3, probed, command("serve", "v2")))
			return func() pool.Operation { return s.succeeds(done) }
		}, 3},
		{"destroy", func(s *stage) func() pool.Operation {
			s.created(spec(3, probed))
			done := s.destroy("web")
			return func() pool.Operation { return s.succeeds(done) }
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.world.habits = func(runtime.Launch) habit { return habit{warmUp: 3 * time.Second, work: 3 * time.Second} }
				wait := c.ask(s)
				for range 5 {
					s.pass(1700 * time.Millisecond)
					s.journal.fail(store.ErrUnwritable)
					launched := len(s.world.starts())
					s.pass(20 * time.Second)
					require.Len(t, s.world.starts(), launched, "nothing is launched without a journal")
					s.journal.fail(nil)
				}
				wait()
				synctest.Wait()
				require.Len(t, s.world.running(), c.want)
			})
		})
	}
}

func TestAManagerThatCannotReadItsStoreOrItsWorldDoesNotStart(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		s.close()
		s.world.trouble = func(call, _ string) error {
			if call == "list" {
				return errTest
			}
			return nil
		}
		require.ErrorIs(t, s.tryOpen(), errTest)
		s.world.trouble = func(call, _ string) error {
			if call == "adopt" {
				return errTest
			}
			return nil
		}
		err := s.tryOpen()
		require.ErrorIs(t, err, errTest)
		require.ErrorContains(t, err, `pool "web"`)
		s.world.trouble = nil
		s.journal.through(func(string) (error, error) { return errTest, nil })
		require.ErrorIs(t, s.tryOpen(), errTest)
		s.journal.through(func(string) (error, error) { return nil, nil })
		require.Len(t, s.world.running(), 1, "nothing was ended meanwhile")
		s.open()
	})
}
