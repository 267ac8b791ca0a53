//go:build linux

package acceptance

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// document is the pool of web, with two workers, as a file of the command line; edits are pairs of old and new.
func (p parts) document(edits ...string) string {
	return strings.NewReplacer(edits...).Replace(fmt.Sprintf(document, p.worker))
}

func TestAChangeBehindTerraformsBackShowsByAttribute(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web(set("size", 2)))
	for _, row := range []struct {
		name    string
		change  func()
		differs []string
		last    string
	}{
		{"a resize", func() { w.cli("", "pool", "resize", "web", "3").succeeded() }, []string{"size"}, "hot"},
		{"another document", func() {
			w.cli(w.document("GREETING: hello", "GREETING: good day", "size: 2", "size: 2\ndescription: mine", "grace: 5s", "grace: 6s"), "pool", "apply", "-f", "-").succeeded()
		}, []string{"description", "drain.grace", "worker.env"}, "rolling"},
		{"a removed attribute", func() {
			w.cli(w.document("update: {max_surge: 100%}", "", ", interval: 200ms", ""), "pool", "apply", "-f", "-").succeeded()
		}, []string{"health.interval", "update.max_surge"}, "hot"},
	} {
		row.change()
		w.plan().ended(planChanges)
		plan := w.planJSON()
		require.Equal(t, []string{"update"}, plan.Actions, row.name)
		require.Subset(t, append(row.differs, "last_change"), plan.differs(), row.name)
		require.Subset(t, plan.differs(), row.differs, row.name)
		require.Equal(t, row.last, plan.After["last_change"], row.name)
		w.tf("apply", "-input=false", "plan").succeeded()
		w.plan().ended(planEmpty)
	}
	w.settled("web")

	w.cli("", "pool", "restart", "web").succeeded()
	w.plan().ended(planEmpty) // a restart leaves the spec as it is
}

func TestAPoolThatIsGoneIsMadeAnew(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web())
	uid := w.shown("id")
	w.cli("", "pool", "delete", "web").succeeded()
	require.Equal(t, []string{"create"}, w.planJSON().Actions)
	w.tf("apply", "-input=false", "plan").succeeded()
	require.NotEqual(t, uid, w.shown("id"))
	require.Len(t, w.settled("web"), 3)

	// By now its embedded manager could have ended as well: what it has written answers.
	w.cli("", "pool", "delete", "web").succeeded()
	w.stop()
	require.Equal(t, []string{"create"}, w.planJSON().Actions)
}

func TestSomebodyElsesPoolOfTheNameIsRefusedWithTheImportCommand(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web(set("size", 2)))
	w.cli("", "pool", "delete", "web").succeeded()
	w.cli(w.document(), "pool", "apply", "-f", "-").succeeded()
	theirs, crew := w.pool("web"), w.settled("web")

	require.Equal(t, []string{"create"}, w.planJSON().Actions)
	w.apply().failed().says(`There is a pool "web" already`, "terraform import <address of this resource> web")
	require.Equal(t, theirs.Generation, w.pool("web").Generation)
	require.Equal(t, crew, w.settled("web"))

	w.tf("import", "-input=false", address, "web").succeeded()
	w.plan().ended(planEmpty)
	require.Equal(t, theirs.UID, w.shown("id"))
}

// TestMissingWorkersAreAWarningAndNoDifference kills a worker again and again, until the pauses between its
// restarts are long enough to be seen.
func TestMissingWorkersAreAWarningAndNoDifference(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web(set("size", 2), set("worker.ports", nil), without("health")))
	await(t, "a plan that warns", func() bool {
		for id, pid := range w.running("web") {
			if w.crew("web")[id] == pid { // else it is too new to be known
				require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
				break
			}
		}
		planned := w.plan().ended(planEmpty)
		return strings.Contains(planned.text(), `Pool "web" is not complete`)
	})
	await(t, "the healed pool", func() bool { return len(w.running("web")) == 2 })
}
