//go:build linux

package acceptance

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACreatedPoolIsThereAndADestroyedOneIsNot(t *testing.T) {
	w := newWorld(t)
	seen := "data." + address
	created := w.reaches(w.web(), set("output.standing.value", "${"+address+".state}: ${"+address+".ready_workers} ready"),
		set("data."+resourceType+".web", object{"name": "${" + address + ".name}"}),
		set("output.seen.value", "${"+seen+".id == "+address+".id}, ${"+seen+".size}, ${"+seen+".health_status}"))
	created.says(`standing = "active: 3 ready"`, `seen = "true, 3, healthy"`, "1 added, 0 changed, 0 destroyed")
	require.Equal(t, "create", w.shown("last_change"))
	view := w.pool("web")
	require.Equal(t, view.UID, w.shown("id"))
	require.Equal(t, "terraform apply", w.revisionReason("web"))

	require.Len(t, w.settled("web"), 3)
	workers, err := w.client().Workers(t.Context(), "web")
	require.NoError(t, err)
	for _, worker := range workers {
		require.NoError(t, ask(t.Context(), http.DefaultClient, endpointOf(worker)))
	}

	w.destroy().succeeded().says("1 destroyed")
	require.Empty(t, w.running("web"))
	require.Empty(t, w.pools())
	_, kept := w.state()
	require.False(t, kept)
}

func TestAWorkersEnvironmentIsItsOwnAndNothingElse(t *testing.T) {
	const secret = "T0PSECRET"
	w := newWorld(t)
	w.more = append(w.more, "AWS_SECRET_ACCESS_KEY="+secret, "TF_VAR_password="+secret)
	w.reaches(w.web(set("worker.env", object{"GREETING": "hello", "AT": "port $${PORT}"})))

	all, err := processesOf(w.dir)
	require.NoError(t, err)
	managers, workers := 0, 0
	for _, p := range all {
		require.NotContains(t, strings.Join(p.environ, "\n"), secret, "%s", p)
		if p.pid == w.pid() {
			managers++
			continue
		}
		workers++
		port := p.variable("PORT")
		require.NotEmpty(t, port)
		require.Equal(t, port, p.variable("POOLKEEPER_PORT_HTTP"))
		require.Equal(t, "port "+port, p.variable("AT"))
		require.Equal(t, "hello", p.variable("GREETING"))
		require.Equal(t, "web", p.variable("POOLKEEPER_POOL"))
		require.Contains(t, w.crew("web"), p.variable("POOLKEEPER_WORKER_ID"))
		names := []string{}
		for _, v := range p.environ {
			name, _, _ := strings.Cut(v, "=")
			names = append(names, name)
		}
		require.ElementsMatch(t, []string{
			"AT", "GREETING", "HOME", "PATH", "PORT", "POOLKEEPER_MANAGER", "POOLKEEPER_POOL", "POOLKEEPER_POOL_UID", "POOLKEEPER_PORT_HTTP", "POOLKEEPER_WORKER_ID",
		}, names)
	}
	require.Equal(t, 1, managers)
	require.Equal(t, 3, workers)
}

// fate is what a change does to the workers that were there before it.
type fate string

const (
	allStay   fate = "all stay"
	someStay  fate = "some stay"
	noneStays fate = "none stays"
)

func TestAPoolLivesThroughEveryKindOfChange(t *testing.T) {
	w := newWorld(t)
	changes := []change{}
	w.reaches(w.web())
	for _, step := range []struct {
		name  string
		does  change
		fate  fate
		size  int
		shows string // in last_change
	}{
		{"a hot change", set("description", "HTTP workers"), allStay, 3, "hot"},
		{"hot changes of several attributes", func(o object) {
			set("labels", object{"team": "core"})(o)
			set("logs", object{"max_size": "1MiB", "keep": 2})(o)
			set("update.progress_deadline", "5m")(o)
		}, allStay, 3, "hot"},
		{"a change of the contract", func(o object) {
			set("health", object{"http": object{"path": "/"}, "interval": "300ms", "unhealthy_threshold": 5})(o)
			set("drain.grace", "3s")(o)
		}, allStay, 3, "hot"},
		{"another kind of probe", set("health", object{"tcp": object{}}), allStay, 3, "hot"},
		{"a command as a probe", set("health", object{"exec": object{"command": list{"sh", "-c", `test -n "$POOLKEEPER_WORKER_ID"`}}, "interval": "200ms"}), allStay, 3, "hot"},
		{"more workers", set("size", 5), allStay, 5, "hot"},
		{"fewer workers", set("size", 2), someStay, 2, "hot"},
		{"a rolling change", set("worker.env", object{"GREETING": "good day"}), noneStays, 2, "rolling"},
		{"a trigger", set("restart_triggers", object{"image": "2"}), noneStays, 2, "rolling"},
		{"a rolling change and more workers", func(o object) {
			set("size", 3)(o)
			set("restart_triggers", object{"image": "3"})(o)
		}, noneStays, 3, "rolling"},
		{"no workers", set("size", 0), noneStays, 0, "hot"},
		{"workers again", set("size", 1), noneStays, 1, "hot"},
	} {
		before, uid := w.settled("web"), w.shown("id")
		changes = append(changes, step.does)
		w.declare(w.web(changes...))
		plan := w.planJSON()
		require.Equal(t, []string{"update"}, plan.Actions, step.name)
		require.Equal(t, step.shows, plan.After["last_change"], "%s: the plan announces what the apply does", step.name)
		w.tf("apply", "-input=false", "plan").succeeded()
		require.Equal(t, step.shows, w.shown("last_change"), step.name)
		require.Equal(t, "active", w.shown("state"), step.name)
		require.Equal(t, uid, w.shown("id"), step.name)

		after := w.settled("web")
		require.Len(t, after, step.size, step.name)
		switch step.fate {
		case allStay:
			maps.DeleteFunc(after, func(id string, _ int) bool { _, was := before[id]; return !was })
			require.Equal(t, before, after, step.name)
		case someStay:
			maps.DeleteFunc(before, func(id string, _ int) bool { _, is := after[id]; return !is })
			require.Equal(t, before, after, step.name)
		case noneStays:
			apart(t, before, after)
		}
	}
	w.plan().ended(planEmpty)
	w.destroy().succeeded()
}

func TestChangesThatOnlyAnotherPoolCanHaveReplaceIt(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web())
	uid, before := w.shown("id"), w.settled("web")

	host, err := os.Hostname()
	require.NoError(t, err)
	w.declare(w.web(set("runtime", object{"process": object{"host": host}})))
	plan := w.planJSON()
	require.Equal(t, []string{"update"}, plan.Actions, "naming the host that it is on")
	require.Empty(t, plan.ReplacePaths)
	w.tf("apply", "-input=false", "plan").succeeded()
	require.Equal(t, uid, w.shown("id"))
	require.Equal(t, before, w.settled("web"))
	w.plan().ended(planEmpty)

	w.declare(w.web(set("runtime", object{"process": object{"host": "another"}})))
	plan = w.planJSON()
	require.ElementsMatch(t, []string{"delete", "create"}, plan.Actions)
	require.Equal(t, [][]any{{"runtime", "process", "host"}}, plan.ReplacePaths)
	w.apply().failed().says(fmt.Sprintf("runs processes of host %q only", host), "runtime.process.host", `"another"`)
	require.Empty(t, w.running("web"), "the old pool is gone")
	require.Empty(t, w.pools())

	w.reaches(w.web())
	require.NotEqual(t, uid, w.shown("id"))
	before = w.settled("web")
	w.declare(w.web(set("name", "web2")))
	plan = w.planJSON()
	require.ElementsMatch(t, []string{"delete", "create"}, plan.Actions)
	require.Equal(t, [][]any{{"name"}}, plan.ReplacePaths)
	w.tf("apply", "-input=false", "plan").succeeded()
	require.Empty(t, w.running("web"))
	apart(t, before, w.settled("web2"))
	w.destroy().succeeded()
}

func TestPlansWithoutAChangeAreEmpty(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web())
	before, crew := w.pool("web"), w.settled("web")
	for range 20 {
		w.plan().ended(planEmpty)
	}
	plan := w.planJSON()
	require.Equal(t, []string{"no-op"}, plan.Actions)
	require.Equal(t, plan.Before, plan.After)
	require.Equal(t, "create", plan.After["last_change"])
	require.Equal(t, before.Generation, w.pool("web").Generation)
	require.Equal(t, crew, w.settled("web"))
	w.declare(w.web(set("worker.env", object{"GREETING": "good day"})))
	plan = w.planJSON()
	require.Equal(t, []string{"update"}, plan.Actions)
	require.Equal(t, "rolling", plan.After["last_change"])
}
