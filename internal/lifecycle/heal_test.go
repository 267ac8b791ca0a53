package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

func TestACrashedWorkerIsReplacedAtOnceAndAgainWithGrowingWaits(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		created := s.created(spec(2))
		keeps := s.living("web")[1].ID
		victim := s.living("web")[0].ID
		for attempt, wait := range []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute} {
			crashed := time.Now()
			s.world.crash(victim)
			synctest.Wait()
			if wait > 0 {
				require.Equal(t, []string{keeps}, s.world.running())
				v := s.view("web")
				require.Equal(t, pool.Degraded, v.Status.Health)
				require.Equal(t, 1, v.Status.Missing)
				require.Equal(t, []string{"1 of 2 workers are available"}, v.Status.HealthReasons)
				require.Equal(t, pool.StateActive, v.Status.State)
			}
			s.pass(wait)
			require.Len(t, s.world.running(), 2, "attempt %d", attempt)
			w := s.worker(victim)
			require.Equal(t, pool.WorkerFailed, w.State)
			require.Equal(t, "exited with code 3", w.Reason)
			require.Equal(t, &pool.Exit{Code: 3}, w.Exit)
			require.True(t, w.EndedAt.Equal(crashed))
			require.Equal(t, attempt, w.Attempt)
			next := s.living("web")[1]
			require.Equal(t, victim, next.Replaces)
			require.True(t, next.CreatedAt.Equal(crashed.Add(wait)))
			victim = next.ID
		}
		s.pass(11 * time.Minute)
		s.world.crash(victim)
		synctest.Wait()
		require.Len(t, s.world.running(), 2, "one that lived for ten minutes is replaced at once")
		require.Contains(t, s.told(created.Pool.UID), pool.EventWorkerFailed)
	})
}

func TestHalfOfTheFleetDyingAtOnceIsReplacedAtOnce(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(10))
		before := s.world.running()
		for _, id := range before[:5] {
			s.world.crash(id)
		}
		synctest.Wait()
		require.Len(t, s.world.running(), 10)
		require.Subset(t, s.world.running(), before[5:])
		s.pass(time.Second)
		require.Equal(t, pool.Healthy, s.view("web").Status.Health)
	})
}

func TestWhatACrashedWorkerLeftRunningIsEnded(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{leftovers: 2} }
		failures := 2
		s.world.trouble = func(call, _ string) error {
			if call == "sweep" && failures > 0 {
				failures--
				return errors.New("the process table cannot be read")
			}
			return nil
		}
		s.created(spec(1))
		victim := s.living("web")[0].ID
		s.world.crash(victim)
		s.pass(10 * time.Second)
		require.Empty(t, s.world.leftRunning())
	})
}

func TestAWorkerThatEndsBeforeItsLaunchReturnsIsKnownByItsInstance(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		var swept []pool.Instance
		s.world.trouble = func(string, string) error { return nil }
		first := true
		s.world.habits = func(l runtime.Launch) habit {
			if first {
				first = false
				s.world.stillborn = l.WorkerID
			}
			return habit{leftovers: 1}
		}
		s.world.sweeping = func(_ string, i pool.Instance) { swept = append(swept, i) }
		s.created(spec(1))
		require.Len(t, s.world.starts(), 2)
		w := s.worker(s.world.starts()[0])
		require.Equal(t, pool.WorkerFailed, w.State)
		require.NotZero(t, w.Instance.PID, "its row tells the process that it was")
		require.NotEmpty(t, swept)
		require.Equal(t, w.Instance.PID, swept[0].PID)
		require.Empty(t, s.world.leftRunning())
	})
}

func TestAnUnhealthyWorkerIsReplacedReplacementFirst(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{warmUp: 2 * time.Second} }
		created := s.created(spec(3, probed))
		s.journal.watch(withinBudgetAndOne(created.Pool.UID))
		sick := s.living("web")[1].ID
		s.world.sicken(sick, "status 500")
		s.pass(5 * time.Second) // three failed probes, a second apart
		w := s.worker(sick)
		require.Equal(t, pool.Unhealthy, w.Health)
		require.Equal(t, "status 500", w.HealthReason)
		s.pass(20 * time.Second)

		w = s.worker(sick)
		require.Equal(t, pool.WorkerStopped, w.State)
		require.Equal(t, pool.DrainReplace, w.DrainCause)
		living := s.living("web")
		require.Len(t, living, 3)
		successor := living[slices.IndexFunc(living, func(w pool.Worker) bool { return w.Replaces == sick })]
		require.True(t, successor.ReadyAt.Before(w.DrainingAt) || successor.ReadyAt.Equal(w.DrainingAt), "the replacement came first")
		require.Contains(t, s.told(created.Pool.UID), pool.EventWorkerUnhealthy)
		require.Equal(t, pool.Healthy, s.view("web").Status.Health)
	})
}

func TestAWorkerThatRecoversBeforeItIsReplacedIsHealthyAgain(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		created := s.created(spec(2, probed, func(sp *pool.Spec) { sp.Remediation.Enabled = false }))
		sick := s.living("web")[0].ID
		s.world.sicken(sick, "status 500")
		s.pass(10 * time.Second)
		v := s.view("web")
		require.Equal(t, []any{pool.Degraded, 1, 1}, []any{v.Status.Health, v.Status.Unhealthy, v.Status.Available})
		require.Equal(t, []string{"worker " + sick + " is unhealthy: status 500", "1 of 2 workers are available"}, v.Status.HealthReasons)
		require.Len(t, s.world.starts(), 2, "remediation is off")
		s.world.sicken(sick, "")
		s.pass(10 * time.Second)
		require.Equal(t, pool.Healthy, s.view("web").Status.Health)
		require.Equal(t, pool.EventWorkerHealthy, s.told(created.Pool.UID)[len(s.told(created.Pool.UID))-1])
		require.Empty(t, s.worker(sick).HealthReason)
	})
}

func TestTheBreakerReplacesOneAtATimeWhenManyAreSick(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		created := s.created(spec(4, probed)) // of which 40 % is one
		s.world.habits = func(runtime.Launch) habit { return habit{warmUp: 3 * time.Second} }
		s.journal.watch(withinBudgetAndOne(created.Pool.UID))
		for _, id := range s.world.running() {
			s.world.sicken(id, "the database is away")
		}
		s.pass(4 * time.Second) // all are found sick, and the replacement is not warm yet
		require.Equal(t, pool.Unhealthy, s.view("web").Status.Health)
		require.Len(t, s.world.starts(), 5, "one replacement")
		for _, id := range s.world.running() {
			s.world.sicken(id, "")
		}
		s.pass(time.Minute)
		require.Len(t, s.world.running(), 4)
		require.LessOrEqual(t, len(s.world.starts()), 6, "the others recovered with their cause")
		require.Equal(t, pool.Healthy, s.view("web").Status.Health)
	})
}

func TestWithoutAProbeAnyMoreAWorkerIsAsHealthyAsItLives(t *testing.T) {
	unprobed := func(sp *pool.Spec) { probed(sp); sp.Health.HTTP = nil }
	play(t, func(t *testing.T, s *stage) {
		s.world.habits = func(runtime.Launch) habit { return habit{warmUp: time.Hour} }
		creation := s.create(spec(2, probed))
		s.pass(time.Minute)
		before := s.world.running()
		require.Equal(t, pool.OperationRunning, s.operation(creation).Phase)

		s.succeeds(s.change(spec(2, unprobed)))
		s.succeeds(creation)
		require.Equal(t, before, s.world.running())
		require.Equal(t, pool.StateActive, s.view("web").Status.State)
	})
	t.Run("also one that failed it", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			off := func(sp *pool.Spec) { sp.Remediation.Enabled = false }
			s.created(spec(1, probed, off))
			s.world.sicken(s.living("web")[0].ID, "status 500")
			s.pass(10 * time.Second)
			require.Equal(t, pool.Unhealthy, s.view("web").Status.Health)
			s.succeeds(s.change(spec(1, unprobed, off)))
			s.pass(time.Second)
			require.Equal(t, pool.Healthy, s.view("web").Status.Health)
		})
	})
}

// A revision that changes both the template and the check must not judge old workers by a check that is
// made for the new ones: they would all be unavailable at once.
func TestOldWorkersKeepTheirCheckDuringARollingChangeOfIt(t *testing.T) {
	portNamed := func(name, path string) func(*pool.Spec) {
		return func(sp *pool.Spec) {
			probed(sp)
			update(1, 0)(sp)
			sp.Worker.Ports[0].Name = name
			sp.Health.HTTP.Port, sp.Health.HTTP.Path = name, path
		}
	}
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("manager restarted %t", restarted), func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.world.probing = func(target health.Target) error {
					for port := range target.Instance.Ports {
						if port != target.Check.HTTP.Port || "/"+port != target.Check.HTTP.Path {
							return fmt.Errorf("port %s is asked for %s%s", port, target.Check.HTTP.Port, target.Check.HTTP.Path)
						}
					}
					return nil
				}
				created := s.created(spec(3, portNamed("old", "/old")))
				s.succeeds(s.change(spec(3, portNamed("old", "/old"), graced(7*time.Second))))
				s.journal.watch(withinBudget(created.Pool.UID, time.Now()))
				s.world.habits = func(runtime.Launch) habit { return habit{warmUp: 10 * time.Second} }

				rollout := s.change(spec(3, portNamed("new", "/new"), graced(7*time.Second)))
				if restarted {
					s.pass(15 * time.Second)
					s.close()
					s.open()
				}
				s.succeeds(rollout)
				require.NotContains(t, s.told(created.Pool.UID), pool.EventWorkerUnhealthy)
			})
		})
	}
}

func TestALaunchThatFailsIsTriedAgainUntilItWorks(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		failures := 3
		s.world.launching = func(context.Context, runtime.Launch) error {
			s.world.mu.Lock()
			defer s.world.mu.Unlock()
			if failures--; failures >= 0 {
				return errors.New("no more processes")
			}
			return nil
		}
		began := time.Now()
		done := s.create(spec(1))
		s.succeeds(done)
		require.Equal(t, 4*time.Second, time.Since(began), "at once, after 1 s, after 2 s, and then it has to live for a second")
		ended, err := s.m.Workers(t.Context(), "web")
		require.NoError(t, err)
		require.Len(t, ended, 4)
		require.Equal(t, "no more processes", ended[3].Reason)
	})
}

func TestALaunchWhoseAnswerIsLostLeavesNothingRunning(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		var once sync.Once
		s.runtime.gate = func(call string) (before, after error) {
			if call == "launch" {
				once.Do(func() { after = errTest })
			}
			return nil, after
		}
		s.created(spec(1))
		s.pass(time.Second)
		require.Len(t, s.world.starts(), 2)
		require.Equal(t, ids(s.living("web")), s.world.running())
	})
}

// A check that was wrong has found healthy workers unhealthy: nobody is replaced for it once it is mended.
func TestAMendedCheckReplacesNobody(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		wrong := func(sp *pool.Spec) { sp.Health.Interval, sp.Remediation.Enabled = pool.Duration(time.Second), false }
		right := func(sp *pool.Spec) { sp.Health.Interval = pool.Duration(10 * time.Minute) }
		s.created(spec(4, probed, wrong))
		before := s.world.running()
		for _, id := range before {
			s.world.sicken(id, "GET /nope answered 404")
		}
		s.pass(time.Minute)
		require.Equal(t, 4, s.view("web").Status.Unhealthy)
		for _, id := range before {
			s.world.sicken(id, "")
		}
		s.succeeds(s.change(spec(4, probed, right)))
		s.pass(2 * time.Second)
		require.Equal(t, 4, s.view("web").Status.Available, "the new check has spoken at once")
		require.Equal(t, before, s.world.running())
	})
}
