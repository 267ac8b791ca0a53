package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

var operationCases = []testCase{
	{"an operation comes back as it was put in", func(t *testing.T, s store.Store) {
		o := full[pool.Operation](t)
		o.ID, o.PoolUID = "o1", insertPool(t, s, "u1", "web").UID
		update(t, s, func(w store.Writer) error { return w.PutOperation(o) })
		view(t, s, func(r store.Reader) error {
			got, err := r.Operation(o.ID)
			require.Equal(t, stored(o), got)
			return err
		})
	}},
	{"operations are listed from the newest, also of one instant and when put again", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		insertPool(t, s, "u2", "other")
		put := func(id, poolUID string, phase pool.OperationPhase) {
			update(t, s, func(w store.Writer) error {
				return w.PutOperation(pool.Operation{ID: id, PoolUID: poolUID, Phase: phase, CreatedAt: noon})
			})
		}
		put("c", "u1", pool.OperationRunning)
		put("a", "u1", pool.OperationRunning)
		put("x", "u2", pool.OperationRunning)
		put("b", "u1", pool.OperationRunning)
		put("d", "u1", pool.OperationFailed)
		put("a", "u1", pool.OperationSuperseded)
		view(t, s, func(r store.Reader) error {
			all, err := r.Operations("u1", 0)
			require.NoError(t, err)
			require.Equal(t, []string{"d", "b", "a", "c"}, operationIDs(all))
			newest, err := r.Operations("u1", 2)
			require.NoError(t, err)
			require.Equal(t, []string{"d", "b"}, operationIDs(newest))
			running, err := r.RunningOperations("u1")
			require.Equal(t, []string{"c", "b"}, operationIDs(running))
			return err
		})
	}},
	{"what is not there is not found", func(t *testing.T, s store.Store) {
		view(t, s, func(r store.Reader) error {
			_, err := r.Operation("none")
			require.ErrorIs(t, err, store.ErrNotFound)
			all, err := r.Operations("none", 0)
			require.NoError(t, err)
			require.Empty(t, all)
			running, err := r.RunningOperations("none")
			require.Empty(t, running)
			return err
		})
		err := s.Update(t.Context(), func(w store.Writer) error {
			return w.PutOperation(pool.Operation{ID: "o1", PoolUID: "none"})
		})
		require.ErrorIs(t, err, store.ErrNotFound)
	}},
}

func operationIDs(operations []pool.Operation) (ids []string) {
	for _, o := range operations {
		ids = append(ids, o.ID)
	}
	return ids
}

var eventCases = []testCase{
	{"an event comes back as it was appended, with its number", func(t *testing.T, s store.Store) {
		e := full[pool.Event](t)
		e.PoolUID = "u1"
		update(t, s, func(w store.Writer) error { return w.AppendEvents(e) })
		view(t, s, func(r store.Reader) error {
			got, err := r.Events(e.PoolUID, 0, 0)
			want := stored(e)
			want.Sequence = 1
			require.Equal(t, []pool.Event{want}, got)
			return err
		})
	}},
	{"the newest moment is that of an event, or of a lease's claim, renewal or end, and not when it expires", func(t *testing.T, s store.Store) {
		newest := func(want time.Time) {
			t.Helper()
			view(t, s, func(r store.Reader) error {
				at, err := r.Latest(time.Minute)
				require.Equal(t, stored(want), at)
				return err
			})
		}
		put := func(l pool.Lease) {
			update(t, s, func(w store.Writer) error { return w.PutLease(l) })
		}
		newest(time.Time{})
		update(t, s, func(w store.Writer) error {
			return w.AppendEvents(pool.Event{PoolUID: "u1", Time: noon.Add(time.Second)}, pool.Event{PoolUID: "u1", Time: noon})
		})
		newest(noon.Add(time.Second))
		update(t, s, func(w store.Writer) error {
			return w.AppendEvents(pool.Event{PoolUID: "u1", Time: noon.Add(-time.Hour)})
		})
		newest(noon.Add(time.Second))

		l := pool.Lease{ID: "l", State: pool.LeaseWaiting, TTL: pool.Duration(time.Minute)}
		l.ExpiresAt = noon.Add(2*time.Minute + 1500*time.Millisecond)
		put(l)
		newest(noon.Add(1500 * time.Millisecond))
		l.State, l.ExpiresAt = pool.LeaseHeld, noon.Add(62*time.Second)
		put(l)
		newest(noon.Add(2 * time.Second))
		l.State, l.EndedAt = pool.LeaseReleased, noon.Add(3*time.Second)
		put(l)
		newest(noon.Add(3 * time.Second))
	}},
	{"events are numbered per pool in the order given", func(t *testing.T, s store.Store) {
		update(t, s, func(w store.Writer) error {
			require.NoError(t, w.AppendEvents())
			require.NoError(t, w.AppendEvents(
				pool.Event{PoolUID: "u1", Message: "a"}, pool.Event{PoolUID: "u2", Message: "b"}, pool.Event{PoolUID: "u1", Message: "c"}))
			return w.AppendEvents(pool.Event{PoolUID: "u1", Message: "d"})
		})
		update(t, s, func(w store.Writer) error {
			return w.AppendEvents(pool.Event{PoolUID: "u2", Message: "e"}, pool.Event{PoolUID: "u1", Message: "f"})
		})
		view(t, s, func(r store.Reader) error {
			require.Equal(t, []string{"1 a", "2 c", "3 d", "4 f"}, eventLog(t, r, "u1"))
			require.Equal(t, []string{"1 b", "2 e"}, eventLog(t, r, "u2"))
			return nil
		})
	}},
	{"a log is read on from a number, at most as much as asked for", func(t *testing.T, s store.Store) {
		update(t, s, func(w store.Writer) error {
			for range 10 {
				require.NoError(t, w.AppendEvents(pool.Event{PoolUID: "u1"}))
			}
			return nil
		})
		view(t, s, func(r store.Reader) error {
			some, err := r.Events("u1", 3, 4)
			require.NoError(t, err)
			require.Len(t, some, 4)
			require.EqualValues(t, 4, some[0].Sequence)
			require.EqualValues(t, 7, some[3].Sequence)
			none, err := r.Events("u1", 10, 4)
			require.Empty(t, none)
			return err
		})
	}},
}

func eventLog(t *testing.T, r store.Reader, poolUID string) (log []string) {
	t.Helper()
	events, err := r.Events(poolUID, 0, 0)
	require.NoError(t, err)
	for _, e := range events {
		log = append(log, fmt.Sprint(e.Sequence, " ", e.Message))
	}
	return log
}

var replyCases = []testCase{
	{"a reply is found by author and key", func(t *testing.T, s store.Store) {
		reply := store.IdempotentReply{Author: "ann", Key: "k", RequestHash: "h", Answered: "o", CreatedAt: noon}
		update(t, s, func(w store.Writer) error { return w.PutIdempotentReply(reply) })
		view(t, s, func(r store.Reader) error {
			got, err := r.IdempotentReply("ann", "k")
			require.NoError(t, err)
			require.Equal(t, stored(reply), got)
			_, err = r.IdempotentReply("bob", "k")
			require.ErrorIs(t, err, store.ErrNotFound)
			_, err = r.IdempotentReply("ann", "other")
			require.ErrorIs(t, err, store.ErrNotFound)
			return nil
		})
	}},
	{"any text is a key of its own, also what no database calls text", func(t *testing.T, s store.Store) {
		odd := []string{"", "a", "a\x00b", "a\x00c", "\xff", "\xfe", `"a"`, `"a\x00b"`, "'; --", "ü"}
		for _, key := range odd {
			update(t, s, func(w store.Writer) error {
				return w.PutIdempotentReply(store.IdempotentReply{Author: key, Key: key, RequestHash: fmt.Sprintf("%x", key)})
			})
		}
		view(t, s, func(r store.Reader) error {
			for _, key := range odd {
				got, err := r.IdempotentReply(key, key)
				require.NoError(t, err, "%q", key)
				require.Equal(t, store.IdempotentReply{Author: key, Key: key, RequestHash: fmt.Sprintf("%x", key)}, got)
				_, err = r.PoolByName(key)
				require.ErrorIs(t, err, store.ErrNotFound, "%q", key)
			}
			return nil
		})
	}},
	{"a reply can be put again", func(t *testing.T, s store.Store) {
		for _, hash := range []string{"first", "second"} {
			update(t, s, func(w store.Writer) error {
				return w.PutIdempotentReply(store.IdempotentReply{Author: "ann", Key: "k", RequestHash: hash})
			})
		}
		view(t, s, func(r store.Reader) error {
			got, err := r.IdempotentReply("ann", "k")
			require.Equal(t, store.IdempotentReply{Author: "ann", Key: "k", RequestHash: "second"}, got)
			return err
		})
	}},
	{"pruning deletes what is older", func(t *testing.T, s store.Store) {
		update(t, s, func(w store.Writer) error {
			require.NoError(t, w.PutIdempotentReply(store.IdempotentReply{Author: "ann", Key: "old", CreatedAt: noon.Add(-time.Microsecond)}))
			return w.PutIdempotentReply(store.IdempotentReply{Author: "ann", Key: "new", CreatedAt: noon})
		})
		update(t, s, func(w store.Writer) error { return w.PruneIdempotentReplies(noon) })
		view(t, s, func(r store.Reader) error {
			_, err := r.IdempotentReply("ann", "old")
			require.ErrorIs(t, err, store.ErrNotFound)
			_, err = r.IdempotentReply("ann", "new")
			return err
		})
	}},
}
