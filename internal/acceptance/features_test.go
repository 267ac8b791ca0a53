//go:build linux

package acceptance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/semver"
)

// feature is something that only some CLIs can do. What one cannot is not skipped: it must refuse it, and the name of
// the test then says so.
type feature struct {
	name            string
	terraform, tofu string // the first version that can; empty: none can
	files           map[string]string
	show            func(w *workspace) outcome // does it
	shows           func(w *workspace, o outcome)
}

var features = []feature{
	{
		name: "functions", terraform: "v1.8.0", tofu: "v1.7.0",
		files: map[string]string{"out.tf": `
			output "yaml" { value = provider::poolkeeper::pool_to_yaml(merge(provider::poolkeeper::pool_from_yaml("name: other\nsize: 1\nworker: {command: [run]}"), { size = 7 })) }`},
		show:  func(w *workspace) outcome { return w.apply() },
		shows: func(_ *workspace, o outcome) { o.says("name: other", "size: 7") },
	},
	{
		name: "import by identity", terraform: "v1.12.0", tofu: "v1.12.0",
		files: map[string]string{"import.tf": `
			import {
				to       = poolkeeper_resource_pool.found
				identity = { name = "found" }
			}
			resource "poolkeeper_resource_pool" "found" {
				name   = "found"
				size   = 0
				labels = { team = "ci" }
				worker = { command = ["/bin/true"] }
			}`},
		show:  func(w *workspace) outcome { return w.apply() },
		shows: func(w *workspace, o outcome) { o.says("1 imported, 0 added, 0 changed"); w.plan().ended(planEmpty) },
	},
	{
		name: "a configuration that is made from an import", terraform: "v1.5.0", tofu: "v1.6.0",
		files: map[string]string{"import.tf": `
			import {
				provider = poolkeeper
				to       = poolkeeper_resource_pool.found
				id       = "found"
			}`},
		show: func(w *workspace) outcome { return w.tf("plan", "-input=false", "-generate-config-out=made.tf") },
		shows: func(w *workspace, _ outcome) { // the provider is named by what was made, and only one of them may
			w.write("import.tf", `
				import {
					to = poolkeeper_resource_pool.found
					id = "found"
				}`)
			w.apply().succeeded().says("1 imported, 0 added, 0 changed")
			w.plan().ended(planEmpty)
		},
	},
	{
		name: "a fleet from YAML", terraform: "v1.8.0", tofu: "v1.7.0",
		files: map[string]string{
			"pools/a.yaml": "name: a\nsize: 1\nworker: {command: [sleep, \"1000\"]}",
			"pools/b.yaml": "name: b\nautoscaling: {min: 0, max: 2}\nlabels: {team: ci}\nworker: {command: [sleep, \"1000\"]}",
			"fleet.tf": `
				locals {
					documents = fileset(path.module, "pools/*.yaml")
					fleet     = { for name in local.documents : name => provider::poolkeeper::pool_from_yaml(file("${path.module}/${name}")) }
				}
				resource "poolkeeper_resource_pool" "fleet" {
					for_each    = local.fleet
					name        = each.value.name
					labels      = each.value.labels
					size        = each.value.size
					autoscaling = each.value.autoscaling
					worker      = each.value.worker
					health      = each.value.health
				}
				check "workers_are_healthy" {
					assert {
						condition     = poolkeeper_resource_pool.web.health_status == "healthy"
						error_message = "The pool is ${poolkeeper_resource_pool.web.health_status}; poolkeeper pool get web says why."
					}
				}`,
		},
		show: func(w *workspace) outcome { return w.apply() },
		shows: func(w *workspace, o outcome) {
			o.says("2 added")
			w.plan().ended(planEmpty)
			require.Equal(w.t, "ci", w.pool("b").Spec.Labels["team"])
		},
	},
	{
		name: "query", terraform: "v1.14.0",
		files: map[string]string{"pools.tfquery.hcl": `
			list "poolkeeper_resource_pool" "all" {
				provider         = poolkeeper
				include_resource = true
				config {
					labels = { team = "ci" }
				}
			}`},
		show: func(w *workspace) outcome { return w.tf("query") },
		shows: func(w *workspace, o outcome) {
			o.says("list.poolkeeper_resource_pool.all", "name=found")
			require.NotContains(w.t, o.text(), "name=web")
		},
	},
	{
		name: "actions", terraform: "v1.14.0",
		files: map[string]string{"action.tf": `
			action "poolkeeper_rolling_restart" "now" {
				config { name = "web" }
			}`},
		show: func(w *workspace) outcome {
			return w.tf("apply", "-auto-approve", "-input=false", "-invoke=action.poolkeeper_rolling_restart.now")
		},
		shows: func(w *workspace, o outcome) {
			o.says("(restart) is running", "Apply complete!")
			require.Equal(w.t, int64(1), w.pool("web").Restarts)
		},
	},
	{
		name: "actions that a change triggers", terraform: "v1.14.0",
		files: map[string]string{"action.tf": `
			action "poolkeeper_pause" "after" {
				config { name = "second" }
			}
			resource "poolkeeper_resource_pool" "second" {
				name   = "second"
				size   = 0
				worker = { command = ["/bin/true"] }
				lifecycle {
					action_trigger {
						events  = [after_create]
						actions = [action.poolkeeper_pause.after]
					}
				}
			}`},
		show:  func(w *workspace) outcome { return w.apply() },
		shows: func(w *workspace, _ outcome) { require.True(w.t, w.pool("second").Paused) },
	},
}

// write puts a file beside the configuration.
func (w *workspace) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.folder, name)
	require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(w.t, os.WriteFile(path, []byte(text), 0o600))
}

// cliOf is the name and the version of the CLI that is tested.
func (w *workspace) cliOf() (name, version string) {
	w.t.Helper()
	name = "Terraform"
	if strings.HasPrefix(w.tf("version").stdout, "OpenTofu") {
		name = "OpenTofu"
	}
	var told struct {
		Version string `json:"terraform_version"`
	}
	require.NoError(w.t, json.Unmarshal([]byte(w.tf("version", "-json").stdout), &told))
	return name, "v" + told.Version
}

func TestWhatOnlySomeCLIsCanDo(t *testing.T) {
	cli, version := newWorld(t).cliOf()
	for _, f := range features {
		first := f.terraform
		if cli == "OpenTofu" {
			first = f.tofu
		}
		can, name := first != "" && semver.Compare(version, first) >= 0, f.name
		if !can {
			name = fmt.Sprintf("NOT IN %s %s: %s", cli, version, f.name)
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.cli("name: found\nsize: 0\nlabels: {team: ci}\nworker: {command: [/bin/true]}", "pool", "apply", "-f", "-").succeeded()
			w.reaches(w.web())
			for file, text := range f.files {
				w.write(file, text)
			}
			o := f.show(w)
			if !can {
				require.NotZero(t, o.code, o)
				return
			}
			f.shows(w, o.succeeded())
		})
	}
}
