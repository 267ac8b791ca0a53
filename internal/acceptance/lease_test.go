//go:build linux

package acceptance

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// scheduler runs jobs on leased workers, one after the other: a job asks its worker to be there all the time.
type scheduler struct {
	api  *client.Client
	pool string
	web  *http.Client
	tale *tale
}

// tale is how the jobs of all schedulers went.
type tale struct {
	mu     sync.Mutex
	done   int
	told   map[string]int // jobs whose lease ended before they did, by how it ended
	silent []error        // jobs whose worker was gone although their lease was held
}

const jobTime = 300 * time.Millisecond

// work runs jobs until ctx ends; the last one is finished.
func (s *scheduler) work(ctx context.Context, name string) {
	for n := 0; ctx.Err() == nil; n++ {
		l, err := s.api.Acquire(ctx, api.LeaseRequest{Pool: s.pool, Holder: fmt.Sprintf("%s job %d", name, n)})
		if err != nil {
			if ctx.Err() == nil {
				s.tale.note("", fmt.Errorf("acquire: %w", err))
			}
			return
		}
		s.job(l)
	}
}

// job works for its time, and says what became of it.
func (s *scheduler) job(l api.LeaseView) {
	url := fmt.Sprintf("http://127.0.0.1:%d/", l.Worker.Ports["http"])
	for began := time.Now(); time.Since(began) < jobTime; {
		if err := s.ask(url); err != nil {
			how := s.ending(l.ID)
			if how == "" {
				err = fmt.Errorf("worker %s of lease %s is gone, and its holder is not told: %w", l.WorkerID, l.ID, err)
			} else {
				err = nil
			}
			s.tale.note(how, err)
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	_, err := s.api.Release(context.Background(), l.ID)
	if how := over(err); how != "" {
		s.tale.note(how, nil)
		return
	}
	s.tale.note("", err)
}

// ending waits a moment for the news that a lease is over, and returns how it ended.
func (s *scheduler) ending(id string) string {
	for range 50 {
		_, err := s.api.Renew(context.Background(), id)
		if how := over(err); how != "" {
			return how
		}
		<-time.After(20 * time.Millisecond)
	}
	return ""
}

// over says how a lease ended, if that is what an error tells.
func over(err error) string {
	var p *client.Problem
	if errors.As(err, &p) && p.Lease != nil {
		return string(p.Lease.State)
	}
	return ""
}

func (s *scheduler) ask(url string) error {
	answer, err := s.web.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

func (t *tale) note(ended string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil:
		t.silent = append(t.silent, err)
	case ended != "":
		t.told[ended]++
	default:
		t.done++
	}
}

// TestNoJobIsLostToAPlannedStop keeps schedulers working on a pool that is rolled, resized and hit meanwhile.
func TestNoJobIsLostToAPlannedStop(t *testing.T) {
	w := newWorld(t)
	config := func(size int, greeting string) object {
		return w.web(set("size", size), set("leases", object{"slots": 2, "ttl": "5s"}), set("worker.env", object{"GREETING": greeting}),
			set("update.max_surge", "50%"), set("drain.deregister_delay", "0s"), set("drain.timeout", "30s"))
	}
	w.reaches(config(6, "hello"))

	story := &tale{told: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var schedulers sync.WaitGroup
	for n := range 16 {
		s := &scheduler{api: w.client(), pool: "web", web: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}, tale: story}
		schedulers.Go(func() { s.work(ctx, fmt.Sprint("scheduler ", n)) })
	}
	t.Cleanup(func() { stop(); schedulers.Wait() })

	w.reaches(config(6, "good day"))  // every worker is replaced
	w.reaches(config(14, "good day")) // more
	const killed = 2
	for i, pid := range slices.Collect(maps.Values(w.settled("web"))) {
		if i < killed {
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		}
	}
	w.reaches(config(3, "good day")) // fewer
	w.reaches(config(3, "good night"))
	stop()
	schedulers.Wait()

	require.Empty(t, story.silent, "jobs that nobody was told about")
	require.Zero(t, story.told[string(pool.LeaseRevoked)], "jobs lost to a planned stop")
	require.Zero(t, story.told[string(pool.LeaseExpired)])
	require.LessOrEqual(t, story.told[string(pool.LeaseLost)], 2*killed, "jobs lost with the workers that were killed: %v", story.told)
	require.Greater(t, story.done, 100, "jobs that were done")
	t.Logf("%d jobs done, lost with killed workers: %v", story.done, story.told)

	require.Eventually(t, func() bool {
		leases, err := w.client().Leases(t.Context(), "web")
		return err == nil && len(leases) == 0
	}, 20*time.Second, 100*time.Millisecond, "no lease is left")
	w.destroy().succeeded()
}
