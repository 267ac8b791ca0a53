package autoscale_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/autoscale"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func bounds(least, most int64, idle time.Duration) pool.Autoscaling {
	timeout := pool.Duration(idle)
	return pool.Autoscaling{Min: &least, Max: &most, IdleTimeout: &timeout}
}

func TestTheNeedIsWhoWorksAndRoomForWhoWaits(t *testing.T) {
	for demand, need := range map[autoscale.Demand]int{
		{}:                                 0,
		{Busy: 3, Slots: 1}:                3,
		{Busy: 3, Waiting: 2, Slots: 1}:    5,
		{Busy: 3, Waiting: 1, Slots: 4}:    4,
		{Busy: 3, Waiting: 4, Slots: 4}:    4,
		{Busy: 0, Waiting: 9, Slots: 4}:    3,
		{Busy: 1, Waiting: 1}:              2,
		{Busy: 0, Waiting: 1000, Slots: 1}: 1000,
	} {
		require.Equal(t, need, demand.Need(), "%+v", demand)
	}
}

// A story is what is needed from a second on, and what is decided then.
func TestTheCountFollowsUpAtOnceAndDownAfterTheIdleTimeout(t *testing.T) {
	type step struct{ second, busy, waiting, count int }
	for name, c := range map[string]struct {
		from    int64
		unready bool
		steps   []step
	}{
		"up at once":                           {1, false, []step{{0, 0, 0, 1}, {5, 0, 4, 4}, {6, 4, 0, 4}}},
		"no further than the most":             {1, false, []step{{0, 10, 90, 10}}},
		"down after a minute of rest":          {1, false, []step{{0, 6, 0, 6}, {10, 0, 0, 6}, {69, 0, 0, 6}, {70, 0, 0, 1}}},
		"down to the greatest of the last":     {1, false, []step{{0, 6, 0, 6}, {10, 2, 0, 6}, {30, 4, 0, 6}, {40, 0, 0, 6}, {70, 0, 0, 4}, {100, 0, 0, 1}}},
		"a peak begins the wait anew":          {1, false, []step{{0, 6, 0, 6}, {10, 0, 0, 6}, {60, 6, 0, 6}, {61, 0, 0, 6}, {120, 0, 0, 6}, {121, 0, 0, 1}}},
		"what there was is kept for as long":   {8, false, []step{{0, 0, 0, 8}, {59, 0, 0, 8}, {60, 0, 0, 1}}},
		"never down before it is created":      {8, true, []step{{0, 0, 0, 8}, {600, 0, 0, 8}, {601, 9, 0, 9}}},
		"a count out of the bounds is clamped": {50, false, []step{{0, 0, 0, 10}}},
		"a count below the least is raised":    {0, false, []step{{0, 0, 0, 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			count, memory := c.from, autoscale.Memory(nil)
			for _, s := range c.steps {
				d := autoscale.Decide(start.Add(time.Duration(s.second)*time.Second), bounds(1, 10, time.Minute), count,
					autoscale.Demand{Busy: s.busy, Waiting: s.waiting, Slots: 1}, memory, !c.unready)
				require.Equal(t, int64(s.count), d.Count, "at %d s: %+v", s.second, d.Memory)
				require.Equal(t, d.Count == count, d.Reason == "", d.Reason)
				count, memory = d.Count, d.Memory
			}
		})
	}
}

// Whatever is asked for: the count is within its bounds, serves the need as far as they go, is no smaller than
// any need of the last idle timeout, and does not change before Next says so.
func TestADecisionServesEveryNeedOfTheIdleTimeout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		least := rapid.Int64Range(0, 5).Draw(t, "min")
		most := least + rapid.Int64Range(1, 20).Draw(t, "more")
		limits, now := bounds(least, most, time.Minute), start
		count, memory := limits.Clamp(rapid.Int64Range(0, 30).Draw(t, "count")), autoscale.Memory(nil)
		type seen struct {
			need int64
			till time.Time
		}
		var needs []seen
		next, demand := time.Time{}, autoscale.Demand{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			passed := time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second
			if !next.IsZero() && now.Add(passed-time.Second).Before(next) {
				same := autoscale.Decide(now.Add(passed-time.Second), limits, count, demand, memory, true)
				require.Equal(t, count, same.Count, "time alone changed it before %s", next)
			}
			now = now.Add(passed)
			if len(needs) > 0 {
				needs[len(needs)-1].till = now
			}
			demand = autoscale.Demand{
				Busy: rapid.IntRange(0, 20).Draw(t, "busy"), Waiting: rapid.IntRange(0, 20).Draw(t, "waiting"), Slots: rapid.IntRange(1, 4).Draw(t, "slots"),
			}
			d := autoscale.Decide(now, limits, count, demand, memory, true)
			require.Equal(t, limits.Clamp(d.Count), d.Count)
			require.GreaterOrEqual(t, d.Count, limits.Clamp(int64(demand.Need())))
			for _, s := range needs {
				if s.till.After(now.Add(-time.Minute)) {
					require.GreaterOrEqual(t, d.Count, limits.Clamp(s.need), "needed till %s, it is %s", s.till, now)
				}
			}
			needs = append(needs, seen{int64(demand.Need()), now})
			count, memory, next = d.Count, d.Memory, d.Next
			require.LessOrEqual(t, len(memory), 42, "it remembers no more than it has to")
		}
	})
}
