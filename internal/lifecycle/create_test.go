package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

func TestAPrewarmedPoolIsCreatedWhenAllItsWorkersAreAvailable(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		launch := make(chan struct{})
		s.world.launching = func(ctx context.Context, _ runtime.Launch) error {
			select {
			case <-launch:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		var once sync.Once
		s.journal.watch(func(store.Reader) error { once.Do(func() { s.journal.fail(store.ErrUnwritable) }); return nil })
		s.world.habits = func(runtime.Launch) habit { return habit{warmUp: 3 * time.Second} }

		done := s.create(spec(3, probed))
		require.True(t, done.Changed)
		require.Equal(t, pool.PhaseCreating, done.Pool.Phase)
		synctest.Wait()
		require.Equal(t, pool.StateCreating, s.shown(done), "no worker is journaled yet")

		s.journal.fail(nil)
		s.pass(time.Second)
		require.Equal(t, pool.StateInitializing, s.view("web").Status.State, "workers are journaled, none runs")
		require.Equal(t, pool.WorkerPending, s.living("web")[0].State)

		close(launch)
		synctest.Wait()
		v := s.view("web")
		require.Equal(t, pool.StateInitializing, v.Status.State, "workers run, none has passed its probe")
		require.Equal(t, pool.WorkerStarting, s.living("web")[0].State)
		require.Equal(t, pool.OperationRunning, v.Status.Operation.Phase)
		require.Zero(t, v.ConvergedGeneration)

		o := s.succeeds(done)
		require.Equal(t, pool.OperationCreate, o.Kind)
		v = s.view("web")
		require.Equal(t, pool.StateActive, v.Status.State)
		require.Equal(t, pool.Healthy, v.Status.Health)
		require.Equal(t, pool.PhaseLive, v.Phase)
		require.Equal(t, []int{3, 3, 3, 3}, []int{v.Status.Desired, v.Status.Current, v.Status.Ready, v.Status.Available})
		require.Equal(t, []int64{1, 1, 1}, []int64{v.Revision, v.Generation, v.ConvergedGeneration})
		require.Equal(t, []pool.EventType{
			pool.EventPoolCreated, pool.EventWorkerLaunching, pool.EventWorkerStarted, pool.EventWorkerReady,
			pool.EventPoolInitialized, pool.EventOperationEnded,
		}, s.told(done.Pool.UID))
		created := s.events(done.Pool.UID)[0]
		require.Equal(t, author, created.Author)
		require.Equal(t, o.ID, created.OperationID)
	})
}

// shown is the state that the answer to a change shows.
func (s *stage) shown(done lifecycle.Accepted) pool.State {
	v, err := s.m.Show(s.t.Context(), done)
	require.NoError(s.t, err)
	return v.Status.State
}

func TestAnEmptyPoolIsCreatedAtOnce(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		done := s.created(spec(0, func(sp *pool.Spec) { sp.Initialization = pool.Empty }))
		v := s.view("web")
		require.Equal(t, pool.StateActive, v.Status.State)
		require.Equal(t, pool.Healthy, v.Status.Health)
		require.Empty(t, s.world.running())
		require.Equal(t, []pool.EventType{pool.EventPoolCreated, pool.EventPoolInitialized, pool.EventOperationEnded}, s.told(done.Pool.UID))

		s.succeeds(s.change(spec(2, func(sp *pool.Spec) { sp.Initialization = pool.Empty })))
		require.Len(t, s.world.running(), 2, "it can grow later")
	})
}

func TestAWorkerKnowsItsPoolAndTheRevisionItWasMadeFrom(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		done := s.created(spec(1, probed))
		w := s.living("web")[0]
		require.Equal(t, done.Pool.UID, w.PoolUID)
		require.Equal(t, int64(1), w.Revision)
		require.Equal(t, done.Pool.Target(), w.TemplateHash)
		require.Equal(t, "boot", w.Instance.BootID)
		require.Contains(t, w.Instance.Ports, "http")
		require.Equal(t, pool.Healthy, w.Health)
		text, err := s.m.Logs(t.Context(), "web", w.ID, 1000)
		require.NoError(t, err)
		require.Equal(t, w.ID+" says hello\n", string(text))
	})
}

func TestTheHostOfAPoolIsItsManagersUnlessAnotherIsNamed(t *testing.T) {
	on := func(host string) func(*pool.Spec) {
		return func(s *pool.Spec) { s.Runtime = pool.Runtime{Process: &pool.ProcessRuntime{Host: host}} }
	}
	for _, c := range []struct {
		name   string
		change func(*pool.Spec)
	}{
		{"no runtime", func(*pool.Spec) {}},
		{"no host", on("")},
		{"this host", on(testHost)},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				done := s.created(spec(1, c.change))
				require.Equal(t, testHost, done.Pool.Host)
				for _, again := range []func(*pool.Spec){func(*pool.Spec) {}, on(""), on(testHost)} {
					same := s.change(spec(1, again))
					require.False(t, same.Changed, "the host that it has, by name or left out, is no change")
				}
				_, err := s.m.Put(t.Context(), asChange, spec(1, on("beta")))
				r := refused(t, err, api.ProblemReplace)
				require.Len(t, r.Faults, 1)
				require.Equal(t, "runtime.process.host", r.Faults[0].Path)
				require.Equal(t, `"beta"`, r.Faults[0].Value)
			})
		})
	}
	t.Run("another host", func(t *testing.T) {
		play(t, func(t *testing.T, s *stage) {
			_, err := s.m.Put(t.Context(), asNew, spec(1, on("beta")))
			r := refused(t, err, api.ProblemInvalid)
			require.Equal(t, "runtime.process.host", r.Faults[0].Path)
			require.Error(t, s.m.Validate(t.Context(), spec(1, on("beta"))))
		})
	})
}

// refused is the refusal that an error must be.
func refused(t *testing.T, err error, problem string) lifecycle.Refusal {
	t.Helper()
	var r *lifecycle.Refusal
	require.ErrorAs(t, err, &r)
	require.Equal(t, problem, r.Problem, r.Error())
	require.NotEmpty(t, r.Detail)
	return *r
}

func TestAnInvalidSpecChangesNothing(t *testing.T) {
	unfit := pool.Fault{Path: "worker.command[0]", Reason: "does not exist"}
	for _, c := range []struct {
		name string
		ask  func(s *stage) error
		path string
	}{
		{"creation", func(s *stage) error {
			_, err := s.m.Put(s.t.Context(), asNew, spec(-1, func(sp *pool.Spec) { sp.Name = "new" }))
			return err
		}, "size"},
		{"creation that breaks a rule of creations", func(s *stage) error {
			_, err := s.m.Put(s.t.Context(), asNew, spec(1, func(sp *pool.Spec) { sp.Name, sp.Initialization = "new", pool.Empty }))
			return err
		}, "size"},
		{"creation that the runtime cannot run", func(s *stage) error {
			_, err := s.m.Put(s.t.Context(), asNew, spec(1, command("missing"), func(sp *pool.Spec) { sp.Name = "new" }))
			return err
		}, "worker.command[0]"},
		{"change", func(s *stage) error {
			_, err := s.m.Put(s.t.Context(), asChange, spec(1, update(0, 0)))
			return err
		}, "update.max_unavailable"},
		{"change to what the runtime cannot run", func(s *stage) error {
			_, err := s.m.Put(s.t.Context(), asChange, spec(1, command("missing")))
			return err
		}, "worker.command[0]"},
		{"patch with an unknown field", func(s *stage) error {
			_, err := s.m.Patch(s.t.Context(), asChange, "web", []byte(`{"worker":{"comand":["x"]}}`))
			return err
		}, "worker.comand"},
		{"patch with an invalid value", func(s *stage) error {
			_, err := s.m.Patch(s.t.Context(), asChange, "web", []byte(`{"size":-1}`))
			return err
		}, "size"},
		{"validation", func(s *stage) error {
			return s.m.Validate(s.t.Context(), spec(1, command("missing")))
		}, "worker.command[0]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				s.world.unfit = func(sp pool.Spec) pool.Faults {
					if sp.Worker.Command[0] == "missing" {
						return pool.Faults{unfit}
					}
					return nil
				}
				done := s.created(spec(1))
				before, events := s.view("web"), s.events(done.Pool.UID)
				require.NoError(t, s.journal.complaints())
				s.journal.watch(func(store.Reader) error { return errors.New("something was written") })

				r := refused(t, c.ask(s), api.ProblemInvalid)
				require.Equal(t, c.path, r.Faults[0].Path)
				require.NotEmpty(t, r.Faults[0].Reason)

				s.pass(time.Minute)
				require.Equal(t, before.Pool, s.view("web").Pool)
				require.Equal(t, events, s.events(done.Pool.UID))
				pools, err := s.m.Pools(t.Context(), store.Page{})
				require.NoError(t, err)
				require.Len(t, pools, 1)
			})
		})
	}
}

func TestAHotChangeIsPossibleWhileTheRuntimeCouldNotRunTheTemplateAnyMore(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.created(spec(1))
		s.world.unfit = func(pool.Spec) pool.Faults { return pool.Faults{{Path: "worker.command[0]", Reason: "does not exist"}} }
		s.succeeds(s.change(spec(1, describedAs("its program was removed; its workers run"))))
	})
}

func TestPoolsAreListedByNameAndCounted(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		for _, name := range []string{"b", "a", "c"} {
			s.created(spec(0, func(sp *pool.Spec) { sp.Name = name }))
		}
		s.ends(s.destroy("b"))
		page, err := s.m.Pools(t.Context(), store.Page{Limit: 1})
		require.NoError(t, err)
		require.Equal(t, "a", page[0].Name)
		page, err = s.m.Pools(t.Context(), store.Page{After: "a"})
		require.NoError(t, err)
		require.Equal(t, "c", page[0].Name)
		n, err := s.m.Count(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, n)
	})
}
