package planner_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// TestSequences plays pools through the telling cases and compares every step with the log in testdata.
// With POOLKEEPER_WRITE_GOLDEN=1 it writes the logs, to be read before they are committed.
func TestSequences(t *testing.T) {
	for _, c := range []struct {
		name string
		pool *fleet
		play func(*fleet)
	}{
		{"rollout with the default budget", settled(8), func(f *fleet) {
			f.retemplate()
			f.run(habit{})
		}},
		{"rollout to workers that no probe asks and that end at once", settled(2, unprobed), func(f *fleet) {
			f.retemplate()
			f.step()
			f.readyAll()
			f.end("w3")
			f.run(habit{})
		}},
		{"rollout while the old workers are young", settled(3, budget(1, 0), func(s *pool.Spec) { s.Update.MinReady = seconds(20) }), func(f *fleet) {
			for _, id := range []string{"w1", "w2", "w3"} {
				f.recover(id)
			}
			f.retemplate()
			f.run(habit{})
		}},
		{"busy old workers", settled(4, budget(1, 0), func(s *pool.Spec) { s.Drain.Timeout = seconds(60) }), func(f *fleet) {
			f.lease("w1")
			f.lease("w2")
			f.retemplate()
			f.step()
			f.readyAll()
			f.run(habit{until: 20 * time.Second})
			f.release("w1")
			f.run(habit{})
		}},
		{"scale-in to nobody while some are busy and told by a hook", settled(3, func(s *pool.Spec) {
			s.Drain.Timeout, s.Drain.OnTimeout, s.Drain.Hook = seconds(60), pool.OnTimeoutFail, &pool.DrainHook{HTTP: &pool.HTTPProbe{}}
		}), func(f *fleet) {
			f.lease("w2")
			f.resize(0)
			f.run(habit{until: 5 * time.Second})
			for _, id := range []string{"w1", "w2", "w3"} {
				f.hooked(id)
			}
			f.run(habit{until: 2 * time.Minute})
			f.release("w2")
			f.run(habit{})
		}},
		{"rollout without surge", settled(3, budget(0, 1)), func(f *fleet) {
			f.retemplate()
			f.run(habit{})
		}},
		{"rollout with all unavailable", settled(3, func(s *pool.Spec) {
			s.Update.MaxSurge, s.Update.MaxUnavailable = pool.Amount{}, pool.Amount{Value: 100, Percent: true}
		}), func(f *fleet) {
			f.retemplate()
			f.run(habit{})
		}},
		{"rollout waits for min_ready", settled(2, budget(1, 0), func(s *pool.Spec) { s.Update.MinReady = seconds(5) }), func(f *fleet) {
			f.retemplate()
			f.run(habit{})
		}},
		{"resize in mid-rollout", settled(4, budget(1, 0)), func(f *fleet) {
			f.retemplate()
			f.step()
			f.readyAll()
			f.step()
			f.resize(6)
			f.run(habit{})
		}},
		{"resize down in mid-rollout", settled(4, budget(2, 0)), func(f *fleet) {
			f.retemplate()
			f.step()
			f.readyAll()
			f.step()
			f.resize(1)
			f.run(habit{})
		}},
		{"template changed in mid-rollout", settled(3, budget(1, 0)), func(f *fleet) {
			f.retemplate()
			f.step()
			f.readyAll()
			f.step()
			f.retemplate()
			f.run(habit{})
		}},
		{"rollout to a template whose workers never get ready", settled(2, budget(1, 0)), func(f *fleet) {
			f.retemplate()
			f.run(habit{unready: true, until: 15 * time.Minute})
		}},
		{"crash loop", settled(2), func(f *fleet) {
			for _, id := range []string{"w1", "w3", "w4", "w5", "w6", "w7"} {
				f.end(id)
				f.run(habit{})
			}
		}},
		{"half of the fleet dead at once", settled(6), func(f *fleet) {
			for _, id := range []string{"w1", "w2", "w3"} {
				f.end(id)
			}
			f.run(habit{})
		}},
		{"one sick worker", settled(3), func(f *fleet) {
			f.sicken("w2")
			f.run(habit{})
		}},
		{"one sick worker without surge", settled(3, budget(0, 1)), func(f *fleet) {
			f.sicken("w2")
			f.run(habit{})
		}},
		{"sick worker whose successor fails while another dies", settled(3), func(f *fleet) {
			f.sicken("w2")
			f.step()
			f.end("w4")
			f.end("w1")
			f.run(habit{})
		}},
		{"sick worker whose successor gets sick", settled(3, func(s *pool.Spec) { s.Update.MinReady = seconds(5) }), func(f *fleet) {
			f.sicken("w2")
			f.step()
			f.ready("w4")
			f.sicken("w4")
			f.run(habit{})
		}},
		{"sick worker recovers, and is missed when another dies", settled(3), func(f *fleet) {
			f.sicken("w2")
			f.step()
			f.recover("w2")
			f.ready("w4")
			f.end("w1")
			f.run(habit{})
		}},
		{"all workers sick", settled(4), func(f *fleet) {
			for _, id := range []string{"w1", "w2", "w3", "w4"} {
				f.sicken(id)
			}
			f.run(habit{})
		}},
		{"scale-in order", settled(5), func(f *fleet) {
			f.sicken("w2")
			f.resize(7)
			f.step()
			f.ready("w7")
			f.resize(3)
			f.run(habit{})
		}},
		{"destroy", settled(2), func(f *fleet) {
			f.destroy(false)
			f.run(habit{})
		}},
		{"destroy with a worker that ignores its signal", settled(2), func(f *fleet) {
			f.destroy(false)
			f.run(habit{deaf: "w2"})
		}},
		{"destroy with a worker that survives its kill", settled(2), func(f *fleet) {
			f.destroy(false)
			f.run(habit{immortal: "w2", until: time.Minute})
			f.destroy(false)
			f.run(habit{})
		}},
		{"forced destroy", settled(2), func(f *fleet) {
			f.destroy(false)
			f.step()
			f.destroy(true)
			f.run(habit{})
		}},
		{"forced destroy of a worker that had much time and survives its kill", settled(1, func(s *pool.Spec) { s.Drain.Grace = seconds(600) }), func(f *fleet) {
			f.destroy(false)
			f.run(habit{immortal: "w1", until: 10 * time.Second})
			f.destroy(true)
			f.run(habit{immortal: "w1", until: time.Minute})
		}},
		{"signal at the start of the drain", settled(2, func(s *pool.Spec) { s.Drain.SignalAt, s.Drain.Timeout = pool.SignalStart, seconds(60) }), func(f *fleet) {
			f.resize(1)
			f.run(habit{work: 40 * time.Second})
		}},
		{"manager away while workers start", newFleet(2), func(f *fleet) {
			f.step()
			f.Now = f.Now.Add(time.Hour)
			f.note("the manager is back")
			f.Since = f.Now
			f.step()
			f.run(habit{})
		}},
		{"manager away while workers stop", settled(2), func(f *fleet) {
			f.destroy(false)
			f.step()
			f.passTime()
			f.step()
			f.Now = f.Now.Add(time.Hour)
			f.note("the manager is back")
			f.Since = f.Now
			f.run(habit{deaf: "w2"})
		}},
		{"revert in mid-rollout", settled(4, budget(1, 0)), func(f *fleet) {
			f.retemplate()
			f.run(habit{until: 3 * time.Second})
			f.revert(1)
			f.run(habit{})
		}},
		{"command and probe changed in one update", settled(2, budget(1, 0), unprobed), func(f *fleet) {
			f.retemplate(probed, func(s *pool.Spec) { s.Drain.DeregisterDelay, s.Drain.Grace = seconds(7), seconds(30) })
			f.run(habit{})
			f.resize(1)
			f.run(habit{})
		}},
		{"canary that a person promotes", settled(4, canary(pool.Canary{Promote: pool.PromoteManual, Bake: lasting(30)})), func(f *fleet) {
			f.retemplate()
			f.run(habit{until: time.Hour})
			f.promote()
			f.run(habit{})
		}},
		{"canary that fails while it bakes", settled(4, canary(pool.Canary{Bake: lasting(60)})), func(f *fleet) {
			f.retemplate()
			f.run(habit{until: 50 * time.Second})
			f.sicken("w5")
			f.run(habit{unready: true, until: 11 * time.Minute})
			f.run(habit{})
		}},
		{"window that closes in mid-rollout and opens again", settled(3, budget(1, 0), everyTenMinutes, minReady(20)), func(f *fleet) {
			f.retemplate()
			f.run(habit{})
		}},
		{"hand-drained workers while the window is closed", settled(4, budget(1, 0), everyTenMinutes), func(f *fleet) {
			f.retemplate()
			f.run(habit{until: 2 * time.Second})
			f.Now = start.Add(time.Minute)
			f.replace("w5")
			f.replace("w3")
			f.run(habit{until: 2 * time.Minute})
		}},
		{"failed rollout goes back to the last good template", settled(4, budget(1, 0)), func(f *fleet) {
			f.retemplate()
			f.run(habit{until: 2 * time.Second})
			f.run(habit{unready: true, until: 11 * time.Minute})
			f.run(habit{})
		}},
		{"paused rollout during which an old and a new worker die", settled(4, budget(1, 0), func(s *pool.Spec) { s.Update.OnFailure = pool.OnFailurePause }), func(f *fleet) {
			f.retemplate()
			f.run(habit{until: 2 * time.Second})
			f.run(habit{unready: true, until: 11 * time.Minute})
			f.end("w4")
			f.run(habit{})
			f.end("w5")
			f.run(habit{})
			f.resume()
			f.run(habit{})
		}},
		{"pool is paused in mid-rollout and a worker dies", settled(3, budget(1, 0)), func(f *fleet) {
			f.retemplate()
			f.step()
			f.readyAll()
			f.step()
			f.pause()
			f.end("w3")
			f.run(habit{})
			f.resume()
			f.run(habit{})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.play(c.pool)
			golden := filepath.Join("testdata", strings.ReplaceAll(c.name, " ", "_")+".log")
			if os.Getenv("POOLKEEPER_WRITE_GOLDEN") != "" {
				require.NoError(t, os.WriteFile(golden, []byte(c.pool.log.String()), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), c.pool.log.String())
		})
	}
}

func probed(s *pool.Spec) { s.Health.HTTP = &pool.HTTPProbe{} }

func canary(c pool.Canary) func(*pool.Spec) { return func(s *pool.Spec) { s.Update.Canary = &c } }

func minReady(n int) func(*pool.Spec) { return func(s *pool.Spec) { s.Update.MinReady = seconds(n) } }

// everyTenMinutes opens a window for five minutes each: the first one closes 55 s after the start.
func everyTenMinutes(s *pool.Spec) {
	s.Update.Windows = []pool.Window{{Cron: "*/10 * * * *", Duration: seconds(300)}}
}

func lasting(n int) *pool.Duration { return new(seconds(n)) }

func unprobed(s *pool.Spec) { s.Health.HTTP = nil }

func budget(surge, unavailable int64) func(*pool.Spec) {
	return func(s *pool.Spec) {
		s.Update.MaxSurge, s.Update.MaxUnavailable = pool.Amount{Value: surge}, pool.Amount{Value: unavailable}
	}
}

func seconds(n int) pool.Duration { return pool.Duration(time.Duration(n) * time.Second) }

// habit is how the workers of a fleet behave; without one they do at once as they are told.
type habit struct {
	unready  bool          // none gets ready
	work     time.Duration // how long they work on after their signal
	deaf     string        // the one that ignores its signal
	immortal string        // the one that survives its kill
	until    time.Duration // how long they are watched, at most; 0 until nothing moves
}

// endsAt is when a condemned worker ends; zero if never.
func (h habit) endsAt(w pool.Worker, killed map[string]bool) time.Time {
	switch {
	case w.ID == h.immortal || w.ID == h.deaf && !killed[w.ID]:
		return time.Time{}
	case killed[w.ID]:
		return w.StoppingAt
	}
	return w.StoppingAt.Add(h.work)
}

// run lets a fleet go on until nothing moves any more, and notes after each step what is available.
func (f *fleet) run(h habit) {
	killed := map[string]bool{}
	began := f.Now
	for range 1000 {
		r := f.step()
		if len(r.Actions)+len(r.Outcomes) > 0 {
			f.note("  %d of %d available, %d in all", f.available(), f.Pool.Desired(), len(f.Workers))
		}
		for _, a := range r.Actions {
			killed[a.WorkerID] = killed[a.WorkerID] || a.Kind == planner.Kill
		}
		next, moved := f.live(h, killed)
		if moved || len(r.Outcomes) > 0 {
			continue
		}
		if at := planner.Plan(f.World).Next; !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
		if next.IsZero() {
			return
		}
		if h.until > 0 && next.Sub(began) > h.until {
			f.Now = began.Add(h.until)
			return
		}
		f.Now = next
	}
	panic("the fleet never comes to rest:\n" + f.log.String())
}

// live lets workers get ready and end, in no order and not always all of them before the next plan. It returns
// when the next one will end by itself.
func (f *fleet) live(h habit, killed map[string]bool) (next time.Time, moved bool) {
	workers := slices.Clone(f.Workers)
	f.dice.Shuffle(len(workers), func(i, j int) { workers[i], workers[j] = workers[j], workers[i] })
	for _, w := range workers {
		if moved && f.dice.IntN(3) == 0 {
			break // the others move after the next plan, at the same moment
		}
		ends := h.endsAt(w, killed)
		switch {
		case w.State == pool.WorkerStarting && !h.unready:
			f.ready(w.ID)
			moved = true
		case w.State == pool.WorkerReady && w.Health == pool.HealthUnknown:
			f.recover(w.ID)
			moved = true
		case w.State != pool.WorkerStopping || ends.IsZero():
		case !f.Now.Before(ends):
			f.end(w.ID)
			moved = true
		case next.IsZero() || ends.Before(next):
			next = ends
		}
	}
	return next, moved
}
