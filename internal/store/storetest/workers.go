package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

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
