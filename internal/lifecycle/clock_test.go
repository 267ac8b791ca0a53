package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheClockGoesOnWhateverTheMachinesDoes(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		passed, wall time.Duration // since the clock was last read
		want         time.Duration
		broke        bool
	}{
		"together":                   {time.Second, time.Second, time.Second, false},
		"the machine's drifts":       {time.Second, 2 * time.Second, time.Second, false},
		"the machine's is set back":  {time.Second, -time.Hour, time.Second, false},
		"the machine's is set ahead": {time.Second, time.Hour, time.Hour, true},
		"the machine slept":          {0, time.Hour, time.Hour, true},
		"the process stood still":    {time.Minute, time.Minute, time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			wall, passed := start, time.Duration(0)
			clock := startClock(&clock{wall: func() time.Time { return wall }, passed: func() time.Duration { return passed }}, time.Time{})
			wall, passed = wall.Add(c.wall), passed+c.passed
			now, since := clock.read()
			require.Equal(t, start.Add(c.want), now)
			require.Equal(t, c.broke, since.Equal(now), "a break ends now")
			wall, passed = wall.Add(time.Second), passed+time.Second
			later, still := clock.read()
			require.Equal(t, time.Second, later.Sub(now), "it goes on from there")
			require.Equal(t, since, still)
		})
	}
}

func TestTheClockDoesNotStartBeforeWhatIsOnRecord(t *testing.T) {
	wall, passed := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Duration(0)
	latest := wall.Add(time.Hour)
	clock := startClock(&clock{wall: func() time.Time { return wall }, passed: func() time.Duration { return passed }}, latest)
	require.Equal(t, latest, clock.now())
	wall, passed = wall.Add(time.Second), time.Second
	require.Equal(t, latest.Add(time.Second), clock.now(), "it goes on from there")
	wall, passed = wall.Add(2*time.Hour), 2*time.Second
	now, since := clock.read()
	require.Equal(t, []time.Time{wall, wall}, []time.Time{now, since}, "until the machine's is set right")
}
