package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

var markCases = []testCase{
	{"marks outlive what a controller writes", func(t *testing.T, s store.Store) {
		serving(t, s, "u1", "w1")
		until := noon.Add(time.Hour)
		update(t, s, func(w store.Writer) error {
			require.NoError(t, w.Cordon("w1", true))
			require.NoError(t, w.PutLease(heldLease("l1", "w1")))
			return w.ExtendDrain("w1", until)
		})
		serving(t, s, "u1", "w1")
		want := pool.Marks{Leased: 1, Leases: 1, Cordoned: true, ExtendedTo: until.UTC().Truncate(time.Microsecond)}
		view(t, s, func(r store.Reader) error {
			got, err := r.Worker("w1")
			require.NoError(t, err)
			require.Equal(t, want, got.Marks)
			listed, err := r.Workers("u1")
			require.NoError(t, err)
			require.Equal(t, want, listed[0].Marks)
			marks, err := r.Marks("u1")
			require.Equal(t, map[string]pool.Marks{"w1": want}, marks)
			return err
		})
	}},
	{"workers without marks have no entry, nor have ended ones", func(t *testing.T, s store.Store) {
		serving(t, s, "u1", "w1", "w2")
		update(t, s, func(w store.Writer) error { return w.Cordon("w2", true) })
		gone := sampleWorker("w2", "u1", pool.WorkerStopped, noon)
		update(t, s, func(w store.Writer) error { return w.PutWorkers(gone) })
		view(t, s, func(r store.Reader) error {
			marks, err := r.Marks("u1")
			require.Empty(t, marks)
			return err
		})
	}},
	{"a worker that is not there cannot be marked", func(t *testing.T, s store.Store) {
		for _, mark := range []func(store.Writer) error{
			func(w store.Writer) error { return w.Cordon("none", true) },
			func(w store.Writer) error { return w.ExtendDrain("none", noon) },
		} {
			require.ErrorIs(t, s.Update(t.Context(), mark), store.ErrNotFound)
		}
	}},
}

var labelCases = []testCase{
	{"pools are found by all of their labels, as these are now", func(t *testing.T, s store.Store) {
		insert := func(uid, name string, labels map[string]string) pool.Pool {
			p := samplePool(uid, name)
			p.Spec.Labels = labels
			update(t, s, func(w store.Writer) error { return w.InsertPool(p) })
			return p
		}
		insert("u2", "b", map[string]string{"team": "core", "os": "linux"})
		a := insert("u1", "a", map[string]string{"team": "core", "os": "darwin"})
		gone := insert("u3", "c", map[string]string{"team": "core"})
		find := func(labels map[string]string, want ...string) {
			t.Helper()
			view(t, s, func(r store.Reader) error {
				got, err := r.PoolsByLabels(labels)
				require.Equal(t, want, poolNames(got))
				return err
			})
		}
		find(map[string]string{"team": "core"}, "a", "b", "c")
		find(map[string]string{"team": "core", "os": "linux"}, "b")
		find(map[string]string{"team": "edge"})
		a.Spec.Labels = map[string]string{"team": "edge"}
		gone.Phase = pool.PhaseDestroyed
		update(t, s, func(w store.Writer) error {
			require.NoError(t, w.UpdatePool(a))
			return w.UpdatePool(gone)
		})
		find(map[string]string{"team": "core"}, "b")
		find(map[string]string{"team": "edge"}, "a")
	}},
}

// serving puts workers that take one lease each.
func serving(t *testing.T, s store.Store, poolUID string, ids ...string) {
	t.Helper()
	update(t, s, func(w store.Writer) error {
		if _, err := w.Pool(poolUID); err != nil {
			require.NoError(t, w.InsertPool(samplePool(poolUID, "pool-"+poolUID)))
		}
		for _, id := range ids {
			worker := sampleWorker(id, poolUID, pool.WorkerReady, noon)
			worker.Health, worker.Slots, worker.TemplateHash = pool.Healthy, 1, "new"
			if err := w.PutWorkers(worker); err != nil {
				return err
			}
		}
		return nil
	})
}

func heldLease(id, workerID string) pool.Lease {
	return pool.Lease{ID: id, State: pool.LeaseHeld, PoolUID: "u1", WorkerID: workerID, ExpiresAt: noon.UTC().Truncate(time.Microsecond)}
}

func waitingLease(id, poolUID string) pool.Lease {
	return pool.Lease{ID: id, State: pool.LeaseWaiting, PoolUID: poolUID, ExpiresAt: noon.Add(time.Minute).UTC().Truncate(time.Microsecond)}
}

func ended(l pool.Lease, how pool.LeaseState, at time.Time) pool.Lease {
	l.State, l.EndedAt = how, at.UTC().Truncate(time.Microsecond)
	return l
}

func put(t *testing.T, s store.Store, leases ...pool.Lease) {
	t.Helper()
	update(t, s, func(w store.Writer) error {
		for _, l := range leases {
			if err := w.PutLease(l); err != nil {
				return err
			}
		}
		return nil
	})
}

func leaseIDs(leases []pool.Lease) (ids []string) {
	for _, l := range leases {
		ids = append(ids, l.ID)
	}
	return ids
}

var leaseCases = []testCase{
	{"a lease comes back as it was put in", func(t *testing.T, s store.Store) {
		serving(t, s, "u1", "w1")
		l := full[pool.Lease](t)
		l.ID, l.PoolUID, l.WorkerID, l.State = "l1", "u1", "w1", pool.LeaseHeld
		put(t, s, l)
		view(t, s, func(r store.Reader) error {
			got, err := r.Lease("l1")
			require.Equal(t, stored(l), got)
			_, missing := r.Lease("none")
			require.ErrorIs(t, missing, store.ErrNotFound)
			return err
		})
	}},
	{"the leases of a worker are counted while they are held", func(t *testing.T, s store.Store) {
		serving(t, s, "u1", "w1")
		count := func(want, ever int) {
			t.Helper()
			view(t, s, func(r store.Reader) error {
				w, err := r.Worker("w1")
				require.Equal(t, pool.Marks{Leased: want, Leases: int64(ever)}, w.Marks)
				return err
			})
		}
		put(t, s, waitingLease("l1", "u1"))
		count(0, 0)
		put(t, s, heldLease("l1", "w1"))
		count(1, 1)
		put(t, s, heldLease("l1", "w1"), heldLease("l2", "w1"))
		count(2, 2)
		put(t, s, ended(heldLease("l1", "w1"), pool.LeaseReleased, noon))
		put(t, s, ended(heldLease("l1", "w1"), pool.LeaseReleased, noon))
		count(1, 2)
	}},
	{"a queue keeps its order, also for those who are served last", func(t *testing.T, s store.Store) {
		serving(t, s, "u1", "w1")
		serving(t, s, "u2", "w2")
		put(t, s, waitingLease("c", "u1"), waitingLease("any-b", ""), waitingLease("a", "u1"), waitingLease("x", "u2"), waitingLease("any-a", ""))
		put(t, s, waitingLease("c", "u1"))
		view(t, s, func(r store.Reader) error {
			for _, c := range []struct {
				poolUID string
				limit   int
				want    []string
			}{
				{"u1", 0, []string{"c", "a"}},
				{"u1", 1, []string{"c"}},
				{"", 0, []string{"any-b", "any-a"}},
			} {
				got, err := r.WaitingLeases(c.poolUID, c.limit)
				require.NoError(t, err)
				require.Equal(t, c.want, leaseIDs(got))
			}
			for poolUID, want := range map[string][]int{"u1": {0, 2}, "u2": {0, 1}, "": {0, 2}} {
				held, waiting, err := r.CountLeases(poolUID)
				require.NoError(t, err)
				require.Equal(t, want, []int{held, waiting}, poolUID)
			}
			return nil
		})
		put(t, s, heldLease("c", "w1"))
		view(t, s, func(r store.Reader) error {
			held, err := r.HeldLeases("u1", 0)
			require.NoError(t, err)
			require.Equal(t, []string{"c"}, leaseIDs(held))
			of, err := r.LeasesOf("w1")
			require.NoError(t, err)
			require.Equal(t, []string{"c"}, leaseIDs(of))
			n, waiting, err := r.CountLeases("u1")
			require.Equal(t, []int{1, 1}, []int{n, waiting})
			return err
		})
	}},
	{"room is on workers that serve: of the newest template first, the fullest first", func(t *testing.T, s store.Store) {
		update(t, s, func(w store.Writer) error {
			require.NoError(t, w.InsertPool(samplePool("u1", "web")))
			for id, change := range map[string]func(*pool.Worker){
				"old":      func(w *pool.Worker) { w.TemplateHash = "old" },
				"new":      func(*pool.Worker) {},
				"roomy":    func(w *pool.Worker) { w.Slots = 3 },
				"draining": func(w *pool.Worker) { w.State = pool.WorkerDraining },
				"sick":     func(w *pool.Worker) { w.Health = pool.Unhealthy },
				"cordoned": func(*pool.Worker) {},
			} {
				worker := sampleWorker(id, "u1", pool.WorkerReady, noon)
				worker.Health, worker.Slots, worker.TemplateHash = pool.Healthy, 2, "new"
				change(&worker)
				require.NoError(t, w.PutWorkers(worker))
			}
			return w.Cordon("cordoned", true)
		})
		var order []string
		for n := 0; ; n++ {
			var found pool.Worker
			err := s.Update(t.Context(), func(w store.Writer) (err error) {
				if found, err = w.Room("u1", "new"); err != nil {
					return err
				}
				return w.PutLease(heldLease(fmt.Sprint("l", n), found.ID))
			})
			if err != nil {
				require.ErrorIs(t, err, store.ErrNotFound)
				break
			}
			order = append(order, found.ID)
		}
		require.Equal(t, []string{"new", "new", "roomy", "roomy", "roomy", "old", "old"}, order)
	}},
	{"leases are due at their time, the soonest first", func(t *testing.T, s store.Store) {
		serving(t, s, "u1", "w1")
		put(t, s, waitingLease("later", "u1"), heldLease("soon", "w1"), ended(heldLease("over", "w1"), pool.LeaseLost, noon))
		view(t, s, func(r store.Reader) error {
			for at, want := range map[time.Time][]string{
				noon.Add(-time.Second): nil,
				noon:                   {"soon"},
				noon.Add(time.Hour):    {"soon", "later"},
			} {
				due, err := r.DueLeases(at, noon.Add(-time.Hour), 0)
				require.NoError(t, err)
				require.Equal(t, want, leaseIDs(due))
			}
			return nil
		})
	}},
	{"a lease that has not had its whole time since a break is not due, nor in the way of others", func(t *testing.T, s store.Store) {
		serving(t, s, "u1", "w1")
		long, short := heldLease("long", "w1"), heldLease("short", "w1")
		long.TTL, short.TTL = pool.Duration(time.Hour), pool.Duration(time.Second)
		long.ExpiresAt, short.ExpiresAt = noon.Add(-time.Minute), noon
		put(t, s, long, short)
		view(t, s, func(r store.Reader) error {
			due, err := r.DueLeases(noon.Add(time.Minute), noon, 1)
			require.Equal(t, []string{"short"}, leaseIDs(due))
			return err
		})
	}},
	{"the next who waits for a pool is the oldest that names it or its labels", oldestIsNext(time.Second)},
	{"the next who waits is the oldest also where the clock went back", oldestIsNext(-time.Hour)},
	{"pruning forgets leases that ended long ago", func(t *testing.T, s store.Store) {
		serving(t, s, "u1", "w1")
		put(t, s, ended(heldLease("old", "w1"), pool.LeaseLost, noon.Add(-time.Hour)),
			ended(heldLease("new", "w1"), pool.LeaseLost, noon), heldLease("held", "w1"))
		update(t, s, func(w store.Writer) error { return w.PruneLeases(noon, 10) })
		view(t, s, func(r store.Reader) error {
			_, err := r.Lease("old")
			require.ErrorIs(t, err, store.ErrNotFound)
			for _, id := range []string{"new", "held"} {
				_, err = r.Lease(id)
				require.NoError(t, err)
			}
			return nil
		})
	}},
	{"what a lease tells outlives its worker's record", func(t *testing.T, s store.Store) {
		serving(t, s, "u1", "w1")
		put(t, s, ended(heldLease("l1", "w1"), pool.LeaseLost, noon))
		update(t, s, func(w store.Writer) error {
			require.NoError(t, w.PutWorkers(sampleWorker("w1", "u1", pool.WorkerFailed, noon)))
			_, err := w.PruneWorkers("u1", 0)
			return err
		})
		view(t, s, func(r store.Reader) error {
			l, err := r.Lease("l1")
			require.Equal(t, "w1", l.WorkerID)
			return err
		})
	}},
}

// oldestIsNext checks the order of a queue whose claims come with times that are so far apart.
func oldestIsNext(every time.Duration) func(*testing.T, store.Store) {
	return func(t *testing.T, s store.Store) {
		update(t, s, func(w store.Writer) error {
			for _, name := range []string{"web", "jobs"} {
				p := samplePool(name, name)
				p.Spec.Labels = map[string]string{"team": "core", "kind": name}
				require.NoError(t, w.InsertPool(p))
			}
			return nil
		})
		asked := 0
		wait := func(id, poolUID string, selector map[string]string) {
			l := waitingLease(id, poolUID)
			asked++
			l.Selector, l.CreatedAt = selector, noon.Add(time.Duration(asked)*every)
			put(t, s, l)
		}
		next := func(name string) (id string) {
			view(t, s, func(r store.Reader) error {
				p, err := r.Pool(name)
				require.NoError(t, err)
				l, err := r.NextWaiting(p)
				if id = l.ID; id == "" {
					require.ErrorIs(t, err, store.ErrNotFound)
					return nil
				}
				return err
			})
			return id
		}
		require.Empty(t, next("web"))
		wait("other", "", map[string]string{"team": "sales"})
		wait("jobs", "", map[string]string{"kind": "jobs", "team": "core"})
		wait("team", "", map[string]string{"team": "core"})
		wait("team, later", "", map[string]string{"team": "core"})
		wait("web", "web", nil)
		require.Equal(t, "team", next("web"))
		require.Equal(t, "jobs", next("jobs"))
		for _, id := range []string{"team", "team, later"} {
			view(t, s, func(r store.Reader) error {
				l, err := r.Lease(id)
				l.State, l.EndedAt = pool.LeaseReleased, noon
				put(t, s, l)
				return err
			})
		}
		require.Equal(t, "web", next("web"))
	}
}
