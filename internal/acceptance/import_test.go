//go:build linux

package acceptance

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// document is the pool of web as a file of the command line.
const document = `
name: web
size: 2
worker:
  command: [%s]
  env: {GREETING: hello}
  ports: [{name: http}]
health: {http: {path: /healthz}, interval: 200ms}
update: {max_surge: 100%%}
drain: {timeout: 5s, deregister_delay: 100ms, grace: 5s}
`

func TestAnImportedPoolPlansEmpty(t *testing.T) {
	w := newWorld(t)
	w.cli(w.document(), "pool", "apply", "-f", "-").succeeded()
	before, crew := w.pool("web"), w.settled("web")

	w.declare(w.web(set("size", 2)))
	w.tf("import", "-input=false", address, "web").succeeded()
	w.plan().ended(planEmpty)
	require.Equal(t, before.UID, w.shown("id"))

	// Timeouts are Terraform's own: they show, and applying them asks the manager for nothing.
	w.declare(w.web(set("size", 2), set("timeouts", object{"create": "10m", "delete": "20m"})))
	plan := w.planJSON()
	require.Equal(t, []string{"update"}, plan.Actions)
	require.Equal(t, []string{"timeouts"}, plan.differs())
	require.Empty(t, plan.unknown())
	w.tf("apply", "-input=false", "plan").succeeded()
	w.plan().ended(planEmpty)
	after := w.pool("web")
	require.Equal(t, before.Generation, after.Generation)
	require.Equal(t, before.Revision, after.Revision)
	require.Equal(t, before.OperationID, after.OperationID)
	require.Equal(t, crew, w.settled("web"))
	w.destroy().succeeded()
	require.Empty(t, w.running("web"))
}

func TestAnImportWithTimeoutsInTheConfigurationShowsOnlyThose(t *testing.T) {
	w := newWorld(t)
	w.cli(w.document(), "pool", "apply", "-f", "-").succeeded()
	before := w.pool("web")
	w.declare(w.web(set("size", 2), set("timeouts", object{"update": "10m"})))
	w.tf("import", "-input=false", address, "web").succeeded()
	require.Equal(t, []string{"timeouts"}, w.planJSON().differs())
	w.tf("apply", "-input=false", "plan").succeeded()
	w.plan().ended(planEmpty)
	require.Equal(t, before.Generation, w.pool("web").Generation)
}

func TestAnImportOfWhatIsNotThereSaysSo(t *testing.T) {
	w := newWorld(t)
	w.declare(w.web())
	w.tf("import", "-input=false", address, "web").failed().says("no pool was ever created there")
	require.Zero(t, w.pid(), "looking starts no manager")
	w.cli(w.document(), "pool", "apply", "-f", "-").succeeded()
	w.tf("import", "-input=false", address, "other").failed().says(`Pool "other" cannot be imported`)
	w.tf("import", "-input=false", address, "No_Name").failed().says("a DNS label")
	_, kept := w.state()
	require.False(t, kept)
}
