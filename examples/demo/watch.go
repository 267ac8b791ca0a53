//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	askEvery     = 20 * time.Millisecond
	refreshEvery = 100 * time.Millisecond // well below the pool's deregister_delay
	askTimeout   = time.Second
)

// watch is a client of the pool's service: it keeps a list of the ready workers and asks all of them every 20 ms.
type watch struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu        sync.Mutex
	endpoints []string // what the newest list says
	seen      sightings
	err       error // that ended it early
}

// sightings is what a watch has seen.
type sightings struct {
	rounds, requests, failed int
	fewest                   int            // workers that answered in the worst round
	greetings                map[string]int // answers by greeting
}

// startWatch begins to ask; endpoints lists the URLs of the workers that are ready at the moment.
func startWatch(ctx context.Context, endpoints func(context.Context) ([]string, error)) (*watch, error) {
	first, err := endpoints(ctx)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	w := &watch{stop: stop, endpoints: first, seen: sightings{fewest: len(first), greetings: map[string]int{}}}
	w.done.Go(func() { w.refresh(ctx, endpoints) })
	w.done.Go(func() { w.ask(ctx) })
	return w, nil
}

// end stops asking and returns what was seen.
func (w *watch) end() (sightings, error) {
	w.stop()
	w.done.Wait()
	return w.seen, w.err
}

func (w *watch) refresh(ctx context.Context, endpoints func(context.Context) ([]string, error)) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := endpoints(ctx)
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		if w.endpoints = now; err != nil {
			w.err = err
		}
		w.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (w *watch) ask(ctx context.Context) {
	client := &http.Client{Timeout: askTimeout, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.mu.Lock()
		endpoints := slices.Clone(w.endpoints)
		w.mu.Unlock()
		w.note(ctx, askAll(ctx, client, endpoints))
	}
}

// note counts one round. A round that the end of the watch cut short tells nothing.
func (w *watch) note(ctx context.Context, round []reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	answered := 0
	for _, r := range round {
		if r.err != nil {
			w.seen.failed++
			continue
		}
		answered++
		w.seen.greetings[r.worker.Greeting]++
	}
	w.seen.rounds++
	w.seen.requests += len(round)
	w.seen.fewest = min(w.seen.fewest, answered)
}

type reply struct {
	worker about
	err    error
}

// about is what a worker says of itself.
type about struct {
	Greeting   string `json:"greeting"`
	ActiveJobs int    `json:"active_jobs"`
}

func askAll(ctx context.Context, client *http.Client, endpoints []string) []reply {
	round := make([]reply, len(endpoints))
	var all sync.WaitGroup
	for i, url := range endpoints {
		all.Go(func() { round[i].worker, round[i].err = who(ctx, client, url) })
	}
	all.Wait()
	return round
}

// who asks one worker who it is.
func who(ctx context.Context, client *http.Client, url string) (self about, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", nil)
	if err != nil {
		return self, err
	}
	response, err := client.Do(request)
	if err != nil {
		return self, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return self, fmt.Errorf("read the answer of %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return self, fmt.Errorf("%s answers %s", url, response.Status)
	}
	err = json.Unmarshal(body, &self)
	return self, err
}
