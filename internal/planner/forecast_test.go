package planner_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestAForecastTellsWavesVictimsAndTheWorstTime(t *testing.T) {
	drains := func(f planner.Forecast) (victims []string) {
		for _, w := range f.Waves {
			for _, v := range w.Drains {
				victims = append(victims, v.WorkerID)
			}
		}
		return victims
	}
	launches := func(f planner.Forecast) (n int) {
		for _, w := range f.Waves {
			n += w.Launches
		}
		return n
	}
	// 30 s to start, 2 s to be withdrawn, 10 s of grace.
	for _, c := range []struct {
		name     string
		fleet    func() *fleet
		victims  []string
		launches int
		worst    time.Duration
		waits    string
	}{
		{"creation", func() *fleet { return newFleet(3) }, nil, 3, 30 * time.Second, ""},
		{"growth", func() *fleet { f := settled(2); f.resize(5); return f }, nil, 3, 30 * time.Second, ""},
		{"nothing", func() *fleet { return settled(2) }, nil, 0, 0, ""},
		{"idle workers go first", func() *fleet { f := settled(3); f.lease("w1"); f.lease("w3"); f.resize(2); return f }, []string{"w2"}, 0, 12 * time.Second, ""},
		{"a busy one has its whole drain", func() *fleet { f := settled(1); f.lease("w1"); f.resize(0); return f }, []string{"w1"}, 0, 5*time.Minute + 12*time.Second, ""},
		{"a busy one that is never stopped", func() *fleet {
			f := settled(1, func(s *pool.Spec) { s.Drain.OnTimeout = pool.OnTimeoutFail })
			f.lease("w1")
			f.resize(0)
			return f
		}, []string{"w1"}, 0, 5*time.Minute + 2*time.Second, "its operation is failed then: still busy at the drain deadline, and drain.on_timeout is \"fail\": worker w1 (a lease is held on it); each goes when its work ends, or by force"},
		{"a hook that does not answer", func() *fleet {
			f := settled(1, func(s *pool.Spec) { s.Drain.Hook = &pool.DrainHook{HTTP: &pool.HTTPProbe{}} })
			f.resize(0)
			return f
		}, []string{"w1"}, 0, 5*time.Minute + 12*time.Second, ""},
		{"destroy", func() *fleet { f := settled(2); f.destroy(false); return f }, []string{"w1", "w2"}, 0, 12 * time.Second, ""},
		{"rollout, one after the other", func() *fleet { f := settled(2, budget(1, 0)); f.retemplate(); return f }, []string{"w1", "w2"}, 2, 84 * time.Second, ""},
		{"rollout without surge", func() *fleet { f := settled(2, budget(0, 1)); f.retemplate(); return f }, []string{"w1", "w2"}, 2, 84 * time.Second, ""},
		{"a canary that a person promotes", func() *fleet {
			f := settled(3, budget(1, 0), func(s *pool.Spec) { s.Update.Canary = &pool.Canary{Promote: pool.PromoteManual} })
			f.retemplate()
			return f
		}, []string{"w1"}, 1, 30 * time.Second, "canary: 1 of 1 workers are available; promote the rollout to go on, or abort it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.fleet()
			before := f.snapshot()
			forecast := planner.Foresee(f.World, 30*time.Second, func() bool { return false })
			require.Equal(t, c.victims, drains(forecast))
			require.Equal(t, c.launches, launches(forecast))
			require.Equal(t, c.waits, forecast.Waits)
			require.Equal(t, c.worst, forecast.Worst)
			require.Equal(t, before.Workers, f.Workers, "a forecast changes nothing")
		})
	}
}
