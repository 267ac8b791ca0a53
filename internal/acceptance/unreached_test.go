//go:build linux

package acceptance

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// TestAHotChangeBesideARolloutIsAnnouncedAsWhatItDoes plans it while workers, which take their time to end, are
// still to be replaced by what was asked for before.
func TestAHotChangeBesideARolloutIsAnnouncedAsWhatItDoes(t *testing.T) {
	for name, row := range map[string]struct {
		rolls   func(p parts) []change // what was asked for before
		begin   func(w *workspace)
		warning string
	}{
		"an interrupted apply": {func(parts) []change { return []change{set("worker.env", object{"GREETING": "good day"})} }, func(w *workspace) {
			updating := w.beginApply()
			w.awaitRunning(pool.OperationUpdate)
			updating.interrupt()
			updating.wait()
		}, "the last change is still under way"},
		"a restart that nobody waits for": {func(parts) []change { return nil }, func(w *workspace) {
			w.cli("", "pool", "restart", "web", "--no-wait").succeeded()
		}, "the last change is still under way"},
		"a rollout that failed": {func(p parts) []change {
			return []change{p.args("-exit-after", "1ms", "-exit-code", "7"), set("update.progress_deadline", "2s")}
		}, func(w *workspace) {
			w.apply().failed()
		}, "the last change failed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			stubborn := []change{w.args("-ignore-term"), set("drain.grace", "30s")}
			w.reaches(w.web(stubborn...))
			under := slices.Concat(stubborn, row.rolls(w.parts))
			w.declare(w.web(under...))
			row.begin(w)

			w.declare(w.web(append(under, set("description", "new"))...))
			plan := w.planJSON()
			require.Equal(t, []string{"update"}, plan.Actions)
			require.Equal(t, "rolling", plan.After["last_change"])
			w.plan().ended(planChanges).says(row.warning)
		})
	}
}

func TestAPoolThatIsBeingDestroyedIsReplacedByOneApply(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web(set("size", 2), w.args("-ignore-term"), set("drain.grace", "12s")))
	uid := w.shown("id")
	w.cli("", "pool", "delete", "web", "--no-wait").succeeded()

	plan := w.planJSON()
	require.Equal(t, []string{"delete", "create"}, plan.Actions)
	require.Equal(t, [][]any{{"id"}}, plan.ReplacePaths)
	w.apply().succeeded().says(`Pool "web" is being destroyed`, "creates the pool anew", "1 added, 0 changed, 1 destroyed")
	require.NotEqual(t, uid, w.shown("id"))
	require.Len(t, w.settled("web"), 2)
	w.plan().ended(planEmpty)
}

func TestACreationThatADestroyTookOverFailsItsApply(t *testing.T) {
	w := newWorld(t)
	w.declare(w.slowly("hello"))
	creating := w.beginApply()
	created := w.awaitRunning(pool.OperationCreate)
	w.cli("", "pool", "delete", "web").succeeded()
	creating.wait().failed().says(`Pool "web"`, "(delete) of", "took over while the pool was being created", "a destroy cannot be undone")

	w.apply().succeeded()
	require.NotEqual(t, created.UID, w.shown("id"))
	require.Len(t, w.settled("web"), 3)
	w.plan().ended(planEmpty)
}
