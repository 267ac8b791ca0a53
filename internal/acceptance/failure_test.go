//go:build linux

package acceptance

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFailedCreationSaysWhyAndAMendedOneSucceeds(t *testing.T) {
	for name, row := range map[string]struct {
		args []any
		says []string
	}{
		"never ready":     {[]any{"-print", "warming the cache", "-never-ready"}, []string{"no progress for 2s: 0 of 2 workers are available", "warming the cache", "503"}},
		"exits by itself": {[]any{"-print", "no database", "-exit-after", "1ms", "-exit-code", "7"}, []string{"no progress for 2s", "no database", "7"}},
		"listens nowhere": {[]any{"-print", "thinking", "-start-delay", "1h"}, []string{"no progress for 2s", "thinking", "connection refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			limited := []change{set("size", 2), set("update.progress_deadline", "2s")}
			w.declare(w.web(append(limited, w.args(row.args...))...))
			w.apply().failed().says(append(row.says, `Pool "web" could not be created`)...)
			require.Equal(t, "error", w.shown("state"))

			w.reaches(w.web(limited...))
			require.Len(t, w.settled("web"), 2)
			w.plan().ended(planEmpty)
			w.destroy().succeeded()
		})
	}
}

func TestAFailedUpdateSaysWhyKeepsThePromiseAndAMendedOneSucceeds(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web())
	uid, before := w.shown("id"), w.settled("web")
	failing := []change{set("update", object{"max_surge": "1", "progress_deadline": "2s"}), w.args("-never-ready", "-print", "warming the cache")}
	w.declare(w.web(failing...))
	w.apply().failed().says(`Pool "web" could not be updated`, "no progress for 2s", "warming the cache")
	require.Subset(t, keys(w.running("web")), keys(before), "no old worker was given up for one that is not ready")
	kept, _ := w.state()
	require.Empty(t, kept.Status, "a failed update taints nothing")

	w.plan().ended(planChanges).says("the last change failed")
	w.reaches(w.web(set("worker.env", object{"GREETING": "mended"})))
	require.Equal(t, uid, w.shown("id"))
	require.Len(t, w.settled("web"), 3)
	w.plan().ended(planEmpty)
}

func TestARolloutThatWasTakenBackShowsAsWhatIsStillDeclared(t *testing.T) {
	for name, row := range map[string]struct {
		onFailure string
		end       func(*workspace) // has it taken back
		apply     string           // what an apply of it says
		plan      []string         // what a plan says afterwards
	}{
		"by the manager": {"rollback", func(*workspace) {}, "returned to its last good revision", []string{"the last change failed and was taken back", "no progress for 2s"}},
		"by a person": {"pause", func(w *workspace) {
			w.plan().ended(planChanges).says("the last change waits")
			w.cli("", "rollout", "abort", "web", "--reason", "not today").succeeded()
			await(w.t, "its end", func() bool { return w.pool("web").Status.Operation.Phase.Ended() })
		}, "It waits where it is", []string{"the last change was ended by a person and taken back", "not today"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			bounds := set("update", object{"max_surge": "1", "progress_deadline": "2s", "on_failure": row.onFailure})
			good, bad := w.web(set("size", 1), bounds), w.web(set("size", 1), bounds, w.args("-never-ready"), set("description", "stays"))
			w.reaches(good)
			before := w.settled("web")
			for range 2 { // the second time, what was taken back is tried again
				generation := w.pool("web").Generation
				w.declare(bad)
				w.apply().failed().says(row.apply)
				row.end(w)
				require.Equal(t, generation+2, w.pool("web").Generation, "asked for, and taken back")
				require.Equal(t, before, w.settled("web"))
				require.Equal(t, "stays", w.pool("web").Spec.Description)

				w.plan().ended(planChanges).says(append(row.plan, "An apply tries anew")...)
				plan := w.planJSON()
				require.Equal(t, []string{"worker.command"}, plan.differs())
				require.Equal(t, "rolling", plan.After["last_change"])
			}
			w.plan("-refresh=false").ended(planChanges)

			w.declare(w.web(set("size", 1), bounds, set("description", "stays"))) // what the pool has returned to
			w.plan().ended(planEmpty).says(append(row.plan, "as it is declared now")...)
			w.reaches(good)
			require.NotContains(t, w.plan().ended(planEmpty).text(), "taken back")
			require.Equal(t, before, w.settled("web"))
		})
	}
}

func TestACommandThatDoesNotExistFailsAtOnceAndLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.declare(w.web(set("worker.command", list{"/nonexistent/program", "-v"})))
	w.apply().failed().says("worker.command[0]", `"/nonexistent/program"`)
	require.Empty(t, w.pools())
	_, kept := w.state()
	require.False(t, kept)

	w.reaches(w.web())
	uid, before := w.shown("id"), w.settled("web")
	w.declare(w.web(set("worker.command", list{w.at("gone")})))
	w.apply().failed().says("worker.command[0]", w.at("gone"))
	require.Equal(t, before, w.settled("web"))
	require.Equal(t, uid, w.shown("id"))
	w.declare(w.web())
	w.plan().ended(planEmpty)
}
