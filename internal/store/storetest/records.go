package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

var poolCases = []testCase{
	{"a pool comes back as it was put in", func(t *testing.T, s store.Store) {
		p := full[pool.Pool](t)
		p.UID, p.Name, p.Phase = "u1", "web", pool.PhaseLive
		update(t, s, func(w store.Writer) error { return w.InsertPool(p) })
		view(t, s, func(r store.Reader) error {
			got, err := r.Pool(p.UID)
			require.Equal(t, stored(p), got)
			return err
		})
	}},
	{"a pool with nothing but zeros comes back so", func(t *testing.T, s store.Store) {
		update(t, s, func(w store.Writer) error { return w.InsertPool(pool.Pool{UID: "zero"}) })
		view(t, s, func(r store.Reader) error {
			got, err := r.Pool("zero")
			require.Equal(t, pool.Pool{UID: "zero"}, got)
			require.True(t, got.CreatedAt.IsZero())
			return err
		})
	}},
	{"an update replaces the whole pool", func(t *testing.T, s store.Store) {
		p := insertPool(t, s, "u1", "web")
		changed := full[pool.Pool](t)
		changed.UID, changed.Name, changed.Phase = p.UID, p.Name, pool.PhaseLive
		update(t, s, func(w store.Writer) error { return w.UpdatePool(changed) })
		view(t, s, func(r store.Reader) error {
			got, err := r.PoolByName("web")
			require.Equal(t, stored(changed), got)
			return err
		})
	}},
	{"what is not there is not found", func(t *testing.T, s store.Store) {
		view(t, s, func(r store.Reader) error {
			_, err := r.Pool("none")
			require.ErrorIs(t, err, store.ErrNotFound)
			_, err = r.PoolByName("none")
			require.ErrorIs(t, err, store.ErrNotFound)
			list, err := r.Pools(store.Page{})
			require.Empty(t, list)
			return err
		})
		err := s.Update(t.Context(), func(w store.Writer) error { return w.UpdatePool(samplePool("none", "none")) })
		require.ErrorIs(t, err, store.ErrNotFound)
	}},
	{"a name is taken until its pool is destroyed", func(t *testing.T, s store.Store) {
		first := insertPool(t, s, "u1", "web")
		for _, phase := range []pool.Phase{pool.PhaseCreating, pool.PhaseLive, pool.PhaseDeleting} {
			first.Phase = phase
			update(t, s, func(w store.Writer) error { return w.UpdatePool(first) })
			err := s.Update(t.Context(), func(w store.Writer) error { return w.InsertPool(samplePool("u2", "web")) })
			require.ErrorIs(t, err, store.ErrNameTaken, phase)
			require.ErrorContains(t, err, "web")
		}
		first.Phase = pool.PhaseDestroyed
		update(t, s, func(w store.Writer) error { return w.UpdatePool(first) })
		insertPool(t, s, "u2", "web")
		view(t, s, func(r store.Reader) error {
			living, err := r.PoolByName("web")
			require.NoError(t, err)
			require.Equal(t, "u2", living.UID)
			destroyed, err := r.Pool("u1")
			require.Equal(t, pool.PhaseDestroyed, destroyed.Phase)
			return err
		})
	}},
	{"a taken name does not keep its change from going on", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		update(t, s, func(w store.Writer) error {
			require.ErrorIs(t, w.InsertPool(samplePool("u2", "web")), store.ErrNameTaken)
			return w.InsertPool(samplePool("u2", "web-2"))
		})
		view(t, s, func(r store.Reader) error {
			_, err := r.PoolByName("web-2")
			return err
		})
	}},
	{"a uid is never used again", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		err := s.Update(t.Context(), func(w store.Writer) error { return w.InsertPool(samplePool("u1", "other")) })
		require.Error(t, err)
		require.NotErrorIs(t, err, store.ErrNameTaken)
	}},
	{"pools are listed by name, page by page, without the destroyed", func(t *testing.T, s store.Store) {
		names := []string{"a", "a-1", "b", "ba", "c", "z9"}
		for i := len(names) - 1; i >= 0; i-- {
			insertPool(t, s, fmt.Sprint("u", i), names[i])
		}
		gone := insertPool(t, s, "gone", "b0")
		gone.Phase = pool.PhaseDestroyed
		update(t, s, func(w store.Writer) error { return w.UpdatePool(gone) })
		view(t, s, func(r store.Reader) error {
			all, err := r.Pools(store.Page{})
			require.NoError(t, err)
			require.Equal(t, names, poolNames(all))
			var paged []string
			for page := (store.Page{Limit: 4}); ; page.After = paged[len(paged)-1] {
				next, err := r.Pools(page)
				require.NoError(t, err)
				require.LessOrEqual(t, len(next), 4)
				if len(next) == 0 {
					break
				}
				paged = append(paged, poolNames(next)...)
			}
			require.Equal(t, names, paged)
			return nil
		})
	}},
}

func poolNames(pools []pool.Pool) (names []string) {
	for _, p := range pools {
		names = append(names, p.Name)
	}
	return names
}

var revisionCases = []testCase{
	{"a revision comes back as it was put in", func(t *testing.T, s store.Store) {
		r := full[pool.Revision](t)
		r.PoolUID = insertPool(t, s, "u1", "web").UID
		update(t, s, func(w store.Writer) error { return w.InsertRevision(r) })
		view(t, s, func(read store.Reader) error {
			got, err := read.Revision("u1", r.Number)
			require.Equal(t, stored(r), got)
			return err
		})
	}},
	{"a revision is never rewritten", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		update(t, s, func(w store.Writer) error {
			return w.InsertRevision(pool.Revision{PoolUID: "u1", Number: 1, Author: "first"})
		})
		err := s.Update(t.Context(), func(w store.Writer) error {
			return w.InsertRevision(pool.Revision{PoolUID: "u1", Number: 1, Author: "second"})
		})
		require.Error(t, err)
		view(t, s, func(r store.Reader) error {
			got, err := r.Revision("u1", 1)
			require.Equal(t, "first", got.Author)
			return err
		})
	}},
	{"revisions are listed from the newest, of one pool only", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		insertPool(t, s, "u2", "other")
		update(t, s, func(w store.Writer) error {
			for n := range int64(12) {
				require.NoError(t, w.InsertRevision(pool.Revision{PoolUID: "u1", Number: n + 1}))
			}
			return w.InsertRevision(pool.Revision{PoolUID: "u2", Number: 99})
		})
		view(t, s, func(r store.Reader) error {
			newest, err := r.Revisions("u1", 2)
			require.NoError(t, err)
			require.Len(t, newest, 2)
			require.EqualValues(t, 12, newest[0].Number)
			require.EqualValues(t, 11, newest[1].Number)
			all, err := r.Revisions("u1", 0)
			require.Len(t, all, 12)
			return err
		})
	}},
	{"what is not there is not found", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		view(t, s, func(r store.Reader) error {
			_, err := r.Revision("u1", 1)
			require.ErrorIs(t, err, store.ErrNotFound)
			none, err := r.Revisions("u1", 0)
			require.Empty(t, none)
			return err
		})
		err := s.Update(t.Context(), func(w store.Writer) error {
			return w.InsertRevision(pool.Revision{PoolUID: "none", Number: 1})
		})
		require.ErrorIs(t, err, store.ErrNotFound)
	}},
}

var workerCases = []testCase{
	{"a worker comes back as it was put in, without the marks", func(t *testing.T, s store.Store) {
		worker := full[pool.Worker](t)
		worker.ID, worker.PoolUID = "w1", insertPool(t, s, "u1", "web").UID
		update(t, s, func(w store.Writer) error { return w.PutWorkers(worker) })
		worker.Marks = pool.Marks{}
		view(t, s, func(r store.Reader) error {
			got, err := r.Worker(worker.ID)
			require.Equal(t, stored(worker), got)
			return err
		})
	}},
	{"putting a worker again replaces all of it", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		before := full[pool.Worker](t)
		before.ID, before.PoolUID, before.State = "w1", "u1", pool.WorkerStopping
		after := sampleWorker("w1", "u1", pool.WorkerStopped, noon)
		update(t, s, func(w store.Writer) error { return w.PutWorkers(before) })
		update(t, s, func(w store.Writer) error { return w.PutWorkers(after) })
		view(t, s, func(r store.Reader) error {
			got, err := r.Worker("w1")
			require.NoError(t, err)
			require.Equal(t, after, got)
			living, err := r.Workers("u1")
			require.NoError(t, err)
			require.Empty(t, living)
			ended, err := r.EndedWorkers("u1", 0)
			require.Equal(t, []pool.Worker{after}, ended)
			return err
		})
	}},
	{"living workers are listed oldest first, ended ones from the newest end", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		insertPool(t, s, "u2", "other")
		update(t, s, func(w store.Writer) error {
			return w.PutWorkers(
				sampleWorker("young", "u1", pool.WorkerReady, noon.Add(2*time.Second)),
				sampleWorker("old", "u1", pool.WorkerDraining, noon),
				sampleWorker("middle-b", "u1", pool.WorkerPending, noon.Add(time.Second)),
				sampleWorker("middle-a", "u1", pool.WorkerStarting, noon.Add(time.Second)),
				sampleWorker("going", "u1", pool.WorkerStopping, noon.Add(3*time.Second)),
				sampleWorker("failed", "u1", pool.WorkerFailed, noon),
				sampleWorker("stopped", "u1", pool.WorkerStopped, noon.Add(time.Minute)),
				sampleWorker("elsewhere", "u2", pool.WorkerReady, noon),
			)
		})
		view(t, s, func(r store.Reader) error {
			living, err := r.Workers("u1")
			require.NoError(t, err)
			require.Equal(t, []string{"old", "middle-a", "middle-b", "young", "going"}, workerIDs(living))
			ended, err := r.EndedWorkers("u1", 0)
			require.NoError(t, err)
			require.Equal(t, []string{"stopped", "failed"}, workerIDs(ended))
			newest, err := r.EndedWorkers("u1", 1)
			require.Equal(t, []string{"stopped"}, workerIDs(newest))
			return err
		})
	}},
	{"pruning keeps the living and the newest ended workers", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		insertPool(t, s, "u2", "other")
		update(t, s, func(w store.Writer) error {
			for i := range 5 {
				require.NoError(t, w.PutWorkers(
					sampleWorker(fmt.Sprint("ended-", i), "u1", pool.WorkerStopped, noon.Add(time.Duration(i)*time.Minute)),
					sampleWorker(fmt.Sprint("living-", i), "u1", pool.WorkerReady, noon)))
			}
			return w.PutWorkers(sampleWorker("elsewhere", "u2", pool.WorkerStopped, noon))
		})
		update(t, s, func(w store.Writer) error {
			pruned, err := w.PruneWorkers("u1", 2)
			require.Equal(t, []string{"ended-0", "ended-1", "ended-2"}, pruned)
			return err
		})
		update(t, s, func(w store.Writer) error {
			pruned, err := w.PruneWorkers("u1", 2)
			require.Empty(t, pruned)
			return err
		})
		view(t, s, func(r store.Reader) error {
			living, err := r.Workers("u1")
			require.NoError(t, err)
			require.Len(t, living, 5)
			ended, err := r.EndedWorkers("u1", 0)
			require.NoError(t, err)
			require.Equal(t, []string{"ended-4", "ended-3"}, workerIDs(ended))
			elsewhere, err := r.EndedWorkers("u2", 0)
			require.Len(t, elsewhere, 1)
			return err
		})
		update(t, s, func(w store.Writer) error {
			pruned, err := w.PruneWorkers("u1", 0)
			require.Equal(t, []string{"ended-3", "ended-4"}, pruned)
			return err
		})
	}},
	{"what is not there is not found", func(t *testing.T, s store.Store) {
		view(t, s, func(r store.Reader) error {
			_, err := r.Worker("none")
			require.ErrorIs(t, err, store.ErrNotFound)
			living, err := r.Workers("none")
			require.NoError(t, err)
			require.Empty(t, living)
			ended, err := r.EndedWorkers("none", 0)
			require.Empty(t, ended)
			return err
		})
		err := s.Update(t.Context(), func(w store.Writer) error {
			return w.PutWorkers(sampleWorker("w1", "none", pool.WorkerReady, noon))
		})
		require.ErrorIs(t, err, store.ErrNotFound)
	}},
}

func workerIDs(workers []pool.Worker) (ids []string) {
	for _, w := range workers {
		ids = append(ids, w.ID)
	}
	return ids
}

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
