//go:build linux

package acceptance

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// slowly declares workers that take long enough to start to be interrupted meanwhile.
func (p parts) slowly(greeting string) object {
	return p.web(p.args("-start-delay", "3s"), set("worker.env", object{"GREETING": greeting}))
}

// awaitRunning returns once the pool's operation of the kind is under way.
func (k *keeper) awaitRunning(kind pool.OperationKind) (view pool.View) {
	k.t.Helper()
	await(k.t, "a running "+string(kind), func() bool {
		var found bool
		view, found = k.poolIf("web")
		o := view.Status.Operation
		return found && o.Kind == kind && o.Phase == pool.OperationRunning && view.Status.Current > 0
	})
	return view
}

// interruptions are the ways in which a person loses patience.
var interruptions = map[string]func(*started){
	"Ctrl-C": func(s *started) { s.interrupt() },
	"Ctrl-C twice": func(s *started) {
		s.interrupt()
		await(s.w.t, "the answer to the first Ctrl-C", func() bool {
			return strings.Contains(s.said(), "Interrupt received") || !s.underway()
		})
		if s.underway() {
			s.interrupt()
		}
	},
}

func TestAnInterruptedCreationIsTakenUpByTheNextApply(t *testing.T) {
	for name, interrupt := range interruptions {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.declare(w.slowly("hello"))
			creating := w.beginApply()
			created := w.awaitRunning(pool.OperationCreate)
			interrupt(creating)
			creating.wait()

			w.apply().succeeded()
			w.isTheOnlyPool(created.UID)
			require.Len(t, w.settled("web"), 3)
			w.plan().ended(planEmpty)
		})
	}
}

func TestAnInterruptedUpdateIsTakenUpByTheNextApply(t *testing.T) {
	for name, interrupt := range interruptions {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.reaches(w.web())
			created, before := w.pool("web"), w.settled("web")
			w.declare(w.slowly("good day"))
			updating := w.beginApply()
			updated := w.awaitRunning(pool.OperationUpdate)
			interrupt(updating)
			updating.wait()

			w.takeUp()
			w.isTheOnlyPool(created.UID)
			require.Equal(t, updated.Generation, w.pool("web").Generation, "the apply joined the change instead of making another")
			apart(t, before, w.settled("web"))
			w.plan().ended(planEmpty)
		})
	}
}

func TestACreationWhoseTerraformWasKilledIsTakenUpByTheNextApply(t *testing.T) {
	w := newWorld(t)
	w.declare(w.slowly("hello"))
	creating := w.beginApply()
	created := w.awaitRunning(pool.OperationCreate)
	creating.kill()
	creating.wait()
	_, kept := w.state()
	require.False(t, kept, "Terraform had no time to write its state")
	await(t, "the end of the provider that lost its Terraform", func() bool { return len(w.providers()) == 0 })

	w.apply().succeeded()
	w.isTheOnlyPool(created.UID)
	require.Equal(t, created.Generation, w.pool("web").Generation)
	require.Len(t, w.settled("web"), 3)
	w.plan().ended(planEmpty)
}

// takeUp applies again. A Terraform that is told to stop twice may end while it writes its state, which then is
// empty; the error says what to do.
func (w *workspace) takeUp() {
	w.t.Helper()
	_, kept := w.state()
	applied := w.apply()
	if !kept && applied.code != 0 {
		applied.says("terraform import")
		w.tf("import", "-input=false", address, "web").succeeded()
		applied = w.apply()
	}
	applied.succeeded()
}

// endSeeds is how many stories of ended Terraforms are told.
var endSeeds = flag.Uint64("end-seeds", 3, "how many seeds of a Terraform that is ended at any moment are run")

// TestATerraformThatIsEndedAtAnyMomentIsTakenUp ends it while it plans, creates, rolls or destroys a pool, in ways and at
// moments that each seed chooses.
func TestATerraformThatIsEndedAtAnyMomentIsTakenUp(t *testing.T) {
	ends := []func(*started){interruptions["Ctrl-C"], interruptions["Ctrl-C twice"], (*started).terminate, (*started).kill}
	for seed := range *endSeeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			moments := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t)
			uid := ""
			endAtAnyMoment := func(terraform *started) {
				pass(t, time.Duration(moments.IntN(3000))*time.Millisecond)
				if end := ends[moments.IntN(len(ends))]; terraform.underway() {
					end(terraform)
				}
				terraform.wait()
			}
			for _, greeting := range []string{"hello", "good day"} {
				w.declare(w.web(w.args("-start-delay", "500ms"), set("worker.env", object{"GREETING": greeting})))
				endAtAnyMoment(w.beginApply())
				if view, found := w.poolIf("web"); found && uid == "" {
					uid = view.UID
				}

				w.takeUp()
				if uid == "" {
					uid = w.pool("web").UID
				}
				w.isTheOnlyPool(uid)
				require.Equal(t, w.greeting(greeting), w.settled("web"))
				require.Len(t, w.settled("web"), 3)
			}
			w.plan().ended(planEmpty)

			endAtAnyMoment(w.beginDestroy())
			view, found := w.poolIf("web")
			if _, kept := w.state(); found && !kept { // it was told to stop twice, and has written no state
				require.Equal(t, pool.PhaseLive, view.Phase, "a pool that is being destroyed is in the state")
				w.tf("import", "-input=false", address, "web").succeeded()
			}
			w.destroy().succeeded()
			require.Empty(t, w.pools())
			require.Empty(t, w.running("web"))
		})
	}
}

// isTheOnlyPool requires that Terraform and the manager have one pool and the same, and that it is not tainted.
func (w *workspace) isTheOnlyPool(uid string) {
	w.t.Helper()
	require.Len(w.t, w.pools(), 1)
	require.Equal(w.t, uid, w.pools()[0].UID)
	kept, ok := w.state()
	require.True(w.t, ok)
	require.Empty(w.t, kept.Status)
	require.Equal(w.t, uid, kept.Attributes["id"])
}

// providers are the provider's processes of this stage.
func (s *stage) providers() (found []process) {
	s.t.Helper()
	all, err := processesOf(s.dir)
	require.NoError(s.t, err)
	for _, p := range all {
		if p.variable("TF_PLUGIN_MAGIC_COOKIE") != "" && strings.Contains(p.program, "terraform-provider-poolkeeper") {
			found = append(found, p)
		}
	}
	return found
}
