//go:build linux

package acceptance

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shownError is an error as Terraform's machine-readable output shows it.
type shownError struct {
	Summary, Detail string
	Snippet         struct {
		Code string // the line of the configuration that it is shown at
	}
}

// errors lists the errors that Terraform shows with -json.
func (o outcome) errors() (all []shownError) {
	o.t.Helper()
	for line := range strings.Lines(o.stdout) {
		var said struct {
			Level      string     `json:"@level"`
			Diagnostic shownError `json:"diagnostic"`
		}
		require.NoError(o.t, json.Unmarshal([]byte(line), &said), line)
		if said.Level == "error" {
			all = append(all, said.Diagnostic)
		}
	}
	return all
}

func TestARefusalIsShownAtTheLineOfItsAttribute(t *testing.T) {
	plans := func(w *workspace) outcome { return w.plan("-json") }
	applies := func(w *workspace) outcome { return w.apply("-json") }
	unrefreshed := func(w *workspace) outcome { return w.apply("-json", "-refresh=false") }
	protect := func(w *workspace) {
		w.cli(`{"deletion_protection": true}`, "pool", "patch", "web", "-f", "-").succeeded()
	}
	for name, row := range map[string]struct {
		before  func(*workspace) // over the pool web, with one worker
		changes []change
		does    func(*workspace) outcome
		line    string // that the error is shown at; empty: none
		says    string
	}{
		"a replacement under protection, at the plan": {
			func(w *workspace) { w.reaches(w.web(set("size", 1), set("deletion_protection", true))) },
			[]change{set("name", "web2"), set("deletion_protection", false)}, plans,
			`"deletion_protection": false`, "deletion_protection = true in force",
		},
		"a replacement under a protection that the plan did not see": {
			protect, []change{set("name", "web2"), set("deletion_protection", false)}, unrefreshed,
			"", `pool "web" is protected`, // Terraform destroys without a configuration
		},
		"a name that is taken": {
			func(w *workspace) {
				w.cli(w.document("name: web", "name: web2", "size: 2", "size: 0"), "pool", "apply", "-f", "-").succeeded()
			},
			[]change{set("name", "web2")}, applies, `"name": "web2"`, `There is a pool "web2" already`,
		},
		"a program that is not there": {
			func(*workspace) {}, []change{set("worker.command", list{"/nonexistent/program"})}, applies,
			`"/nonexistent/program"`, "worker.command[0]",
		},
		"another host": {
			func(*workspace) {}, []change{set("runtime.process.host", "elsewhere")}, applies,
			`"host": "elsewhere"`, "runtime.process.host",
		},
		"a size beside autoscaling": {
			func(*workspace) {}, []change{set("autoscaling", object{"min": 1, "max": 2})}, plans,
			`"size": 1`, "size",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.reaches(w.web(set("size", 1)))
			row.before(w)
			w.declare(w.web(append([]change{set("size", 1)}, row.changes...)...))
			o := row.does(w).failed()
			all := o.errors()
			require.Len(t, all, 1, o)
			require.Contains(t, all[0].Snippet.Code, row.line, o)
			require.Equal(t, row.line == "", all[0].Snippet.Code == "", o)
			require.Contains(t, all[0].Summary+" "+all[0].Detail, row.says)
			require.NotContains(t, all[0].Summary+all[0].Detail, "bug")
		})
	}
}
