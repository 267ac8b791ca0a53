package lifecycle_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestPreconditions(t *testing.T) {
	const old, newest, wild, none = "old", "newest", "*", ""
	put := func(size int64) func(*stage, lifecycle.Request) (lifecycle.Accepted, error) {
		return func(s *stage, by lifecycle.Request) (lifecycle.Accepted, error) {
			return s.m.Put(s.t.Context(), by, spec(size))
		}
	}
	patch := func(s *stage, by lifecycle.Request) (lifecycle.Accepted, error) {
		return s.m.Patch(s.t.Context(), by, "web", []byte(`{"size":2}`))
	}
	restart := func(s *stage, by lifecycle.Request) (lifecycle.Accepted, error) {
		return s.m.Restart(s.t.Context(), by, "web")
	}
	destroy := func(s *stage, by lifecycle.Request) (lifecycle.Accepted, error) {
		return s.m.Delete(s.t.Context(), by, "web", false)
	}
	for _, c := range []struct {
		name    string
		ask     func(*stage, lifecycle.Request) (lifecycle.Accepted, error)
		match   string
		problem string // empty: accepted
	}{
		{"put without one", put(2), none, api.ProblemPrecondition},
		{"put on an old state", put(2), old, api.ProblemStale},
		{"put on the newest state", put(2), newest, ""},
		{"put on any state", put(2), wild, ""},
		{"patch without one", patch, none, api.ProblemPrecondition},
		{"patch on an old state", patch, old, api.ProblemStale},
		{"patch on the newest state", patch, newest, ""},
		{"restart without one", restart, none, api.ProblemPrecondition},
		{"restart on an old state", restart, old, api.ProblemStale},
		{"restart on the newest state", restart, newest, ""},
		{"delete without one", destroy, none, api.ProblemPrecondition},
		{"delete on an old state", destroy, old, api.ProblemStale},
		{"delete on the newest state", destroy, newest, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				first := s.created(spec(0)).Pool
				second := s.change(spec(0, describedAs("second")))
				s.succeeds(second)
				match := map[string]string{old: api.ETag(first), newest: api.ETag(second.Pool), wild: wild}[c.match]
				done, err := c.ask(s, lifecycle.Request{Author: author, IfMatch: match})
				if c.problem != "" {
					r := refused(t, err, c.problem)
					if c.problem == api.ProblemStale {
						require.Equal(t, first.UID, r.UID)
					}
					require.Equal(t, int64(2), s.view("web").Generation)
					return
				}
				require.NoError(t, err)
				require.Equal(t, int64(3), done.Pool.Generation)
				s.succeeds(done)
			})
		})
	}
}

func TestWhatIsNotThereCannotBeChanged(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		for _, ref := range []string{"web", "p_unknown"} {
			_, err := s.m.Pool(t.Context(), ref)
			refused(t, err, api.ProblemNotFound)
			_, err = s.m.Patch(t.Context(), asChange, ref, []byte(`{}`))
			refused(t, err, api.ProblemNotFound)
			_, err = s.m.Restart(t.Context(), asChange, ref)
			refused(t, err, api.ProblemNotFound)
			_, err = s.m.Delete(t.Context(), asChange, ref, true)
			refused(t, err, api.ProblemNotFound)
			_, err = s.m.Workers(t.Context(), ref)
			refused(t, err, api.ProblemNotFound)
			_, err = s.m.Events(t.Context(), ref, 0, 0)
			refused(t, err, api.ProblemNotFound)
			_, err = s.m.Revisions(t.Context(), ref, 0)
			refused(t, err, api.ProblemNotFound)
		}
		_, err := s.m.Put(t.Context(), asChange, spec(1))
		refused(t, err, api.ProblemNotFound)
		_, err = s.m.Put(t.Context(), lifecycle.Request{Author: author}, spec(1))
		refused(t, err, api.ProblemPrecondition)
		_, err = s.m.Operation(t.Context(), "op_unknown", time.Hour)
		refused(t, err, api.ProblemNotFound)
		s.created(spec(0))
		_, err = s.m.Logs(t.Context(), "web", "w_unknown", 10)
		refused(t, err, api.ProblemNotFound)
	})
}

func TestAPutOfTheNewestSpecIsAnsweredByItsOperation(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		first := s.create(spec(2))
		again := s.change(spec(2))
		require.Equal(t, []any{false, first.Operation.ID}, []any{again.Changed, again.Operation.ID})
		s.succeeds(first)
		events := len(s.events(first.Pool.UID))
		again = s.change(spec(2))
		require.Equal(t, []any{false, first.Operation.ID, pool.OperationSucceeded}, []any{again.Changed, again.Operation.ID, again.Operation.Phase})
		restarted := s.restart("web")
		again = s.change(spec(2))
		require.Equal(t, []any{false, restarted.Operation.ID}, []any{again.Changed, again.Operation.ID}, "the newest that a user asked for")
		s.succeeds(restarted)
		require.Equal(t, int64(2), s.view("web").Generation)
		require.Greater(t, len(s.events(first.Pool.UID)), events)
	})
}

func TestAChangeThatOnlyAnotherPoolCanHaveIsRefused(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(0))
		_, err := s.m.Patch(t.Context(), asChange, "web", []byte(`{"name":"other"}`))
		r := refused(t, err, api.ProblemReplace)
		require.Equal(t, []any{"name", `"other"`}, []any{r.Faults[0].Path, r.Faults[0].Value})
		require.Equal(t, int64(1), s.view("web").Generation)
	})
}

func TestARepeatedKeyIsAnsweredByTheFirstRequest(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		by := lifecycle.Request{Author: author, IfNoneMatch: true, Key: "k1", Fingerprint: "put 1"}
		first, err := s.m.Put(t.Context(), by, spec(1))
		require.NoError(t, err)
		s.succeeds(first)
		s.succeeds(s.change(spec(1, describedAs("changed since"))))

		again, err := s.m.Put(t.Context(), by, spec(1))
		require.NoError(t, err)
		require.Equal(t, []any{false, first.Operation.ID}, []any{again.Changed, again.Operation.ID})
		require.Equal(t, pool.OperationSucceeded, again.Operation.Phase, "as it is now")
		require.Equal(t, int64(2), s.view("web").Generation, "nothing was changed back")

		by.Fingerprint = "put 2"
		_, err = s.m.Put(t.Context(), by, spec(1))
		refused(t, err, api.ProblemKeyReused)

		bob := lifecycle.Request{Author: "user:bob", IfMatch: "*", Key: "k1", Fingerprint: "restart"}
		other, err := s.m.Restart(t.Context(), bob, "web")
		require.NoError(t, err, "a key is its author's own")
		require.True(t, other.Changed)

		gone := lifecycle.Request{Author: author, IfMatch: "*", Key: "k2", Fingerprint: "delete"}
		done, err := s.m.Delete(t.Context(), gone, "web", false)
		require.NoError(t, err)
		s.succeeds(done)
		again, err = s.m.Delete(t.Context(), gone, "web", false)
		require.NoError(t, err, "also when the pool is gone")
		require.Equal(t, done.Operation.ID, again.Operation.ID)
	})
}

func TestAKeyIsForgottenAfterADay(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(0))
		restart := func(key string) lifecycle.Accepted {
			t.Helper()
			done, err := s.m.Restart(t.Context(), lifecycle.Request{Author: author, IfMatch: "*", Key: key, Fingerprint: "restart"}, "web")
			require.NoError(t, err)
			return done
		}
		first := restart("k")
		s.pass(23 * time.Hour)
		require.True(t, restart("other").Changed)
		require.Equal(t, first.Operation.ID, restart("k").Operation.ID)
		s.pass(2 * time.Hour)
		require.True(t, restart("yet another").Changed)
		require.True(t, restart("k").Changed)
	})
}

func TestARefusedRequestDoesNotUseItsKeyUp(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		by := lifecycle.Request{Author: author, IfMatch: "*", Key: "k", Fingerprint: "f"}
		_, err := s.m.Put(t.Context(), by, spec(1))
		refused(t, err, api.ProblemNotFound)
		s.created(spec(0))
		done, err := s.m.Put(t.Context(), by, spec(1))
		require.NoError(t, err)
		s.succeeds(done)
	})
}

func TestOnlyOneOfManyChangesOfTheSameStateIsAccepted(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		created := s.created(spec(0)).Pool
		results := make(chan error, 20)
		for n := range 20 {
			go func() {
				by := lifecycle.Request{Author: author, IfMatch: api.ETag(created)}
				_, err := s.m.Put(t.Context(), by, spec(int64(n%3), describedAs(time.Duration(n).String())))
				results <- err
			}()
		}
		var accepted int
		for range 20 {
			if err := <-results; err != nil {
				refused(t, err, api.ProblemStale)
				continue
			}
			accepted++
		}
		require.Equal(t, 1, accepted)
		require.Equal(t, int64(2), s.view("web").Generation)
	})
}

func TestAWaitForAnOperation(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = launchesWarmUp(time.Minute)
		done := s.create(spec(1, probed))
		began := time.Now()
		o, err := s.m.Operation(t.Context(), done.Operation.ID, 10*time.Second)
		require.NoError(t, err)
		require.Equal(t, []any{pool.OperationRunning, 10 * time.Second}, []any{o.Phase, time.Since(began)}, "it ends with its time")
		o, err = s.m.Operation(t.Context(), done.Operation.ID, 0)
		require.NoError(t, err)
		require.Equal(t, []any{pool.OperationRunning, 10 * time.Second}, []any{o.Phase, time.Since(began)}, "no time is no wait")

		many := make(chan pool.Operation, 30)
		for range 30 {
			go func() { many <- s.ends(done) }()
		}
		synctest.Wait()
		require.Empty(t, many)
		for range 30 {
			require.Equal(t, pool.OperationSucceeded, (<-many).Phase)
		}
		o, err = s.m.Operation(t.Context(), done.Operation.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, pool.OperationSucceeded, o.Phase, "what has ended is told at once")
	})
}

func TestAWaitEndsWithItsManager(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = launchesWarmUp(time.Hour)
		done := s.create(spec(1, probed))
		failed := make(chan error, 1)
		go func() {
			_, err := s.m.Operation(t.Context(), done.Operation.ID, time.Hour)
			failed <- err
		}()
		synctest.Wait()
		s.close()
		refused(t, <-failed, api.ProblemStopping)
	})
}

func TestEveryMutationHasItsAuthorAndReasonOnRecord(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		by := lifecycle.Request{Author: "user:eve", Comment: "because", IfMatch: "*"}
		uid := s.created(spec(1)).Pool.UID
		for _, ask := range []func() (lifecycle.Accepted, error){
			func() (lifecycle.Accepted, error) { return s.m.Put(t.Context(), by, spec(2)) },
			func() (lifecycle.Accepted, error) { return s.m.Put(t.Context(), by, spec(2, describedAs("x"))) },
			func() (lifecycle.Accepted, error) { return s.m.Patch(t.Context(), by, "web", []byte(`{"size":1}`)) },
			func() (lifecycle.Accepted, error) { return s.m.Restart(t.Context(), by, "web") },
			func() (lifecycle.Accepted, error) { return s.m.Delete(t.Context(), by, "web", true) },
		} {
			done, err := ask()
			require.NoError(t, err)
			s.succeeds(done)
			events := s.events(uid)
			i := slices.IndexFunc(events, func(e pool.Event) bool { return e.OperationID == done.Operation.ID })
			require.Equal(t, []string{by.Author, by.Comment}, []string{events[i].Author, events[i].Comment})
			require.Equal(t, []string{by.Author, by.Comment}, []string{done.Operation.Author, done.Operation.Comment})
		}
		for _, e := range s.events(uid) {
			require.NotEmpty(t, e.Author)
			require.NotEmpty(t, e.Message)
			require.Equal(t, "web", e.PoolName)
			require.False(t, e.Time.IsZero())
		}
	})
}

func TestARepeatedPatchIsAnsweredLikeTheFirst(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		by := lifecycle.Request{Author: author, IfMatch: "*", Key: "k", Fingerprint: "f"}
		first, err := s.m.Patch(t.Context(), by, "web", []byte(`{"update":{"max_surge":0,"max_unavailable":1}}`))
		require.NoError(t, err)
		s.succeeds(first)
		s.succeeds(s.destroy("web"))
		again, err := s.m.Patch(t.Context(), by, "web", []byte(`{"update":{"max_surge":0,"max_unavailable":1}}`))
		require.NoError(t, err, "although the pool is gone")
		require.Equal(t, first.Operation.ID, again.Operation.ID)
	})
}

func TestPatchesOfAnyStateAreAllTakenInAtOnce(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		results := make(chan error, 20)
		for i := range 20 {
			go func() {
				_, err := s.m.Patch(t.Context(), asChange, "web", fmt.Appendf(nil, `{"labels":{"l%d":"x"}}`, i))
				results <- err
			}()
		}
		for range 20 {
			require.NoError(t, <-results)
		}
		require.Len(t, s.view("web").Spec.Labels, 20)
	})
}

func TestWhatIsThereAlreadyNeedsNoNewestBase(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		first := s.created(spec(1))
		changed := s.change(spec(1, describedAs("news")))
		by := lifecycle.Request{Author: author, IfMatch: api.ETag(first.Pool)}
		again, err := s.m.Put(t.Context(), by, spec(1, describedAs("news")))
		require.NoError(t, err, "somebody whose answer was lost asks again")
		require.Equal(t, changed.Operation.ID, again.Operation.ID)
		_, err = s.m.Put(t.Context(), by, spec(1, describedAs("other news")))
		refused(t, err, api.ProblemStale)
	})
}
