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
