//go:build linux

package acceptance

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// leg is a step of one pool: its configuration, what getting there from the leg before does, and what of it is known at
// apply only.
type leg struct {
	does    effect
	changes []change
	resizes bool
	late    object   // values, by the names that later refers to them with
	unknown []string // the paths of the attributes that are not known because of that
	last    string   // the last_change that is announced all the same; empty: none
}

// leads is a leg of which all is known.
func leads(does effect, changes ...change) leg { return leg{does: does, changes: changes} }

// later refers to a value that is known at apply only.
func later(name string) string { return "${terraform_data." + name + ".output}" }

// turns is leads for each of the values of an attribute; all but the first do the same.
func turns(path string, does effect, first any, values ...any) []leg {
	legs := []leg{leads(creates, valued(path, first))}
	for _, v := range values {
		legs = append(legs, leads(does, valued(path, v)))
	}
	return legs
}

// valued sets an attribute, or removes it.
func valued(path string, value any) change {
	if value == removed {
		return unset(path)
	}
	return set(path, value)
}

// groups are the ways of pools through what belongs together in a spec: objects of which one excludes another, and the
// elements of maps and lists. beside holds what a way needs.
func (p parts) groups(host string) map[string]struct {
	beside []change
	legs   []leg
} {
	type way = struct {
		beside []change
		legs   []leg
	}
	two := set("size", 2)
	ports := set("worker.ports", list{object{"name": "http"}, object{"name": "grpc"}})
	night, noon := object{"cron": "0 3 * * *", "duration": "1h"}, object{"cron": "0 12 * * *", "duration": "60m"}
	scaled := func(autoscaling object) []change { return []change{unset("size"), set("autoscaling", autoscaling)} }
	return map[string]way{
		"labels": {legs: append(turns("labels", hot, removed, object{"a": "1"}, object{"a": "1", "b": "2"}, object{"a": "1", "b": ""}, object{"b": ""}, object{}),
			leads(ownOnly, unset("labels")))},
		"env": {beside: []change{two}, legs: append(turns("worker.env", rolling, object{"A": "1"}, object{"A": "1", "B": "2"}, object{"A": "1", "B": ""}, object{"B": ""}),
			leg{does: rolling, changes: []change{set("worker.env", object{"B": later("env_b")})}, late: object{"env_b": "3"}, unknown: []string{"worker.env.B"}},
			leads(rolling, set("worker.env", object{})), leads(ownOnly, unset("worker.env")))},
		"triggers": {beside: []change{two}, legs: turns("restart_triggers", rolling, object{"a": "1"}, object{"a": "1", "b": "1"}, object{"b": "1"}, object{"b": "2"}, removed)},
		"command": {beside: []change{two}, legs: append(turns("worker.command", rolling, list{p.worker}, list{p.worker, "-print", "a"}, list{p.worker, "-print", "b"}),
			leg{does: keeps, changes: []change{set("worker.command", list{p.worker, "-print", later("word")})}, late: object{"word": "b"}, unknown: []string{"worker.command[2]"}},
			leads(rolling, set("worker.command", list{p.worker})))},
		"ports": {beside: []change{two}, legs: append(turns("worker.ports", rolling, removed, list{object{"name": "a"}}, list{object{"name": "a"}, object{"name": "b"}}, list{object{"name": "a"}, object{"name": "c"}}, list{object{"name": "c"}, object{"name": "a"}}, list{}),
			leads(ownOnly, unset("worker.ports")))},
		"windows": {legs: append(turns("update.windows", hot, removed, list{night}, list{night, noon}, list{noon, night}, list{noon}),
			leads(keeps, set("update.windows", list{object{"cron": "0 12 * * *", "duration": "1h"}})),
			leads(hot, set("update.windows", list{})), leads(ownOnly, unset("update.windows")))},

		"probe": {beside: []change{ports}, legs: append(turns("health", hot, removed, object{"http": object{}}, object{"http": object{"path": "/healthz"}}, object{"tcp": object{}}, object{"grpc": object{"port": "grpc"}},
			object{"exec": object{"command": list{"/bin/true"}}}, object{"exec": object{"command": list{"/bin/true"}}, "interval": "9s"}),
			leg{does: hot, changes: []change{set("health", later("probe"))}, late: object{"probe": object{"tcp": object{"port": "http"}}}, unknown: []string{"health"}},
			leads(hot, set("health", object{})), leads(keeps, unset("health")))},
		"hook": {beside: []change{ports}, legs: turns("drain.hook", hot, removed, object{"http": object{}}, object{"http": object{"path": "/jobs"}},
			object{"exec": object{"command": list{"/bin/true"}}}, object{"exec": object{"command": list{"/bin/echo"}}}, object{"http": object{}}, removed)},
		"jobs":   {beside: []change{ports}, legs: turns("drain.active_jobs", hot, removed, object{}, object{"path": "/jobs"}, object{"path": "/jobs", "json_path": "$.active"}, removed)},
		"canary": {legs: turns("update.canary", hot, removed, object{}, object{"count": 1}, object{"count": 1, "bake": "1s"}, object{"bake": "1s"}, object{"promote": "auto"}, removed)},
		"runtime": {legs: append(turns("runtime", ownOnly, removed, object{}, object{"process": object{}}, object{"process": object{"host": host}}, object{"process": object{}}, removed),
			leg{does: replaces, changes: []change{set("runtime", later("runtime"))}, late: object{"runtime": object{"process": object{"host": host}}}, unknown: []string{"runtime"}},
			leads(ownOnly, unset("runtime")))},
		"count": {legs: []leg{
			leads(creates, two), leads(hot, scaled(object{"min": 1, "max": 3})...), leads(hot, scaled(object{"min": 1, "max": 3, "idle_timeout": "1h"})...),
			{does: hot, resizes: true, changes: scaled(object{"min": 3, "max": 4})}, leads(hot, scaled(object{"min": 3, "max": 4, "initial": 3})...),
			leads(hot, set("size", 3)), {does: hot, resizes: true, changes: []change{set("size", 1)}},
			{does: hot, resizes: true, changes: []change{set("size", later("size"))}, late: object{"size": 2}, unknown: []string{"size"}},
			{does: hot, resizes: true, changes: []change{set("size", 0)}},
		}},

		"objects":  {legs: append(turns("update", hot, object{"max_surge": "2"}, object{}), leads(keeps, unset("update")))},
		"limits":   {legs: append(turns("worker_limits", hot, object{"max_age": "1h"}, object{}), leads(ownOnly, unset("worker_limits")))},
		"spelling": {legs: append(turns("drain.timeout", keeps, "300s", "5m", removed, "300000ms"), leads(hot, set("drain.timeout", "4m")))},
		"several": {beside: []change{two}, legs: []leg{
			leads(creates),
			leads(rolling, set("description", "one"), set("worker.env", object{"A": "1"}), set("drain.grace", "1s")),
			{does: hot, changes: []change{set("description", "two"), set("worker.env", object{"A": later("several_a")}), set("drain.grace", "1s")}, late: object{"several_a": "1"}, unknown: []string{"worker.env.A"}},
			{does: hot, last: "hot", changes: []change{set("description", later("several_b")), set("worker.env", object{"A": "1"})}, late: object{"several_b": "three"}, unknown: []string{"description"}},
			{does: rolling, last: "rolling", changes: []change{set("description", later("several_c")), set("worker.env", object{"A": "2"})}, late: object{"several_c": "three"}, unknown: []string{"description"}},
			{does: rolling, changes: []change{set("description", "four"), set("restart_triggers", later("several_d")), set("worker.env", object{"A": "2"})}, late: object{"several_d": object{"x": "1"}}, unknown: []string{"restart_triggers"}},
		}},
	}
}

// TestAPlanOfGroupsMapsAndListsTellsWhatItsApplyDoes takes pools through what belongs together, each step of all at once.
func TestAPlanOfGroupsMapsAndListsTellsWhatItsApplyDoes(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	v := &voyage{workspace: newWorld(t), standings: map[string]standing{}}
	groups, longest := v.groups(host), 0
	for _, g := range groups {
		longest = max(longest, len(g.legs))
	}
	var late []change
	for i := range longest {
		stops := map[string]stop{}
		for name, g := range groups {
			l := g.legs[min(i, len(g.legs)-1)]
			next := stop{effect: l.does, resizes: l.resizes, late: l.unknown, last: l.last}
			if i >= len(g.legs) {
				next = stop{effect: keeps}
			}
			next.declared = object{
				"name": "group-" + name, "size": 1, "worker": object{"command": list{v.worker}},
				"drain": object{"timeout": "2s", "deregister_delay": "0s", "grace": "2s"},
			}
			for _, c := range slices.Concat(g.beside, l.changes) {
				c(next.declared)
			}
			for name, value := range l.late {
				late = append(late, set("resource.terraform_data."+name+".input", value))
			}
			stops[name] = next
		}
		v.goes(fmt.Sprint("step ", i), stops, late...)
	}
	v.destroy().succeeded()
	require.Empty(t, v.pools())
}
