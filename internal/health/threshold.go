package health

import (
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// tally is the standing of one worker: the verdict, and what speaks against it.
type tally struct {
	health   pool.Health // unknown until there is a verdict
	proven   bool        // it was healthy once, or so it was said
	passes   int64       // passed checks in a row
	failures int64       // failed checks in a row that count
}

// newTally begins with the verdict that an earlier manager has come to. Only what was healthy once can have
// been found unhealthy.
func newTally(verdict pool.Health) tally {
	switch verdict {
	case pool.Healthy, pool.Unhealthy:
		return tally{health: verdict, proven: true}
	}
	return tally{health: pool.HealthUnknown}
}

// recounted begins anew to count, for another check. Healthy is who was, until the new check speaks against it;
// what the old one had found unhealthy is unknown, because it may have been the check that was wrong.
func (t tally) recounted() tally {
	t.passes, t.failures = 0, 0
	if t.health == pool.Unhealthy {
		t.health = pool.HealthUnknown
	}
	return t
}

// after is the tally after one more check of a worker of the given age; compare the health of both to see a
// change. A failure in the start period does not count, but ends a row of passes. A worker that was never
// healthy is probed more often than the interval says, so as to notice soon that it is up; that must not
// condemn it sooner: it is unhealthy at the earliest when its failures would have added up at the interval.
func (t tally) after(passed bool, check pool.HealthCheck, age time.Duration) tally {
	if passed {
		t.failures = 0
		if t.passes++; t.passes >= check.HealthyThreshold {
			t.health, t.proven = pool.Healthy, true
		}
		return t
	}
	t.passes = 0
	if age < check.StartPeriod.Std() {
		return t
	}
	t.failures++
	patience := time.Duration(0)
	if !t.proven {
		patience = check.StartPeriod.Std() + time.Duration(check.UnhealthyThreshold)*check.Interval.Std()
	}
	if t.failures >= check.UnhealthyThreshold && age >= patience {
		t.health = pool.Unhealthy
	}
	return t
}
