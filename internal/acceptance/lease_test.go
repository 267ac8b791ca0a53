//go:build linux

package acceptance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Jobs arrive at a steady rate, whether or not those before them are done. Each asks its worker in every beat.
const (
	jobEvery = 100 * time.Millisecond
	jobBeat  = 250 * time.Millisecond
	jobBeats = 3
)

// load is the jobs that the pool "web" gets, and what became of them.
type load struct {
	api  *client.Client
	web  *http.Client
	jobs sync.WaitGroup

	mu      sync.Mutex
	arrived int               // known to who has them arrive, and after the end
	needed  map[string]string // workers that jobs have yet to ask, by lease
	done    int
	lost    map[string]int // jobs that were told that they are lost, by the worker they are lost with
	wrong   []error        // what became of all other jobs
}

// load has jobs arrive. What it returns ends that, and waits for those that have.
func (k *keeper) load() (l *load, end func()) {
	k.t.Helper()
	l = &load{
		api: k.client(), web: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		needed: map[string]string{}, lost: map[string]int{},
	}
	ctx, stop := context.WithCancel(k.t.Context())
	end = func() { stop(); l.jobs.Wait() }
	k.t.Cleanup(end)
	l.jobs.Go(func() {
		each(ctx, jobEvery, func() {
			holder := fmt.Sprint("job ", l.arrived)
			l.arrived++
			l.jobs.Go(func() { l.end(holder, l.job(k.t.Context(), holder)) })
		})
	})
	return l, end
}

// job leases a worker, works on it and gives it back.
func (l *load) job(ctx context.Context, holder string) error {
	lease, err := l.api.Acquire(ctx, api.LeaseRequest{Pool: "web", Holder: holder})
	if err != nil {
		return fmt.Errorf("acquire: %w", err)
	}
	l.note(func() { l.needed[lease.ID] = lease.WorkerID })
	worker := endpoint{lease.WorkerID, fmt.Sprintf("http://127.0.0.1:%d/", lease.Worker.Ports["http"])}
	rhythm := time.NewTicker(jobBeat)
	defer rhythm.Stop()
	for range jobBeats {
		<-rhythm.C
		if err := ask(ctx, l.web, worker); err != nil {
			return l.told(ctx, lease, err)
		}
		if _, err := l.api.Renew(ctx, lease.ID); err != nil {
			return err
		}
	}
	l.note(func() { delete(l.needed, lease.ID) })
	if err := ask(ctx, l.web, worker); err != nil {
		return l.told(ctx, lease, err)
	}
	_, err = l.api.Release(ctx, lease.ID)
	return err
}

// told is what the holder of a lease is told whose worker does not answer any more.
func (l *load) told(ctx context.Context, lease api.LeaseView, fault error) (err error) {
	if !comesTrue(ctx, func() bool { _, err = l.api.Renew(ctx, lease.ID); return err != nil }) {
		return fmt.Errorf("worker %s is gone, and who has lease %s is not told: %w", lease.WorkerID, lease.ID, fault)
	}
	return err
}

// end notes what became of a job.
func (l *load) end(holder string, err error) {
	var p *client.Problem
	l.note(func() {
		switch {
		case err == nil:
			l.done++
		case errors.As(err, &p) && p.Status == http.StatusGone && p.Lease != nil && p.Lease.State == pool.LeaseLost:
			l.lost[p.Lease.WorkerID]++
		default:
			l.wrong = append(l.wrong, fmt.Errorf("%s: %w", holder, err))
		}
	})
}

func (l *load) note(what func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what()
}

// goesOnDuring requires that jobs are done while something else is.
func (l *load) goesOnDuring(t *testing.T, what string, do func()) {
	t.Helper()
	var before, after int
	l.note(func() { before = l.done })
	do()
	l.note(func() { after = l.done })
	require.Greater(t, after, before, "jobs done during %s", what)
	t.Logf("%d jobs done during %s", after-before, what)
}

// kill ends workers of a crew in the middle of their jobs, and returns which, and how many jobs need them. If too
// few have any, it kills none.
func (l *load) kill(t *testing.T, c crew, number int) (killed []string, doomed int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	jobs := map[string]int{}
	for _, id := range l.needed {
		if c[id] != 0 {
			jobs[id]++
		}
	}
	if len(jobs) < number {
		return nil, 0
	}
	killed = slices.Sorted(maps.Keys(jobs))[:number]
	for _, id := range killed {
		require.NoError(t, syscall.Kill(c[id], syscall.SIGKILL))
		doomed += jobs[id]
	}
	return killed, doomed
}

// longJobs are leases that are held for as long as a test wants.
type longJobs []api.LeaseView

func (l *load) longJobs(t *testing.T, number int) (jobs longJobs) {
	t.Helper()
	for range number {
		lease, err := l.api.Acquire(t.Context(), api.LeaseRequest{Pool: "web", Holder: "a long job"})
		require.NoError(t, err)
		jobs = append(jobs, lease)
	}
	return jobs
}

// oneDrains says that the worker of one of them drains. Whatever happens, all of them still have theirs.
func (l *load) oneDrains(t *testing.T, jobs longJobs) (yes bool) {
	t.Helper()
	for _, j := range jobs {
		still, err := l.api.Renew(t.Context(), j.ID)
		require.NoError(t, err)
		yes = yes || still.Worker.State == pool.WorkerDraining
	}
	return yes
}

func (l *load) finish(t *testing.T, jobs longJobs) {
	t.Helper()
	for _, j := range jobs {
		_, err := l.api.Release(t.Context(), j.ID)
		require.NoError(t, err)
	}
}

// TestNoJobIsLostToAPlannedStop has a pool grow, roll and shrink under a steady load of jobs. A tenth of its
// workers are killed in the middle of the roll: only jobs on those are lost, and who had one is told.
func TestNoJobIsLostToAPlannedStop(t *testing.T) {
	const (
		few, many, fewer = 10, 30, 5
		slots            = 2
		long             = slots * (fewer + 1) // at least one of them is on a worker that has to go
		victims          = many / 10
	)
	w := newWorld(t)
	config := func(size int, greeting string) object {
		return w.web(set("size", size), set("leases", object{"slots": slots, "ttl": "5m"}), set("worker.env", object{"GREETING": greeting}),
			set("update.max_surge", "50%"), set("drain.deregister_delay", "0s"), set("drain.timeout", "10m"))
	}
	w.reaches(config(few, "hello"))
	l, end := w.load()
	await(t, "a job that is done", func() (is bool) { l.note(func() { is = l.done > 0 }); return is })
	l.goesOnDuring(t, "the growth", func() { w.reaches(config(many, "hello")) })

	var killed []string
	var doomed int
	l.goesOnDuring(t, "the roll", func() {
		before := w.settled("web")
		require.Len(t, before, many)
		jobs := l.longJobs(t, long)
		w.declare(config(many, "good day"))
		rolling := w.beginApply() // which is not over before these jobs
		await(t, "a long job on a draining worker", func() bool { return l.oneDrains(t, jobs) })
		await(t, "workers to kill that have other jobs", func() bool {
			others := w.crew("web")
			for _, j := range jobs {
				delete(others, j.WorkerID)
			}
			killed, doomed = l.kill(t, others, victims)
			return len(killed) > 0
		})
		l.finish(t, jobs)
		rolling.wait().succeeded()
		apart(t, before, w.settled("web"))
	})
	l.goesOnDuring(t, "the shrinking", func() {
		jobs := l.longJobs(t, long)
		w.declare(config(fewer, "good day"))
		shrinking := w.beginApply()
		await(t, "a long job on a draining worker", func() bool { return l.oneDrains(t, jobs) })
		l.finish(t, jobs)
		shrinking.wait().succeeded()
		require.Len(t, w.settled("web"), fewer)
	})
	end()

	require.Empty(t, l.wrong, "jobs that were revoked, expired or not told of their end")
	lost := 0
	for id, jobs := range l.lost {
		require.Contains(t, killed, id, "%d jobs were lost with a worker that nobody killed", jobs)
		lost += jobs
	}
	t.Logf("%d jobs, %d of them lost with killed workers", l.arrived, lost)
	require.GreaterOrEqual(t, lost, doomed, "all that needed a killed worker were told")
	require.Equal(t, l.arrived, l.done+lost)
	left, err := l.api.Leases(t.Context(), "web")
	require.NoError(t, err)
	require.Empty(t, left)
	w.destroy().succeeded()
}
