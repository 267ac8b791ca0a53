//go:build linux

package acceptance

import (
	"cmp"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// sample is how a leaf is tried: two values, and what the pool needs for them beside.
type sample struct {
	first, second any
	// third comes after the second of a leaf that stays; nil means the first again.
	third  any
	beside object
	// behind is what a change of it by the manager alone needs beside it, by its paths in JSON.
	behind object
	// stays says why the leaf cannot be taken out of a configuration by itself.
	stays string
	// resizes says that workers come or go between the two values.
	resizes bool
}

// samples are the values that each leaf is tried with. Of a leaf with a default and two values, the first is the
// default: so every leaf is at another value before it is removed. What is spelled in an unusual way is so on purpose.
func (p parts) samples(host string) map[string]sample {
	ports := func(names ...any) list {
		var all list
		for _, name := range names {
			all = append(all, object{"name": name})
		}
		return all
	}
	two := object{"worker.ports": ports("http", "admin")}
	with := func(base object, path string, value any) object {
		o := maps.Clone(base)
		if o == nil {
			o = object{}
		}
		o[path] = value
		return o
	}
	scaled := object{"size": nil, "autoscaling.min": 1, "autoscaling.max": 3}
	return map[string]sample{
		"name":                         {first: "leaf-name", second: "leaf-rename", stays: "it is required"},
		"description":                  {first: "one", second: "two"},
		"labels":                       {first: object{"team": "core"}, second: object{"team": "web", "a.b/c": ""}},
		hostPath:                       {first: host, second: host}, // for another one see TestChangesThatOnlyAnotherPoolCanHaveReplaceIt
		"worker.command":               {first: list{p.worker}, second: list{p.worker, "-print", "$${PORT}"}, stays: "it is required", beside: with(two, "size", 2)},
		"worker.env":                   {first: object{"A": "1"}, second: object{"A": "2", "B": ""}, beside: object{"size": 2}},
		"worker.secret_env_wo_version": {first: 1, second: 2, stays: "its values need it", beside: object{"worker.secret_env_wo": object{"TOKEN": "x"}, "size": 2}, behind: object{"worker.secret_env": object{"TOKEN": "x"}}},
		"worker.working_dir":           {first: "/", second: "/tmp", beside: object{"size": 2}},
		"worker.ports":                 {first: ports("http"), second: ports("http", "admin"), beside: object{"size": 2}},
		"worker.on_exit_zero":          {first: "replace", second: "crash"},

		"worker_limits.max_age": {first: "1h", second: "5400s"}, "worker_limits.max_leases": {first: 1000, second: 2000},
		"leases.slots": {first: 2, second: 3}, "leases.ttl": {first: "30s", second: "90s"},

		"size":                     {first: 1, second: 3, stays: "it or autoscaling is required", resizes: true},
		"autoscaling.min":          {first: 1, second: 2, third: 3, stays: "it is required", resizes: true, beside: scaled}, // to get smaller is the pool's own decision
		"autoscaling.max":          {first: 2, second: 4, stays: "it is required", beside: scaled},
		"autoscaling.initial":      {first: 1, second: 2, beside: scaled},
		"autoscaling.idle_timeout": {first: "1m", second: "90m", beside: scaled},
		"initialization":           {first: "prewarmed", second: "empty"},

		"health.http.path":           {first: "/healthz", second: "/jobs?of=all", beside: with(two, "health.http.port", "http")},
		"health.http.port":           {first: "http", second: "admin", beside: with(two, "health.http.path", "/")},
		"health.tcp.port":            {first: "http", second: "admin", beside: with(two, "health.tcp", object{})},
		"health.grpc.port":           {first: "grpc", second: "grpc2", beside: object{"worker.ports": ports("grpc", "grpc2"), "health.grpc.service": "web.Front"}},
		"health.grpc.service":        {first: "web.Front", second: "web.Back", beside: object{"worker.ports": ports("grpc"), "health.grpc.port": "grpc"}},
		"health.exec.command":        {first: list{"/bin/true"}, second: list{"/bin/sh", "-c", "exit 0"}, stays: "it is required"},
		"health.interval":            {first: "2s", second: "90s", beside: with(two, "health.tcp", object{})},
		"health.timeout":             {first: "1500ms", second: "3s", beside: with(two, "health.tcp", object{})},
		"health.healthy_threshold":   {first: 2, second: 3, beside: with(two, "health.tcp", object{})},
		"health.unhealthy_threshold": {first: 4, second: 5, beside: with(two, "health.tcp", object{})},
		"health.start_period":        {first: "1s", second: "2s", beside: with(two, "health.tcp", object{})},

		"remediation.enabled": {first: true, second: false}, "remediation.max_unhealthy": {first: "50%", second: "2"},
		"remediation.backoff": {first: "2s", second: "90s"},

		"update.max_surge": {first: "1", second: "50%"}, "update.max_unavailable": {first: "1", second: "50%"},
		"update.min_ready": {first: "100ms", second: "0.2s"}, "update.progress_deadline": {first: "5m", second: "90s"},
		"update.canary.count":   {first: 1, second: 2, beside: object{"update.canary.promote": "manual"}},
		"update.canary.bake":    {first: "1s", second: "90s", beside: object{"update.canary": object{}}},
		"update.canary.promote": {first: "auto", second: "manual", beside: object{"update.canary.count": 1}},
		"update.on_failure":     {first: "rollback", second: "pause"},
		"update.windows": {
			first: list{object{"cron": "0 3 * * *", "duration": "90m"}}, second: list{object{"cron": "0 4 * * *", "duration": "1h30m", "time_zone": "Europe/Oslo"}},
		},

		"drain.timeout": {first: "3s", second: "4000ms"}, "drain.on_timeout": {first: "terminate", second: "fail"},
		"drain.deregister_delay": {first: "10ms", second: "20ms"}, "drain.signal": {first: "TERM", second: "INT"},
		"drain.signal_at": {first: "after", second: "start"}, "drain.grace": {first: "3s", second: "90s"},
		"drain.hook.http.path":        {first: "/healthz", second: "/jobs", beside: with(two, "drain.hook.http.port", "http")},
		"drain.hook.http.port":        {first: "http", second: "admin", beside: with(two, "drain.hook.http.path", "/healthz")},
		"drain.hook.exec.command":     {first: list{"/bin/true"}, second: list{"/bin/sh", "-c", "exit 0"}, stays: "it is required"},
		"drain.active_jobs.path":      {first: "/jobs", second: "/jobs?of=all", beside: with(two, "drain.active_jobs.json_path", "$.active")},
		"drain.active_jobs.port":      {first: "http", second: "admin", beside: with(with(two, "drain.active_jobs.json_path", "$.active"), "drain.active_jobs.path", "/jobs")},
		"drain.active_jobs.json_path": {first: "$.active", second: "$['active']", beside: with(two, "drain.active_jobs.path", "/jobs")},

		"logs.max_size": {first: "1024KiB", second: "3MB"}, "logs.keep": {first: 2, second: 3},
		"restart_triggers":    {first: object{"image": "1"}, second: object{"image": "2"}, beside: object{"size": 2}},
		"deletion_protection": {first: false, second: true},
	}
}

// leavesInHCL are the leaves of the table as HCL names them, but for what is in no plan: see
// TestASecretReachesTheWorkersAndNothingElse.
func leavesInHCL() (fields []pool.Field) {
	for _, f := range pool.Fields {
		if f.Secret {
			continue
		}
		f.Path = inHCL(f.Path)
		fields = append(fields, f)
	}
	return fields
}

// inHCL and inJSON are a leaf's path there.
func inHCL(path string) string {
	return strings.Replace(path, "worker.secret_env_version", "worker.secret_env_wo_version", 1)
}

func inJSON(path string) string { return strings.Replace(path, "_wo_version", "_version", 1) }

const hostPath = "runtime.process.host"

// removed is the value of an attribute that is not in a configuration.
const removed = "removed"

// tried is the pool that a leaf is tried with, at a value.
func (p parts) tried(path string, s sample, value any) object {
	o := object{
		"name": "leaf-" + strings.NewReplacer(".", "-", "_", "-").Replace(path), "size": 1,
		"worker": object{"command": list{p.worker}},
		"drain":  object{"timeout": "2s", "deregister_delay": "0s", "grace": "2s"},
	}
	for at, v := range s.beside {
		set(at, v)(o)
	}
	if value == removed {
		unset(path)(o)
	} else {
		set(path, value)(o)
	}
	return o
}

// effectOf is what a step does to the pool by which a leaf is tried.
func effectOf(f pool.Field, was, is any, late bool) effect {
	switch {
	case late && f.Change == pool.ChangeReplace: // what is not known could be another
		return replaces
	case reflect.DeepEqual(was, is):
		return keeps
	case f.Path == hostPath: // the host that the pool is on is named, or not any more
		return ownOnly
	}
	return map[pool.Change]effect{
		pool.ChangeCreation: hot, pool.ChangeHot: hot, pool.ChangeContract: hot, pool.ChangeRolling: rolling, pool.ChangeReplace: replaces,
	}[f.Change]
}

// passage is a step that all leaves take at once.
type passage struct {
	name   string
	value  func(s sample, now any) any
	behind bool   // before it, the manager alone gives the leaf its second value
	late   bool   // the value is known at apply only
	does   effect // empty: what the table says of the change
}

var passages = []passage{
	{name: "created", value: sample.atFirst, does: creates},
	{name: "changed behind Terraform's back", value: sample.atFirst, behind: true},
	{name: "changed", value: sample.atSecond},
	{name: "removed", value: sample.without},
	{name: "unknown and the same", value: sample.without, late: true},
	{name: "unknown and another", value: sample.another, late: true},
	{name: "imported", value: sample.another, does: imports},
	{name: "removed after the import", value: sample.without},
}

func (s sample) atFirst(any) any  { return s.first }
func (s sample) atSecond(any) any { return s.second }

func (s sample) without(now any) any {
	if s.stays != "" {
		return now
	}
	return removed
}

// another is what a leaf can be after it was without a value, or has stayed at its second.
func (s sample) another(any) any {
	switch {
	case s.stays == "":
		return s.second
	case s.third != nil:
		return s.third
	}
	return s.first
}

// takes is the stop of one leaf's pool in a passage that brings it from one value to another.
func (p parts) takes(through passage, f pool.Field, s sample, was, is any) stop {
	next := stop{declared: p.tried(f.Path, s, is), effect: cmp.Or(through.does, effectOf(f, was, is, through.late))}
	next.resizes = s.resizes && next.effect == hot
	if through.late {
		set(f.Path, `${terraform_data.late.output["`+f.Path+`"]}`)(next.declared)
		next.late = []string{f.Path}
	}
	return next
}

// TestAPlanOfEveryLeafTellsWhatItsApplyDoes takes one pool per leaf of the table through all that can happen to a leaf.
func TestAPlanOfEveryLeafTellsWhatItsApplyDoes(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	w := newWorld(t)
	samples := w.samples(host)
	for _, f := range leavesInHCL() {
		_, known := samples[f.Path]
		require.True(t, known, "give two values to try the leaf %s with", f.Path)
	}
	v := &voyage{workspace: w, standings: map[string]standing{}}
	now := map[string]any{} // the leaves' values
	for _, through := range passages {
		stops, patches, late := map[string]stop{}, map[string]object{}, object{"step": through.name}
		for _, f := range leavesInHCL() {
			s, name, was := samples[f.Path], strings.ReplaceAll(f.Path, ".", "_"), now[f.Path]
			drifts := through.behind && f.Change != pool.ChangeReplace && s.third == nil
			if drifts {
				was, patches[name] = s.second, object{}
				set(inJSON(f.Path), was)(patches[name])
				for at, value := range s.behind {
					set(at, value)(patches[name])
				}
			}
			is := through.value(s, was)
			next := w.takes(through, f, s, was, is)
			if drifts {
				next.differs = f.Path
			}
			if late[f.Path] = is; is == removed {
				late[f.Path] = nil
			}
			stops[name], now[f.Path] = next, is
		}
		v.patched(patches)
		more := []change{set("resource.terraform_data.late.input", late)}
		if through.does == imports {
			v.workspace = w.keeper.workspace(older)
			more = append(more, v.imports())
		}
		v.goes(through.name, stops, more...)
	}
	v.destroy().succeeded()
	require.Empty(t, v.pools())
	require.Empty(t, v.allRunning())
}
