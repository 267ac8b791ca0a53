//go:build linux

package acceptance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const (
	askEvery  = 20 * time.Millisecond
	listEvery = 50 * time.Millisecond
	// outdated is how old a list of endpoints may be for a round to count. A worker that is taken out still
	// answers for the deregister_delay, which has to be longer.
	outdated = time.Second
)

// watch is a client of a pool's service: it keeps the list of ready workers and asks all of them every 20 ms.
type watch struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu       sync.Mutex
	listed   []endpoint
	listedAt time.Time
	seen     sightings
	err      error
}

type endpoint struct{ worker, url string }

// sightings are what a watch has seen.
type sightings struct {
	rounds  int
	fewest  int            // workers that answered in the worst round
	answers map[string]int // by worker
	worst   []error        // of the worst round
}

// watch begins to ask a pool's workers; end stops it.
func (k *keeper) watch(poolName string) (end func() sightings) {
	k.t.Helper()
	ctx, stop := context.WithCancel(k.t.Context())
	w := &watch{stop: stop, seen: sightings{fewest: 1 << 30, answers: map[string]int{}}}
	c := k.client()
	require.NoError(k.t, w.list(ctx, c, poolName))
	w.done.Go(func() { w.keepListing(ctx, c, poolName) })
	w.done.Go(func() { w.keepAsking(ctx) })
	k.t.Cleanup(func() { stop(); w.done.Wait() })
	return func() sightings {
		k.t.Helper()
		stop()
		w.done.Wait()
		require.NoError(k.t, w.err)
		return w.seen
	}
}

// list reads which workers are ready and not draining.
func (w *watch) list(ctx context.Context, c *client.Client, poolName string) error {
	workers, err := c.Workers(ctx, poolName)
	if err != nil {
		return err
	}
	var ready []endpoint
	for _, each := range workers {
		if each.State == pool.WorkerReady {
			ready = append(ready, endpointOf(each))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listed, w.listedAt = ready, time.Now()
	return nil
}

func (w *watch) keepListing(ctx context.Context, c *client.Client, poolName string) {
	each(ctx, listEvery, func() {
		if err := w.list(ctx, c, poolName); err != nil && ctx.Err() == nil {
			w.mu.Lock()
			w.err = errors.Join(w.err, err)
			w.mu.Unlock()
		}
	})
}

func (w *watch) keepAsking(ctx context.Context) {
	web := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	defer web.CloseIdleConnections()
	each(ctx, askEvery, func() {
		w.mu.Lock()
		listed, listedAt := w.listed, w.listedAt
		w.mu.Unlock()
		faults := make([]error, len(listed))
		var asked sync.WaitGroup
		for i, e := range listed {
			asked.Go(func() { faults[i] = ask(ctx, web, e) })
		}
		asked.Wait()
		if ctx.Err() == nil && time.Since(listedAt) < outdated {
			w.note(listed, faults)
		}
	})
}

// note counts a round.
func (w *watch) note(listed []endpoint, faults []error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	answered := 0
	for i, e := range listed {
		if faults[i] == nil {
			answered++
			w.seen.answers[e.worker]++
		}
	}
	w.seen.rounds++
	if answered < w.seen.fewest {
		w.seen.fewest, w.seen.worst = answered, faults
	}
}

// ask requires that a worker answers with its own id.
func ask(ctx context.Context, web *http.Client, e endpoint) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url, nil)
	if err != nil {
		return err
	}
	response, err := web.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if string(body) != e.worker {
		return fmt.Errorf("%s answers %q instead of worker %s", e.url, body, e.worker)
	}
	return nil
}

// each acts in a rhythm until ctx ends.
func each(ctx context.Context, every time.Duration, act func()) {
	rhythm := time.NewTicker(every)
	defer rhythm.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-rhythm.C:
			act()
		}
	}
}

// TestARollingChangeKeepsThePromisedWorkersAnswering watches from outside what max_surge and max_unavailable
// promise.
func TestARollingChangeKeepsThePromisedWorkersAnswering(t *testing.T) {
	for name, row := range map[string]struct {
		surge, unavailable string
		promised           int
	}{
		"with a surge":       {"50%", "0", 4},
		"with a worker less": {"0", "1", 3},
		"with both, and workers that start slowly": {"1", "25%", 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			declared := func(greeting string) object {
				return w.web(set("size", 4), set("worker.env", object{"GREETING": greeting}),
					w.args("-start-delay", "300ms"),
					set("update", object{"max_surge": row.surge, "max_unavailable": row.unavailable}),
					set("drain.deregister_delay", "2s"))
			}
			w.reaches(declared("hello"))
			before := w.settled("web")
			end := w.watch("web")
			w.reaches(declared("good day"))
			after := w.settled("web")
			answering := func() bool { return len(w.crew("web")) == 4 }
			await(t, "the new workers", answering)
			seen := end()

			require.GreaterOrEqual(t, seen.fewest, row.promised, "%v", seen.worst)
			require.Greater(t, seen.rounds, 20)
			require.Len(t, after, 4)
			apart(t, before, after)
			for id := range before {
				require.Positive(t, seen.answers[id])
			}
			require.Equal(t, "rolling", w.shown("last_change"))
			w.plan().ended(planEmpty)
			w.destroy().succeeded()
		})
	}
}
