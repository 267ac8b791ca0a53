package health

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestAVerdictChangesWhenItsThresholdIsMet(t *testing.T) {
	const interval = 10 * time.Second
	check := func(healthy, unhealthy int64, startPeriod time.Duration) pool.HealthCheck {
		return pool.HealthCheck{HealthyThreshold: healthy, UnhealthyThreshold: unhealthy, Interval: pool.Duration(interval), StartPeriod: pool.Duration(startPeriod)}
	}
	type step struct {
		age    time.Duration
		passed bool
		want   pool.Health
	}
	const up, down, open = pool.Healthy, pool.Unhealthy, pool.HealthUnknown
	for behaviour, c := range map[string]struct {
		check pool.HealthCheck
		ready bool
		steps []step
	}{
		"one pass is enough by default": {check(1, 3, 0), false, []step{
			{0, true, up},
		}},
		"passes must be in a row": {check(3, 3, 0), false, []step{
			{1, true, open}, {2, true, open}, {3, false, open}, {4, true, open}, {5, true, open}, {6, true, up},
		}},
		"failures must be in a row": {check(1, 3, 0), true, []step{
			{1, false, up}, {2, false, up}, {3, true, up}, {4, false, up}, {5, false, up}, {6, false, down},
		}},
		"one failure is enough if asked for": {check(1, 1, 0), true, []step{
			{1, false, down},
		}},
		"an unhealthy worker recovers": {check(2, 1, 0), true, []step{
			{1, false, down}, {2, true, down}, {3, false, down}, {4, true, down}, {5, true, up}, {6, false, down},
		}},
		"a new worker that is probed quickly has as long as at the interval": {check(1, 3, 0), false, []step{
			{time.Second, false, open}, {2 * time.Second, false, open}, {3 * time.Second, false, open},
			{3*interval - 1, false, open}, {3 * interval, false, down},
		}},
		"a new worker is unhealthy only after enough failures, however late": {check(1, 3, 0), false, []step{
			{9 * interval, false, open}, {10 * interval, false, open}, {11 * interval, false, down},
		}},
		"a worker that was healthy once has no such time": {check(1, 2, 0), false, []step{
			{1, true, up}, {2, false, up}, {3, false, down},
		}},
		"failures in the start period do not count": {check(1, 2, time.Minute), true, []step{
			{1, false, up}, {2, false, up}, {time.Minute - 1, false, up},
			{time.Minute, false, up}, {time.Minute + 1, false, down},
		}},
		"a failure in the start period ends a row of passes": {check(2, 2, time.Minute), false, []step{
			{1, true, open}, {2, false, open}, {3, true, open}, {4, true, up},
		}},
		"a new worker's time begins with the end of its start period": {check(1, 1, time.Minute), false, []step{
			{time.Minute - 1, false, open}, {time.Minute, false, open},
			{time.Minute + interval - 1, false, open}, {time.Minute + interval, false, down},
		}},
		"a pass in the start period counts": {check(1, 1, time.Minute), false, []step{
			{1, true, up},
		}},
	} {
		t.Run(behaviour, func(t *testing.T) {
			now := newTally(pool.HealthUnknown)
			if c.ready {
				now = newTally(pool.Healthy)
			}
			for i, s := range c.steps {
				now = now.after(s.passed, c.check, s.age)
				require.Equal(t, s.want, now.health, "step %d", i)
			}
		})
	}
}

func TestARecountedTallyKeepsTheVerdictAndForgetsTheCount(t *testing.T) {
	check := pool.HealthCheck{HealthyThreshold: 1, UnhealthyThreshold: 3}
	now := newTally(pool.Healthy).after(false, check, 0).after(false, check, 0).recounted()
	require.Equal(t, pool.Healthy, now.health)
	now = now.after(false, check, 0).after(false, check, 0)
	require.Equal(t, pool.Healthy, now.health)
	require.Equal(t, pool.Unhealthy, now.after(false, check, 0).health)
}

func TestWhatAnotherCheckFoundUnhealthyIsUnknown(t *testing.T) {
	check := pool.HealthCheck{HealthyThreshold: 1, UnhealthyThreshold: 2}
	now := newTally(pool.Unhealthy).recounted()
	require.Equal(t, pool.HealthUnknown, now.health)
	require.Equal(t, pool.Healthy, now.after(true, check, 0).health)
	require.Equal(t, pool.HealthUnknown, now.after(false, check, 0).health)
	require.Equal(t, pool.Unhealthy, now.after(false, check, 0).after(false, check, 0).health)
}

func TestAVerdictOfAnEarlierManagerStandsUntilTheThresholdsSpeakAgainstIt(t *testing.T) {
	check := pool.HealthCheck{HealthyThreshold: 2, UnhealthyThreshold: 2}
	now := newTally(pool.Unhealthy).after(false, check, 0)
	require.Equal(t, pool.Unhealthy, now.health)
	now = now.after(true, check, 0)
	require.Equal(t, pool.Unhealthy, now.health)
	now = now.after(true, check, 0)
	require.Equal(t, pool.Healthy, now.health)
}
