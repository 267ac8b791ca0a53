package health

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// defaultConcurrency bounds the probes under way at once; each may hold a file descriptor.
const defaultConcurrency = 512

// Config is what a Scheduler is made from.
type Config struct {
	// Probe makes one probe; ctx ends it in time. An error that wraps ErrNotProbed does not count.
	Probe func(ctx context.Context, t Target) error
	// Report is told every change of a verdict, and of what keeps a worker from its first, one after the other. While it takes its time, probes go on.
	Report func(Verdict)
	// Now is the clock that Target.StartedAt was read from; nil: the machine's.
	Now func() time.Time
	// Random spreads the probes: a number in [0, 1), from any goroutine. nil means a good one.
	Random func() float64
	// Concurrency bounds the probes under way at once. 0 means a good one.
	Concurrency int
}

// Scheduler probes the targets it watches, each at its own pace. It needs one timer, and goroutines only
// for the probes under way.
type Scheduler struct {
	config Config
	wake   chan struct{} // the soonest deadline may have changed
	told   chan struct{} // there are verdicts to report

	mu       sync.Mutex
	targets  map[string]*watched
	due      deadlines
	lanes    lanes
	verdicts []Verdict
	probes   sync.WaitGroup
}

// NewScheduler returns a Scheduler, which does nothing before Run.
func NewScheduler(config Config) *Scheduler {
	if config.Random == nil {
		config.Random = rand.Float64
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Concurrency <= 0 {
		config.Concurrency = defaultConcurrency
	}
	return &Scheduler{
		config:  config,
		wake:    make(chan struct{}, 1),
		told:    make(chan struct{}, 1),
		targets: map[string]*watched{},
		lanes:   newLanes(config.Concurrency),
	}
}

// Watch begins to probe a worker: at once and in short, growing gaps if there is no verdict on it, spread over
// the interval if there is one. Watching it again with another check keeps the verdict healthy until the new
// check's thresholds speak against it, and forgets the verdict unhealthy; with the same check it changes nothing.
func (s *Scheduler) Watch(t Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// From now on its age grows with the monotonic clock: a step of the other one must not end its start period.
	now := time.Now()
	t.StartedAt = now.Add(-s.config.Now().Sub(t.StartedAt))
	w, again := s.targets[t.WorkerID]
	switch {
	case !again:
		w = &watched{target: t, tally: newTally(t.Health), place: -1}
		s.targets[t.WorkerID] = w
	case reflect.DeepEqual(w.target.Check, t.Check) && reflect.DeepEqual(w.target.Instance, t.Instance):
		return
	default:
		t.PoolUID = w.target.PoolUID // a worker never changes its pool
		w.target, w.tally = t, w.tally.recounted()
		w.edition++
	}
	w.gap = firstGap
	if again && w.place < 0 {
		return // its turn has come already
	}
	wait := time.Duration(0)
	if w.spread = w.tally.proven && w.tally.health != pool.HealthUnknown; w.spread {
		wait = share(t.Check.Interval.Std(), s.config.Random())
	}
	s.schedule(w, now.Add(wait))
}

// Unwatch ends the probing of a worker. A verdict that is being reported may still arrive.
func (s *Scheduler) Unwatch(workerID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok := s.targets[workerID]
	if !ok {
		return
	}
	delete(s.targets, workerID)
	s.due.remove(w)
	w.removed = true
	if w.cancel != nil {
		w.cancel()
	}
}

// Run probes until ctx is done, and returns when no probe is under way and Report has returned.
func (s *Scheduler) Run(ctx context.Context) {
	var reporting sync.WaitGroup
	reporting.Go(func() { s.report(ctx) })
	defer reporting.Wait()
	defer s.probes.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.wake:
		}
		if ctx.Err() != nil {
			return
		}
		if next, ok := s.startDue(ctx); ok {
			timer.Reset(time.Until(next))
		}
	}
}

// schedule must be called with mu held.
func (s *Scheduler) schedule(w *watched, due time.Time) {
	s.due.put(w, due)
	if w.place == 0 {
		notify(s.wake)
	}
}

// startDue starts the probes that are due, and returns when the next one will be.
func (s *Scheduler) startDue(ctx context.Context) (next time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for now := time.Now(); len(s.due) > 0; {
		w := s.due[0]
		if w.due.After(now) {
			next, ok = w.due, true
			break
		}
		s.due.remove(w)
		s.lanes.enqueue(w)
	}
	s.startWaiting(ctx)
	return next, ok
}

// startWaiting must be called with mu held.
func (s *Scheduler) startWaiting(ctx context.Context) {
	for w := s.lanes.next(); w != nil; w = s.lanes.next() {
		if w.removed || ctx.Err() != nil {
			s.lanes.done(w)
			continue
		}
		began, target, edition := time.Now(), w.target, w.edition
		probing, cancel := context.WithTimeout(ctx, target.Check.Timeout.Std())
		w.cancel = cancel
		s.probes.Go(func() {
			defer cancel()
			err := s.config.Probe(probing, target)
			s.finish(ctx, w, edition, began, err)
		})
	}
}

// finish counts the outcome of a probe and schedules the next one.
func (s *Scheduler) finish(ctx context.Context, w *watched, edition int, began time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.cancel = nil
	w.slow = time.Since(began) > w.target.Check.Timeout.Std()/2
	s.lanes.done(w)
	defer s.startWaiting(ctx)
	if w.removed || ctx.Err() != nil {
		return
	}
	now := time.Now()
	if edition != w.edition { // the check was changed meanwhile
		s.schedule(w, now)
		return
	}
	if !errors.Is(err, ErrNotProbed) {
		s.count(w, now, err)
	}
	next := began.Add(w.nextGap(s.config.Random()))
	if next.Before(now) {
		next = now
	}
	s.schedule(w, next)
}

// count must be called with mu held.
func (s *Scheduler) count(w *watched, now time.Time, err error) {
	before := w.tally.health
	w.tally = w.tally.after(err == nil, w.target.Check, now.Sub(w.target.StartedAt))
	v := Verdict{WorkerID: w.target.WorkerID, PoolUID: w.target.PoolUID, Health: w.tally.health, At: now}
	if v.Health != pool.Healthy && err != nil {
		v.Reason = err.Error()
	}
	obstacle := v.Health == pool.HealthUnknown && v.Reason != "" && !alike(v.Reason, w.obstacle)
	if v.Health == before && !obstacle {
		return
	}
	w.obstacle = v.Reason
	s.verdicts = append(s.verdicts, v)
	notify(s.told)
}

// alike says that two reasons differ in their digits at most: a time or a pid in a command's output is no
// news.
func alike(a, b string) bool {
	undated := func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1 // which drops it
		}
		return r
	}
	return strings.Map(undated, a) == strings.Map(undated, b)
}

// report passes the verdicts on, as fast as they are taken.
func (s *Scheduler) report(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.told:
		}
		for v, ok := s.nextVerdict(); ok && ctx.Err() == nil; v, ok = s.nextVerdict() {
			s.config.Report(v)
		}
	}
}

// nextVerdict takes the oldest verdict on a worker that is still watched.
func (s *Scheduler) nextVerdict() (Verdict, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.verdicts) > 0 {
		v := s.verdicts[0]
		s.verdicts = s.verdicts[1:]
		if _, watched := s.targets[v.WorkerID]; watched {
			return v, true
		}
	}
	return Verdict{}, false
}

// notify leaves a note for one who reads it later; one note is enough.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
