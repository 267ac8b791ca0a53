//go:build unix

package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// BenchmarkBareCommit is what one durable row costs at least: the floor for BenchmarkUpdate.
func BenchmarkBareCommit(b *testing.B) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	require.NoError(b, err)
	defer db.Close()
	_, err = db.Exec(`CREATE TABLE events (pool_uid TEXT, sequence INTEGER, record TEXT, PRIMARY KEY (pool_uid, sequence)) WITHOUT ROWID`)
	require.NoError(b, err)
	insert, err := db.Prepare(`INSERT INTO events VALUES ($1, $2, $3)`)
	require.NoError(b, err)
	row := fmt.Sprintf("%0300d", 1)
	for i := 0; b.Loop(); i++ {
		_, err := insert.Exec("p", i, row)
		require.NoError(b, err)
	}
}

// BenchmarkUpdate is one event per change; with several callers the changes share commits.
func BenchmarkUpdate(b *testing.B) {
	for _, engine := range engines {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/callers=%d", engine.name, callers), func(b *testing.B) { benchmarkUpdates(b, engine.open(b), callers) })
		}
	}
}

func benchmarkUpdates(b *testing.B, s store.Store, callers int) {
	work := make(chan struct{})
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range work {
				if err := s.Update(context.Background(), func(w store.Writer) error {
					return w.AppendEvents(pool.Event{PoolUID: "p", Type: pool.EventPoolUpdated, Time: time.Now(), Author: "bench", Message: "a message of some length"})
				}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
}

// BenchmarkPutWorkers is 1,000 rows in one transaction; ns/row leaves the commit out.
func BenchmarkPutWorkers(b *testing.B) {
	for _, engine := range engines {
		for _, rows := range []string{"new", "changed"} {
			b.Run(engine.name+"/"+rows, func(b *testing.B) { benchmarkPuttingWorkers(b, engine.open(b), rows == "new") })
		}
	}
}

func benchmarkPuttingWorkers(b *testing.B, s store.Store, fresh bool) {
	require.NoError(b, s.Update(context.Background(), func(w store.Writer) error {
		return w.InsertPool(pool.Pool{UID: "p", Name: "p", Phase: pool.PhaseLive, Spec: pool.Default()})
	}))
	var took time.Duration
	round := 0
	for b.Loop() {
		workers := benchmarkWorkers(round)
		if fresh {
			round++
		}
		require.NoError(b, s.Update(context.Background(), func(w store.Writer) error {
			start := time.Now()
			err := w.PutWorkers(workers...)
			took += time.Since(start)
			return err
		}))
	}
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/1000, "ns/row")
}

func BenchmarkWorkers(b *testing.B) {
	for _, engine := range engines {
		b.Run(engine.name, func(b *testing.B) { benchmarkReadingWorkers(b, engine.open(b)) })
	}
}

func benchmarkReadingWorkers(b *testing.B, s store.Store) {
	require.NoError(b, s.Update(context.Background(), func(w store.Writer) error {
		if err := w.InsertPool(pool.Pool{UID: "p", Name: "p", Phase: pool.PhaseLive, Spec: pool.Default()}); err != nil {
			return err
		}
		return w.PutWorkers(benchmarkWorkers(0)...)
	}))
	for b.Loop() {
		require.NoError(b, s.View(context.Background(), func(r store.Reader) error {
			workers, err := r.Workers("p")
			require.Len(b, workers, 1000)
			return err
		}))
	}
}

// engines are those that the benchmarks compare.
var engines = []struct {
	name string
	open func(*testing.B) store.Store
}{
	{"sqlite", openSQLiteForBenchmark},
	{"postgres", openPostgresForBenchmark},
}

func openSQLiteForBenchmark(b *testing.B) store.Store {
	s, err := store.OpenSQLite(context.Background(), filepath.Join(b.TempDir(), "store.db"))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	return s
}

func benchmarkWorkers(round int) []pool.Worker {
	now := time.Now()
	workers := make([]pool.Worker, 1000)
	for i := range workers {
		workers[i] = pool.Worker{
			ID: fmt.Sprintf("w_%020d", round*1000+i), PoolUID: "p", State: pool.WorkerReady, Health: pool.Healthy, Revision: 1,
			TemplateHash: "1:0123456789abcdef0123456789abcdef", CreatedAt: now, StartedAt: now, ReadyAt: now,
			Instance: pool.Instance{BootID: "5a2d6e3c-6a1b-4c8e-9d55-000000000000", PID: 4242, StartTime: 123456789, Ports: map[string]int{"http": 40000}},
		}
	}
	return workers
}
