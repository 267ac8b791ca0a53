package health_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

var errDown = errors.New("connection refused")

// world is the fake workers that are probed, and what was seen of the probing.
type world struct {
	mu       sync.Mutex
	answers  map[string]func(ctx context.Context) error // by worker; none: it passes
	probed   map[string][]time.Time
	underWay int
	most     int // probes under way at once
	verdicts []health.Verdict
}

func newWorld() *world {
	return &world{answers: map[string]func(context.Context) error{}, probed: map[string][]time.Time{}}
}

func (w *world) answer(worker string, how func(ctx context.Context) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[worker] = how
}

func (w *world) probe(ctx context.Context, t health.Target) error {
	w.mu.Lock()
	w.probed[t.WorkerID] = append(w.probed[t.WorkerID], time.Now())
	w.underWay++
	w.most = max(w.most, w.underWay)
	how := w.answers[t.WorkerID]
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.underWay--
	}()
	if how == nil {
		return nil
	}
	return how(ctx)
}

func (w *world) report(v health.Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verdicts = append(w.verdicts, v)
}

// times are when a worker was probed, since the first of all its probes.
func (w *world) times(worker string) (times []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.probed[worker] {
		times = append(times, at.Sub(w.probed[worker][0]))
	}
	return times
}

func (w *world) told() (told []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.verdicts {
		told = append(told, fmt.Sprint(v.WorkerID, " ", v.Health))
	}
	return told
}

func down(context.Context) error { return errDown }

func hang(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("no answer: %w", errDown)
}

func check() pool.HealthCheck {
	return pool.HealthCheck{
		TCP: &pool.TCPProbe{}, Interval: pool.Duration(10 * time.Second), Timeout: pool.Duration(time.Second),
		HealthyThreshold: 1, UnhealthyThreshold: 3,
	}
}

func started(worker string) health.Target {
	return health.Target{PoolUID: "p", WorkerID: worker, Check: check(), StartedAt: time.Now()}
}

func ready(worker string) health.Target {
	t := started(worker)
	t.Health = pool.Healthy
	return t
}

// inBubble runs test with a running scheduler in fake time; random is what spreads the probes.
func inBubble(t *testing.T, config health.Config, test func(t *testing.T, w *world, s *health.Scheduler)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		config.Probe, config.Report = w.probe, w.report
		s := health.NewScheduler(config)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.Run(ctx) }()
		defer func() { // also if the test has failed
			stop()
			<-ended
		}()
		test(t, w, s)
	})
}

func half() float64 { return 0.5 } // no jitter

func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // of the bubble's clock, which takes no time
	synctest.Wait()
}

func TestAStartedWorkerIsProbedInGrowingGapsUntilItIsHealthy(t *testing.T) {
	inBubble(t, health.Config{Random: half}, func(t *testing.T, w *world, s *health.Scheduler) {
		w.answer("w", down)
		s.Watch(started("w"))
		pass(500 * time.Millisecond)
		want := []time.Duration{0, 50e6, 110e6, 182e6, 268.4e6, 372.08e6, 496.496e6}
		require.Equal(t, want, w.times("w"))
		require.Equal(t, []string{"w unknown"}, w.told(), "seven failures in half a second condemn nobody")

		w.answer("w", nil)
		pass(10 * time.Second)
		require.Equal(t, []string{"w unknown", "w healthy"}, w.told())
		times := w.times("w")
		require.Greater(t, times[7], 500*time.Millisecond)
		require.Less(t, times[7], 650*time.Millisecond)
		require.Equal(t, times[7]+5*time.Second, times[8], "it gets a place in the interval")
		require.Len(t, times, 9, "from the verdict on, the interval counts")
		pass(6 * time.Second)
		require.Equal(t, times[8]+10*time.Second, w.times("w")[9])
	})
}

func TestTheGapsOfAStartingWorkerGrowUpToTheInterval(t *testing.T) {
	inBubble(t, health.Config{Random: half}, func(t *testing.T, w *world, s *health.Scheduler) {
		w.answer("w", down)
		s.Watch(started("w"))
		pass(10 * time.Minute)
		times := w.times("w")
		for i := 1; i < len(times)-1; i++ {
			require.LessOrEqual(t, times[i+1]-times[i], 10*time.Second)
			require.GreaterOrEqual(t, times[i+1]-times[i], times[i]-times[i-1])
		}
		require.Equal(t, 10*time.Second, times[len(times)-1]-times[len(times)-2])
		require.Equal(t, []string{"w unknown", "w unhealthy"}, w.told())
		w.mu.Lock()
		defer w.mu.Unlock()
		require.Equal(t, errDown.Error(), w.verdicts[1].Reason)
		require.GreaterOrEqual(t, w.verdicts[1].At.Sub(w.probed["w"][0]), 30*time.Second)
	})
}

func TestAReadyWorkerIsProbedAtTheIntervalWithJitter(t *testing.T) {
	for _, c := range []struct {
		random    float64
		first     time.Duration
		afterward time.Duration
	}{
		{0, 0, 9 * time.Second},
		{0.5, 5 * time.Second, 10 * time.Second},
		{0.999999, 10 * time.Second, 11 * time.Second},
	} {
		t.Run(fmt.Sprint(c.random), func(t *testing.T) {
			inBubble(t, health.Config{Random: func() float64 { return c.random }}, func(t *testing.T, w *world, s *health.Scheduler) {
				begun := time.Now()
				s.Watch(ready("w"))
				pass(time.Minute)
				w.mu.Lock()
				defer w.mu.Unlock()
				at := w.probed["w"]
				require.InDelta(t, c.first.Seconds(), at[0].Sub(begun).Seconds(), 0.001)
				for i := range at[1:] {
					require.InDelta(t, c.afterward.Seconds(), at[i+1].Sub(at[i]).Seconds(), 0.001)
				}
				require.Empty(t, w.verdicts, "a ready worker that passes is no news")
			})
		})
	}
}

func TestWhyANewWorkerIsNotHealthyYetIsReportedOncePerReason(t *testing.T) {
	inBubble(t, health.Config{Random: half}, func(t *testing.T, w *world, s *health.Scheduler) {
		target := started("w")
		target.Check.StartPeriod, target.Check.HealthyThreshold = pool.Duration(time.Minute), 2
		w.answer("w", down)
		s.Watch(target)
		pass(5 * time.Second)
		w.answer("w", func(context.Context) error { return errors.New("answered 503") })
		pass(5 * time.Second)
		w.answer("w", nil)
		pass(30 * time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		var told []string
		for _, v := range w.verdicts {
			told = append(told, fmt.Sprint(v.Health, " ", v.Reason))
		}
		require.Equal(t, []string{"unknown connection refused", "unknown answered 503", "healthy "}, told)
	})
}

func TestOnlyChangesAreReported(t *testing.T) {
	inBubble(t, health.Config{Random: half}, func(t *testing.T, w *world, s *health.Scheduler) {
		s.Watch(ready("w"))
		pass(time.Minute)
		require.Empty(t, w.told())
		w.answer("w", down)
		pass(20 * time.Second)
		require.Empty(t, w.told(), "two failures are not three")
		pass(time.Minute)
		require.Equal(t, []string{"w unhealthy"}, w.told())
		w.answer("w", nil)
		pass(time.Minute)
		require.Equal(t, []string{"w unhealthy", "w healthy"}, w.told())
	})
}

func TestAProbeThatWasNotMadeCountsNeitherWay(t *testing.T) {
	inBubble(t, health.Config{Random: half}, func(t *testing.T, w *world, s *health.Scheduler) {
		s.Watch(ready("w"))
		w.answer("w", func(context.Context) error { return fmt.Errorf("%w: too many open files", health.ErrNotProbed) })
		pass(10 * time.Minute)
		require.Empty(t, w.told())
		w.answer("w", down)
		pass(40 * time.Second)
		require.Equal(t, []string{"w unhealthy"}, w.told())
	})
}

func TestAHangingProbeEndsWithItsTimeout(t *testing.T) {
	inBubble(t, health.Config{Random: half}, func(t *testing.T, w *world, s *health.Scheduler) {
		w.answer("w", hang)
		target := ready("w")
		target.Check.Timeout = pool.Duration(25 * time.Second) // longer than the interval
		s.Watch(target)
		pass(5*time.Second + 3*25*time.Second)
		require.Equal(t, []time.Duration{0, 25e9, 50e9, 75e9}, w.times("w"), "never two probes of one worker at once")
		require.Equal(t, []string{"w unhealthy"}, w.told())
	})
}

func TestAChangedCheckKeepsTheVerdictUntilItsOwnThresholdsAreMet(t *testing.T) {
	inBubble(t, health.Config{Random: half}, func(t *testing.T, w *world, s *health.Scheduler) {
		target := ready("w")
		s.Watch(target)
		w.answer("w", down)
		pass(20 * time.Second) // two of three failures
		target.Check.UnhealthyThreshold, target.Check.Interval = 2, pool.Duration(time.Second)
		s.Watch(target)
		pass(500 * time.Millisecond)
		require.Len(t, w.times("w"), 3)
		require.Empty(t, w.told(), "failures of the old check do not count")
		pass(time.Second)
		require.Equal(t, []string{"w unhealthy"}, w.told())
	})
}

func TestAProbeOfAnOlderCheckDoesNotCount(t *testing.T) {
	inBubble(t, health.Config{Random: half}, func(t *testing.T, w *world, s *health.Scheduler) {
		answers := make(chan error)
		w.answer("w", func(context.Context) error { return <-answers })
		target := ready("w")
		target.Check.UnhealthyThreshold = 1
		s.Watch(target)
		pass(5 * time.Second) // the first probe is under way
		target.Check.HTTP = &pool.HTTPProbe{Path: "/new"}
		s.Watch(target)
		answers <- errDown
		synctest.Wait()
		require.Empty(t, w.told())
		require.Len(t, w.times("w"), 2, "the new check is made at once")
		answers <- errDown
		synctest.Wait()
		require.Equal(t, []string{"w unhealthy"}, w.told())
		s.Unwatch("w")
	})
}

func TestWatchingAgainWithTheSameCheckChangesNothing(t *testing.T) {
	inBubble(t, health.Config{Random: half}, func(t *testing.T, w *world, s *health.Scheduler) {
		w.answer("w", down)
		for range 100 {
			s.Watch(ready("w"))
			pass(time.Second)
		}
		require.Equal(t, []string{"w unhealthy"}, w.told())
		times := w.times("w")
		require.Len(t, times, 10)
	})
}

func TestAnUnwatchedWorkerIsLeftAlone(t *testing.T) {
	inBubble(t, health.Config{Random: half}, func(t *testing.T, w *world, s *health.Scheduler) {
		w.answer("hanging", hang)
		w.answer("down", down)
		hanging := started("hanging")
		hanging.Check.Timeout = pool.Duration(time.Hour)
		s.Watch(hanging)
		s.Watch(ready("down"))
		pass(26 * time.Second)
		s.Unwatch("hanging")
		s.Unwatch("down")
		s.Unwatch("never watched")
		synctest.Wait()
		w.mu.Lock()
		require.Positive(t, w.most, "a probe was under way")
		require.Zero(t, w.underWay, "a probe under way is ended")
		w.mu.Unlock()
		before := len(w.times("hanging")) + len(w.times("down"))
		pass(time.Hour)
		require.Equal(t, before, len(w.times("hanging"))+len(w.times("down")))
		require.NotContains(t, w.told(), "hanging unhealthy")
	})
}

func TestASlowListenerDelaysNoProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		release := make(chan struct{})
		s := health.NewScheduler(health.Config{Probe: w.probe, Random: half, Report: func(v health.Verdict) {
			<-release
			w.report(v)
		}})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.Run(ctx) }()
		var want []string
		for i := range 20 {
			s.Watch(started(fmt.Sprint("w", i)))
			want = append(want, fmt.Sprintf("w%d healthy", i))
		}
		pass(time.Minute)
		for i := range 20 {
			require.Greater(t, len(w.times(fmt.Sprint("w", i))), 5)
		}
		close(release)
		synctest.Wait()
		require.ElementsMatch(t, want, w.told())
		stop()
		<-ended
	})
}

func TestAPoolWhoseWorkersAllHangDelaysNoOther(t *testing.T) {
	inBubble(t, health.Config{Random: half, Concurrency: 50}, func(t *testing.T, w *world, s *health.Scheduler) {
		for i := range 1000 {
			id := fmt.Sprint("hanging-", i)
			w.answer(id, hang)
			target := started(id)
			target.PoolUID = "bad"
			s.Watch(target)
		}
		pass(time.Minute)
		begun := time.Now()
		target := started("good")
		target.PoolUID = "good"
		s.Watch(target)
		pass(2 * time.Second)
		require.Contains(t, w.told(), "good healthy")
		w.mu.Lock()
		defer w.mu.Unlock()
		require.LessOrEqual(t, w.probed["good"][0].Sub(begun), time.Second, "one timeout of a hanging probe")
		require.LessOrEqual(t, w.most, 50)
	})
}

func TestTenThousandWorkersAreProbedAtTheirPace(t *testing.T) {
	const workers = 10_000
	inBubble(t, health.Config{}, func(t *testing.T, w *world, s *health.Scheduler) {
		for i := range workers {
			target := ready(fmt.Sprint("w", i))
			target.PoolUID = fmt.Sprint("p", i%100)
			s.Watch(target)
		}
		pass(35 * time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		perSecond := map[int64]int{}
		for i := range workers {
			at := w.probed[fmt.Sprint("w", i)]
			require.GreaterOrEqual(t, len(at), 2)
			require.LessOrEqual(t, len(at), 4)
			perSecond[at[0].Unix()]++
		}
		require.LessOrEqual(t, slices.Max(slices.Collect(maps.Values(perSecond))), workers/10*13/10, "the first probes are spread over the interval")
	})
}

func TestRunEndsItsProbesWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := health.NewScheduler(health.Config{Probe: w.probe, Report: w.report})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.Run(ctx) }()
		for i := range 10 {
			id := fmt.Sprint("w", i)
			w.answer(id, hang)
			s.Watch(started(id))
		}
		synctest.Wait()
		stop()
		<-ended
		require.Zero(t, w.underWay)
		require.Empty(t, w.told(), "an ended probe is no verdict")
		s.Watch(started("late"))
		s.Unwatch("late")
	})
}
