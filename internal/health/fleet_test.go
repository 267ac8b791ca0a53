package health_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// fleet is how many workers one schedule is to carry.
const fleet = 10_000

// gaps are the times between a worker's probes from begin on.
func (w *world) gaps(worker string, begin time.Time) (gaps []time.Duration) {
	var last time.Time
	for _, at := range w.probed[worker] {
		if at.Before(begin) {
			continue
		}
		if !last.IsZero() {
			gaps = append(gaps, at.Sub(last))
		}
		last = at
	}
	return gaps
}

// perSecond counts the probes of all workers by the second since begin.
func (w *world) perSecond(begin, end time.Time) []int {
	counts := make([]int, int(end.Sub(begin).Seconds()))
	for _, times := range w.probed {
		for _, at := range times {
			if !at.Before(begin) && at.Before(end) {
				counts[int(at.Sub(begin).Seconds())]++
			}
		}
	}
	return counts
}

func TestTenThousandWorkersThatStartTogetherAreSpreadOverTheInterval(t *testing.T) {
	inBubble(t, health.Config{}, func(t *testing.T, w *world, s *health.Scheduler) {
		for i := range fleet {
			s.Watch(started(fmt.Sprint("w", i)))
		}
		pass(time.Minute)
		begin := time.Now()
		pass(time.Minute)
		w.mu.Lock()
		defer w.mu.Unlock()
		require.Len(t, w.verdicts, fleet)
		for second, n := range w.perSecond(begin, begin.Add(time.Minute)) {
			require.InDelta(t, fleet/10, n, fleet/10*0.3, "probes in second %d", second)
		}
		for i := range fleet {
			for _, gap := range w.gaps(fmt.Sprint("w", i), begin) {
				require.InDelta(t, 10, gap.Seconds(), 1.001)
			}
		}
	})
}

// A fifth of one pool's workers hang for five seconds at each probe: alone they would keep a thousand probes
// under way, which is more than there may be at once.
func TestWorkersThatHangDelayNoHealthyOnesOfTheirPoolNorOthers(t *testing.T) {
	inBubble(t, health.Config{}, func(t *testing.T, w *world, s *health.Scheduler) {
		hangs := func(i int) bool { return i%5 == 0 }
		for i := range fleet {
			id := fmt.Sprint("w", i)
			if hangs(i) {
				w.answer(id, hang)
			}
			target := ready(id)
			target.Check.Timeout = pool.Duration(5 * time.Second)
			s.Watch(target)
		}
		pass(time.Minute) // until it is known who hangs
		begin := time.Now()
		other := started("other")
		other.PoolUID = "q"
		s.Watch(other)
		pass(5 * time.Minute)
		w.mu.Lock()
		defer w.mu.Unlock()
		require.LessOrEqual(t, w.most, 512)
		require.Less(t, w.probed["other"][0].Sub(begin), 100*time.Millisecond, "a pool that comes later finds a place")
		condemned := map[string]bool{}
		for _, v := range w.verdicts {
			condemned[v.WorkerID] = v.Health == pool.Unhealthy
		}
		for i := range fleet {
			id := fmt.Sprint("w", i)
			require.Equal(t, hangs(i), condemned[id], "%s is found unhealthy", id)
			if hangs(i) {
				continue
			}
			gaps := w.gaps(id, begin)
			require.InDelta(t, 29, len(gaps), 3, "%s is probed about once per interval", id)
			require.LessOrEqual(t, slices.Max(gaps), 12*time.Second, "%s waits no longer than its own interval says", id)
		}
	})
}

func TestALaneMayNotTakeTheLastPlaces(t *testing.T) {
	inBubble(t, health.Config{Random: half, Concurrency: 8}, func(t *testing.T, w *world, s *health.Scheduler) {
		for i := range 100 {
			id := fmt.Sprint("hanging-", i)
			w.answer(id, hang)
			target := started(id)
			target.Check.Timeout = pool.Duration(time.Hour)
			s.Watch(target)
		}
		pass(time.Second)
		w.mu.Lock()
		underWay := w.underWay
		w.mu.Unlock()
		require.Equal(t, 6, underWay, "three quarters of eight")
		later := started("later")
		later.PoolUID = "q"
		s.Watch(later)
		pass(time.Millisecond)
		require.Equal(t, []string{"later healthy"}, w.told())
	})
}

func TestAnUnhealthyWorkerStaysUnhealthyWhenAnotherManagerTakesOver(t *testing.T) {
	inBubble(t, health.Config{Random: half}, func(t *testing.T, w *world, s *health.Scheduler) {
		w.answer("w", down)
		target := ready("w")
		target.Health = pool.Unhealthy
		s.Watch(target)
		pass(5 * time.Minute)
		require.Empty(t, w.told(), "it is no news")
		w.answer("w", nil)
		pass(11 * time.Second)
		require.Equal(t, []string{"w healthy"}, w.told())
	})
}

func TestAReasonThatDiffersInItsDigitsIsNoNews(t *testing.T) {
	inBubble(t, health.Config{Random: half}, func(t *testing.T, w *world, s *health.Scheduler) {
		w.answer("w", func(context.Context) error {
			return fmt.Errorf("exited with code 1: job %d is late", time.Now().UnixNano())
		})
		s.Watch(started("w"))
		pass(20 * time.Second)
		require.Equal(t, []string{"w unknown"}, w.told())
	})
}

// BenchmarkSchedule is what the schedule itself costs per probe, with 10,000 workers of 100 pools.
func BenchmarkSchedule(b *testing.B) {
	var probes atomic.Int64
	for b.Loop() {
		synctest.Test(&testing.T{}, func(*testing.T) {
			s := health.NewScheduler(health.Config{
				Probe:  func(context.Context, health.Target) error { probes.Add(1); return nil },
				Report: func(health.Verdict) {},
			})
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan struct{})
			go func() { defer close(ended); s.Run(ctx) }()
			for i := range fleet {
				target := ready(fmt.Sprint("w", i))
				target.PoolUID = fmt.Sprint("p", i%100)
				s.Watch(target)
			}
			pass(time.Minute)
			stop()
			<-ended
		})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(probes.Load()), "ns/probe")
}
