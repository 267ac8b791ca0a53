//go:build linux

package acceptance

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAWorldThatIsNotTheStatesIsAnErrorAndNotEmpty(t *testing.T) {
	for name, row := range map[string]struct {
		move func(*workspace) // to where the state does not come from
		says []string
	}{
		"an empty data directory": {func(w *workspace) {
			w.more = []string{w.keeper.stage.keeper("empty").variable()}
		}, []string{"no pool was ever created there"}},
		"another manager's data directory": {func(w *workspace) {
			other := w.keeper.stage.keeper("other")
			other.cli(w.document(), "pool", "apply", "-f", "-").succeeded()
			w.more = []string{other.variable()}
		}, []string{`Pool "web" is another manager's`}},
		"an endpoint at which nobody answers": {func(w *workspace) {
			w.more = []string{"POOLKEEPER_ENDPOINT=unix://" + w.at("nobody.sock")}
		}, []string{"nobody.sock"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.reaches(w.web(set("size", 1)))
			before, had := w.crew("web"), w.manager().ID
			here := w.more
			row.move(w)
			w.plan().ended(planFailed).says(append(row.says, had)...)
			w.tf("destroy", "-auto-approve", "-refresh=false").failed().says(had)
			_, kept := w.state()
			require.True(t, kept)
			require.NoDirExists(t, w.at("empty"), "looking makes nothing")

			w.more = here
			w.plan().ended(planEmpty)
			require.Equal(t, before, w.crew("web"))
		})
	}
}
