package provider

import (
	"math/big"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// full declares every field away from its default.
func full() object {
	return object{
		"name": "web", "description": "front", "labels": object{"team": "a"},
		"runtime": object{"process": object{"host": "here"}},
		"worker": object{
			"command": list{"/bin/worker", "--port=${PORT}"}, "env": object{"A": "1", "EMPTY": ""}, "secret_env_wo": object{"TOKEN": "swordfish"}, "secret_env_wo_version": 7,
			"working_dir": "/srv", "ports": list{object{"name": "http"}, object{"name": "admin"}}, "on_exit_zero": "crash",
		},
		"worker_limits": object{"max_age": "24h", "max_leases": 100}, "leases": object{"slots": 4, "ttl": "30s"},
		"size": 3, "initialization": "prewarmed",
		"health": object{
			"http": object{"path": "/ok", "port": "http"}, "interval": "300s", "timeout": "2s",
			"healthy_threshold": 2, "unhealthy_threshold": 4, "start_period": "1m",
		},
		"remediation": object{"enabled": false, "max_unhealthy": "3", "backoff": "2s"},
		"update": object{
			"max_surge": "1", "max_unavailable": "10%", "min_ready": "1s", "progress_deadline": "60s", "on_failure": "pause",
			"canary":  object{"count": 2, "bake": "5m", "promote": "manual"},
			"windows": list{object{"cron": "0 2 * * *", "duration": "180m", "time_zone": "Europe/Berlin"}},
		},
		"drain": object{
			"timeout": "90s", "on_timeout": "fail", "deregister_delay": "0s", "signal": "INT", "signal_at": "start", "grace": "1h0m",
			"hook":        object{"http": object{"path": "/drain", "port": "admin"}},
			"active_jobs": object{"path": "/jobs", "port": "admin", "json_path": "$.active"},
		},
		"logs": object{"max_size": "1024KiB", "keep": 2},

		"restart_triggers": object{"v": "1"}, "deletion_protection": true,
	}
}

func declaredBy(t *testing.T, config object) declared {
	t.Helper()
	return declare(value(t, newTerraform(t, newFake()).poolType(), config))
}

func TestEveryFieldReachesTheSpec(t *testing.T) {
	d := declaredBy(t, full())
	require.Empty(t, d.faults)
	require.Empty(t, d.unjudged)
	size := int64(3)
	decoded, err := pool.Decode([]byte(`
name: web
description: front
labels: {team: a}
runtime: {process: {host: here}}
worker:
  command: [/bin/worker, "--port=${PORT}"]
  env: {A: "1", EMPTY: ""}
  secret_env: {TOKEN: swordfish}
  secret_env_version: 7
  working_dir: /srv
  ports: [{name: http}, {name: admin}]
  on_exit_zero: crash
worker_limits: {max_age: 24h, max_leases: 100}
leases: {slots: 4, ttl: 30s}
size: 3
health: {http: {path: /ok, port: http}, interval: 5m, timeout: 2s, healthy_threshold: 2, unhealthy_threshold: 4, start_period: 1m}
remediation: {enabled: false, max_unhealthy: 3, backoff: 2s}
update:
  max_surge: 1
  max_unavailable: 10%
  min_ready: 1s
  progress_deadline: 1m
  on_failure: pause
  canary: {count: 2, bake: 5m, promote: manual}
  windows: [{cron: "0 2 * * *", duration: 3h, time_zone: Europe/Berlin}]
drain:
  timeout: 90s
  on_timeout: fail
  deregister_delay: 0s
  signal: INT
  signal_at: start
  grace: 1h
  hook: {http: {path: /drain, port: admin}}
  active_jobs: {path: /jobs, port: admin, json_path: $.active}
logs: {max_size: 1Mi, keep: 2}
restart_triggers: {v: "1"}
deletion_protection: true
`))
	require.NoError(t, err)
	require.Equal(t, size, *decoded.Size)
	require.Equal(t, decoded, d.spec)
	require.NoError(t, pool.Validate(d.spec, d.isUnjudged))
}

func TestTextIsTakenAsItIs(t *testing.T) {
	for _, text := range []string{"", "true", "null", "1.0", "~", "- a", "a: b", "\x7f", "\u0085\u2028", "日本語 🙂", "${PORT}", `"quoted\"`, "tab\tnew\nline"} {
		d := declaredBy(t, web(at("worker.env", object{"A": text}), at("worker.command", list{"/bin/worker", text})))
		require.Empty(t, d.faults)
		require.Equal(t, text, d.spec.Worker.Env["A"])
		require.Equal(t, text, d.spec.Worker.Command[1])
	}
}

func TestWhatIsNoValueOfItsKindIsAFaultAndTheRestIsJudged(t *testing.T) {
	d := declaredBy(t, web(
		at("drain.timeout", "soon"), at("logs.max_size", "lots"), at("update.max_surge", "-1"),
		object{"size": nil},
	))
	require.Len(t, d.faults, 3)
	for _, f := range d.faults {
		require.True(t, d.isUnjudged(f.Path), f.Path)
	}
	err := pool.Validate(d.spec, d.isUnjudged)
	require.ErrorContains(t, err, "size: is required")
	require.NotContains(t, err.Error(), "drain.timeout")
}

func TestANumberThatIsNotWholeIsAFault(t *testing.T) {
	typ := newTerraform(t, newFake()).poolType()
	raw := withValues(value(t, typ, web()), map[string]tftypes.Value{"size": tftypes.NewValue(tftypes.Number, big.NewFloat(1.5))})
	d := declare(raw)
	require.Len(t, d.faults, 1)
	require.Equal(t, "size", d.faults[0].Path)
}

func TestANullInAListIsAFaultAndANullInAMapIsNotWritten(t *testing.T) {
	d := declaredBy(t, web(at("worker.command", list{"/bin/worker", nil}), at("worker.env", object{"A": nil, "B": "2"})))
	require.Len(t, d.faults, 1)
	require.Equal(t, "worker.command[1]", d.faults[0].Path)
	require.Equal(t, map[string]string{"B": "2"}, d.spec.Worker.Env)
}

func TestWhatIsUnknownIsNotJudgedNorWhatReadsIt(t *testing.T) {
	for _, row := range []struct {
		at       string
		v        any
		unjudged []string
		judged   []string
	}{
		{"update", unknown, []string{"update", "update.max_surge", "update.min_ready"}, []string{"drain.timeout"}},
		{"update.max_surge", unknown, []string{"update.max_surge"}, []string{"update", "update.max_unavailable"}},
		{"health", unknown, []string{"health", "health.http", "health.http.port", "health.tcp"}, []string{"worker.ports"}},
		{"health.http", unknown, []string{"health.http", "health.http.path"}, []string{"health.tcp", "health.interval"}},
		{"worker.command", list{"a", unknown}, []string{"worker.command"}, []string{"worker.env"}},
		{"worker.env", object{"A": unknown}, []string{"worker.env"}, []string{"worker.command"}},
		{"worker.ports", list{object{"name": unknown}}, []string{"worker.ports"}, []string{"worker.command"}},
		{"runtime", unknown, []string{"runtime", "runtime.process", "runtime.process.host"}, []string{"size"}},
	} {
		t.Run(row.at, func(t *testing.T) {
			d := declaredBy(t, web(at(row.at, row.v)))
			require.Empty(t, d.faults)
			for _, path := range row.unjudged {
				require.True(t, d.isUnjudged(path) && d.unknown[path], path)
			}
			for _, path := range row.judged {
				require.False(t, d.isUnjudged(path), path)
			}
		})
	}
}

func TestAMissingObjectThatTerraformRequiresIsLeftToTerraform(t *testing.T) {
	d := declaredBy(t, object{"name": "web", "size": 1})
	require.NoError(t, pool.Validate(d.spec, d.isUnjudged))
	require.Empty(t, d.unknown)
}
