package pool_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const everyField = `
name: web
description: "the web"
labels: {team: core}
runtime:
  process:
    host: node-1
worker:
  command: [/bin/worker, --port, "${PORT}"]
  env: {MODE: fast}
  secret_env: {TOKEN: swordfish}
  secret_env_version: 7
  working_dir: /srv
  ports: [{name: http}, {name: admin}]
  on_exit_zero: crash
worker_limits: {max_age: 24h, max_leases: 100}
leases: {slots: 4, ttl: 30s}
size: 3
autoscaling: {min: 2, max: 9, initial: 4, idle_timeout: 10m}
initialization: empty
health:
  http: {path: /healthz, port: admin}
  tcp: {port: http}
  grpc: {port: http, service: web.Front}
  exec: {command: [/bin/check, "${PORT}"]}
  interval: 1m30s
  timeout: 500ms
  healthy_threshold: 2
  unhealthy_threshold: 4
  start_period: 20s
remediation: {enabled: false, max_unhealthy: 3, backoff: 2s}
update:
  max_surge: 50%
  max_unavailable: 1
  min_ready: 3s
  progress_deadline: 1h
  canary: {count: 2, bake: 5m, promote: manual}
  on_failure: pause
  windows: [{cron: "0 2 * * *", duration: 3h, time_zone: Europe/Berlin}]
drain:
  timeout: 90m
  on_timeout: fail
  deregister_delay: 0s
  signal: INT
  signal_at: start
  grace: 1s
  hook: {http: {path: /drain, port: admin}, exec: {command: [/bin/leave]}}
  active_jobs: {path: /jobs, port: admin, json_path: $.active}
logs: {max_size: 1GiB, keep: 0}
restart_triggers: {version: "7"}
deletion_protection: true
`

func wantEveryField() pool.Spec {
	size, leases, canaries := int64(3), int64(100), int64(2)
	age, bake := pool.Duration(24*time.Hour), pool.Duration(5*time.Minute)
	return pool.Spec{
		Name: "web", Description: "the web", Labels: map[string]string{"team": "core"},
		Runtime: pool.Runtime{Process: &pool.ProcessRuntime{Host: "node-1"}},
		Worker: pool.WorkerTemplate{
			Command: []string{"/bin/worker", "--port", "${PORT}"}, Env: map[string]string{"MODE": "fast"},
			SecretEnv: map[string]string{"TOKEN": "swordfish"}, SecretEnvVersion: number(7),
			WorkingDir: "/srv", Ports: []pool.Port{{Name: "http"}, {Name: "admin"}}, OnExitZero: pool.ExitZeroCrash,
		},
		WorkerLimits: pool.WorkerLimits{MaxAge: &age, MaxLeases: &leases},
		Leases:       pool.LeaseTerms{Slots: 4, TTL: pool.Duration(30 * time.Second)},
		Size:         &size, Initialization: pool.Empty,
		Autoscaling: &pool.Autoscaling{Min: new(int64(2)), Max: new(int64(9)), Initial: new(int64(4)), IdleTimeout: new(pool.Duration(10 * time.Minute))},
		Health: pool.HealthCheck{
			HTTP: &pool.HTTPProbe{Path: "/healthz", Port: "admin"}, TCP: &pool.TCPProbe{Port: "http"},
			GRPC: &pool.GRPCProbe{Port: "http", Service: "web.Front"}, Exec: &pool.ExecProbe{Command: []string{"/bin/check", "${PORT}"}},
			Interval: pool.Duration(90 * time.Second), Timeout: pool.Duration(500 * time.Millisecond),
			HealthyThreshold: 2, UnhealthyThreshold: 4, StartPeriod: pool.Duration(20 * time.Second),
		},
		Remediation: pool.Remediation{MaxUnhealthy: pool.Amount{Value: 3}, Backoff: pool.Duration(2 * time.Second)},
		Update: pool.Update{
			MaxSurge: pool.Amount{Value: 50, Percent: true}, MaxUnavailable: pool.Amount{Value: 1},
			MinReady: pool.Duration(3 * time.Second), ProgressDeadline: pool.Duration(time.Hour),
			Canary:    &pool.Canary{Count: &canaries, Bake: &bake, Promote: pool.PromoteManual},
			OnFailure: pool.OnFailurePause,
			Windows:   []pool.Window{{Cron: "0 2 * * *", Duration: pool.Duration(3 * time.Hour), TimeZone: "Europe/Berlin"}},
		},
		Drain: pool.Drain{
			Timeout: pool.Duration(90 * time.Minute), OnTimeout: pool.OnTimeoutFail, Signal: "INT", SignalAt: pool.SignalStart, Grace: pool.Duration(time.Second),
			Hook:       &pool.DrainHook{HTTP: &pool.HTTPProbe{Path: "/drain", Port: "admin"}, Exec: &pool.ExecProbe{Command: []string{"/bin/leave"}}},
			ActiveJobs: &pool.ActiveJobs{Path: "/jobs", Port: "admin", JSONPath: "$.active"},
		},
		Logs: pool.Logs{MaxSize: 1 << 30}, RestartTriggers: map[string]string{"version": "7"}, DeletionProtection: true,
	}
}

func TestEveryFieldIsDecoded(t *testing.T) {
	spec, err := pool.Decode([]byte(everyField))
	require.NoError(t, err)
	require.Equal(t, wantEveryField(), spec)
	for _, f := range pool.Fields {
		require.Contains(t, spec.Leaves(), f.Path, "the document leaves it out")
	}
}

func TestWhatIsLeftOutOrNullHasItsDefault(t *testing.T) {
	for _, document := range []string{
		"name: a",
		"name: a\nhealth:\nupdate: null\nlogs: {}\nruntime: ~\nlabels:",
		`{"name": "a", "health": null, "drain": {"timeout": null}, "labels": null}`,
	} {
		spec, err := pool.Decode([]byte(document))
		require.NoError(t, err, document)
		want := pool.Default()
		want.Name = "a"
		require.Equal(t, want, spec, document)
	}
}

func TestTheFormsOfAValue(t *testing.T) {
	for document, want := range map[string]any{
		"update: {max_surge: 2}":                              pool.Amount{Value: 2},
		"update: {max_surge: '2'}":                            pool.Amount{Value: 2},
		"update: {max_surge: 30%}":                            pool.Amount{Value: 30, Percent: true},
		"logs: {max_size: 4096}":                              pool.Bytes(4096),
		"logs: {max_size: '4096'}":                            pool.Bytes(4096),
		"logs: {max_size: 4k}":                                pool.Bytes(4000),
		"logs: {max_size: 4Ki}":                               pool.Bytes(4096),
		"drain: {grace: 1h30m}":                               pool.Duration(90 * time.Minute),
		"drain: {grace: 1.5s}":                                pool.Duration(1500 * time.Millisecond),
		"drain: {grace: '0'}":                                 pool.Duration(0),
		"health: {http: {}}":                                  &pool.HTTPProbe{},
		"health: {tcp: {}}":                                   &pool.TCPProbe{},
		"health: {grpc: {}}":                                  &pool.GRPCProbe{},
		"health: {exec: {}}":                                  &pool.ExecProbe{},
		"health: {exec: {command: []}}":                       &pool.ExecProbe{},
		"description: |\n  two\n  lines\n":                    "two\nlines\n",
		"description: 'yes'":                                  "yes",
		"description: yes":                                    "yes",
		"description: !!str 1":                                "1",
		"labels: {'1': one}":                                  map[string]string{"1": "one"},
		"base: 1":                                             nil,
		"labels: &l {a: b}\nrestart_triggers: *l":             map[string]string{"a": "b"},
		"worker: {command: &c [a, b], env: {}}":               []string{"a", "b"},
		"size: 0":                                             int64(0),
		"{\"description\": \"\\ud83d\\ude00 \\/ \\u00fc\"}":   "😀 / ü",
		"{\n\t\"description\":\t\"tabs\",\n\t\"size\":\t1\n}": "tabs",
		"\ufeffdescription: marked":                           "marked",
		"\ufeff{\"description\": \"marked\"}":                 "marked",
		"description: windows\r\nsize: 1\r\n":                 "windows",
	} {
		spec, err := pool.Decode([]byte(document))
		if want == nil {
			require.Error(t, err, document)
			continue
		}
		require.NoError(t, err, document)
		require.Contains(t, []any{
			spec.Update.MaxSurge, spec.Logs.MaxSize, spec.Drain.Grace, spec.Health.HTTP, spec.Health.TCP, spec.Health.GRPC, spec.Health.Exec,
			spec.Description, spec.Labels, spec.RestartTriggers, spec.Worker.Command, size(spec),
		}, want, document)
	}
}

func size(s pool.Spec) any {
	if s.Size == nil {
		return nil
	}
	return *s.Size
}

// place is a fault as far as a test says it: where, and part of what.
type place struct {
	line, column int
	path         string
	says         string
}

func TestAFaultNamesItsPlace(t *testing.T) {
	for behaviour, c := range map[string]struct {
		document string
		want     []place
	}{
		"unknown fields, at every depth": {
			"name: web\nnmae: x\nworker:\n  comand: [a]\n  ports:\n  - name: a\n    nam: b\nhealth: {http: {paht: /}}\n", []place{
				{2, 1, "nmae", "no such field"}, {4, 3, "worker.comand", "no such field"},
				{7, 5, "worker.ports[0].nam", "no such field"}, {8, 17, "health.http.paht", "no such field"},
			}},
		"what would be valid beside an unknown field": {"worker: {comand: [a]}", []place{{1, 10, "worker.comand", "command, env, secret_env, secret_env_version, working_dir, ports"}}},
		"wrong types": {
			"name: [a]\nworker: []\nlabels: x\nsize: {}\nruntime: 1\nrestart_triggers: []\n", []place{
				{1, 7, "name", "not a string"}, {2, 9, "worker", "not an object"}, {3, 9, "labels", "not an object"},
				{4, 7, "size", "not a whole number"}, {5, 10, "runtime", "not an object"}, {6, 19, "restart_triggers", "not an object"},
			}},
		"wrong items": {
			"worker:\n  command: [a, 1, [b], null]\n  ports: [x, null, {name: 1}]\n  env: {A: 1, B: true, C: , D: [x]}\n", []place{
				{2, 16, "worker.command[1]", "not a string"}, {2, 19, "worker.command[2]", "not a string"}, {2, 24, "worker.command[3]", "not a string"},
				{3, 11, "worker.ports[0]", "not an object"}, {3, 14, "worker.ports[1]", "not an object"}, {3, 27, "worker.ports[2].name", "not a string"},
				{4, 12, `worker.env["A"]`, "not a string"}, {4, 18, `worker.env["B"]`, "not a string"}, {4, 27, `worker.env["C"]`, "not a string"}, {4, 32, `worker.env["D"]`, "not a string"},
			}},
		"a list that is none": {"worker: {command: run}", []place{{1, 19, "worker.command", "not a list"}}},
		"numbers that are not written plainly": {
			"size: 0x10\nlogs: {keep: 1_000}\nhealth: {healthy_threshold: 010, unhealthy_threshold: 1.0}\n", []place{
				{1, 7, "size", `"0x10"`}, {2, 14, "logs.keep", `"1_000"`}, {3, 29, "health.healthy_threshold", `"010"`}, {3, 55, "health.unhealthy_threshold", `"1.0"`},
			}},
		"more numbers that are not written plainly": {
			"size: +5\nlogs: {keep: 0o7}\nhealth: {healthy_threshold: 1e3, unhealthy_threshold: .inf}\n", []place{
				{1, 7, "size", `"+5"`}, {2, 14, "logs.keep", `"0o7"`}, {3, 29, "health.healthy_threshold", `"1e3"`}, {3, 55, "health.unhealthy_threshold", `".inf"`},
			}},
		"numbers that are too large": {
			"size: 99999999999999999999\nupdate: {max_surge: 99999999999}", []place{
				{1, 7, "size", "99999999999999999999"}, {2, 21, "update.max_surge", "number or percentage"},
			}},
		"quantities that cannot be counted": {
			"drain: {timeout: 9999999h, grace: -9999999h}\nlogs: {max_size: 99999999999GiB}\nupdate: {max_surge: 99999999999%}", []place{
				{1, 18, "drain.timeout", "is out of range (got \"9999999h\"); valid: a duration from 0s to 168h"}, {1, 35, "drain.grace", "is out of range"},
				{2, 18, "logs.max_size", "valid: a size in bytes from 4KiB to 10GiB"}, {3, 21, "update.max_surge", "is out of range"},
			}},
		"numbers in quotes and text that is none": {"size: '3'\nlogs: {keep: many}", []place{{1, 7, "size", "not a whole number"}, {2, 14, "logs.keep", "not a whole number"}}},
		"booleans of other languages": {
			"deletion_protection: yes\nremediation: {enabled: 'true'}", []place{
				{1, 22, "deletion_protection", "neither true nor false"}, {2, 24, "remediation.enabled", "neither true nor false"},
			}},
		"booleans in capitals":        {"deletion_protection: True", []place{{1, 22, "deletion_protection", `valid: true or false`}}},
		"a date":                      {"name: 2024-01-01", []place{{1, 7, "name", "dates, true and false in quotes"}}},
		"quantities that are none":    {"drain: {timeout: 5, grace: 5 minutes}\nlogs: {max_size: 1_024}\nupdate: {max_surge: 2.5, max_unavailable: -1}", []place{{1, 18, "drain.timeout", "a duration like"}, {1, 28, "drain.grace", "a duration like"}, {2, 18, "logs.max_size", `"10MiB"`}, {3, 21, "update.max_surge", `"25%"`}, {3, 43, "update.max_unavailable", `"25%"`}}},
		"signs where none belong":     {"logs: {max_size: +5MiB}\nupdate: {max_surge: +5%}", []place{{1, 18, "logs.max_size", ""}, {2, 21, "update.max_surge", ""}}},
		"fields that are there twice": {"name: a\nworker: {command: [a], command: [b]}\nname: b\nlabels: {x: y, x: z}", []place{{2, 24, "worker.command", "twice"}, {3, 1, "name", "twice"}, {4, 16, "labels.x", "twice"}}},
		"keys that are no text": {
			"1: a\ntrue: b\n~: c\n? [d]\n: e\nlabels: {2: x, 1.5: y, 2024-01-01: z, ? {a: b} : c}", []place{
				{1, 1, "", "a key is not text"}, {2, 1, "", "a key is not text"}, {3, 1, "", "a key is not text"}, {4, 3, "", "a key is not text"},
				{6, 10, "labels", "a key is not text"}, {6, 16, "labels", "a key is not text"}, {6, 24, "labels", "a key is not text"}, {6, 41, "labels", "a key is not text"},
			}},
		"merges":                          {"labels: &l {a: b}\nrestart_triggers:\n  <<: *l\n", []place{{3, 3, "restart_triggers", "merges are not read"}}},
		"tags of other types":             {"name: !!binary aGVsbG8=\nsize: !!str 3\ndescription: !mine x", []place{{1, 7, "name", "not a string"}, {2, 7, "size", "not a whole number"}, {3, 14, "description", "not a string"}}},
		"an alias of the wrong type":      {"labels: &l {a: b}\nworker:\n  command: *l\n", []place{{1, 9, "worker.command", "not a list"}}},
		"an alias that holds itself":      {"labels: &l\n  a: *l\n", []place{{1, 9, `labels["a"]`, "not a string"}}},
		"an alias of nothing":             {"name: *nobody", []place{{1, 7, "", "unknown anchor"}}},
		"a runtime that is not there yet": {"runtime: {docker: {}}", []place{{1, 11, "runtime.docker", "process"}}},
		"JSON, with its tabs":             {"{\n\t\"name\": \"web\",\n\t\"worker\": {\n\t\t\"comand\": [],\n\t\t\"command\": [1, \"ü\", false]\n\t},\n\t\"size\": 1.5,\n\t\"name\": null\n}", []place{{4, 3, "worker.comand", "no such field"}, {5, 15, "worker.command[0]", "not a string"}, {5, 23, "worker.command[2]", "not a string"}, {7, 10, "size", "not a whole number"}, {8, 2, "name", "twice"}}},
		"JSON on one line":                {`{"description":"übung","siez":1,"size":"1"}`, []place{{1, 24, "siez", "no such field"}, {1, 40, "size", "not a whole number"}}},
		"numbers of JSON":                 {`{"size": 1e2, "logs": {"keep": 1.0, "max_size": 4096.5}}`, []place{{1, 10, "size", ""}, {1, 32, "logs.keep", ""}, {1, 49, "logs.max_size", ""}}},
	} {
		t.Run(behaviour, func(t *testing.T) {
			_, err := pool.Decode([]byte(c.document))
			requirePlaces(t, c.want, err)
		})
	}
}

func TestAFaultOfASecretDoesNotRepeatIt(t *testing.T) {
	for _, document := range []string{
		"worker: {secret_env: swordfish}",
		"worker: {secret_env: {TOKEN: 5001}}",
		"worker: {secret_env: {TOKEN: {inner: swordfish}}}",
		"worker: {secret_env: [swordfish, 5001]}",
	} {
		_, err := pool.Decode([]byte(document))
		require.ErrorContains(t, err, "worker.secret_env", document)
		require.NotRegexp(t, "swordfish|5001", err.Error(), document)
	}
}

func TestADocumentThatCannotBeReadNamesThePlace(t *testing.T) {
	for behaviour, c := range map[string]struct {
		document string
		want     place
	}{
		"nothing":                         {"", place{0, 0, "", "the document is empty"}},
		"blanks":                          {" \n\t\n", place{0, 0, "", "the document is empty"}},
		"a comment":                       {"# nothing here\n", place{0, 0, "", "the document is empty"}},
		"a beginning":                     {"---\n", place{0, 0, "", "the document is empty"}},
		"null":                            {"null", place{1, 1, "", "not an object"}},
		"a list":                          {"\n- a", place{2, 1, "", "not an object"}},
		"text":                            {`"web"`, place{1, 1, "", "not an object"}},
		"two documents":                   {"name: a\n---\nname: b", place{2, 1, "", "a second document follows"}},
		"a broken second document":        {"name: a\n---\nname: [", place{3, 8, "", ""}},
		"a tab as indentation":            {"worker:\n\tcommand: [a]", place{2, 1, "", "cannot start any token"}},
		"an open quote":                   {"name: \"web\nsize: 3", place{2, 8, "", "unexpected end"}},
		"an open list":                    {"name: a\nworker: {command: [a", place{2, 21, "", "expected ',' or ']'"}},
		"a wrong indentation":             {"name: a\n  size: 3", place{2, 7, "", "mapping values are not allowed"}},
		"a reserved character":            {"name: web\ndescription: @home", place{2, 14, "", "cannot start any token"}},
		"bytes that are no UTF-8":         {"name: web\ndescription: \"ü\xff\"", place{2, 16, "", "UTF-8"}},
		"bytes in JSON that are no UTF-8": {"{\"name\":\n\"\xff\"}", place{2, 2, "", "UTF-8"}},
		"a control character":             {"name: web\nsize: \x00", place{2, 7, "", "control characters"}},
		"a future YAML":                   {"%YAML 3.0\n---\na: b", place{1, 1, "", "incompatible"}},
		"JSON with a comma too much":      {"{\n  \"name\": \"web\",\n  \"size\": 3,,\n}", place{3, 13, "", "invalid character ','"}},
		"JSON that ends early":            {"{\n  \"name\": \"web\"", place{2, 16, "", "unexpected end of JSON"}},
		"JSON with something behind it":   {"{\"name\": \"web\"}\n }", place{2, 2, "", "invalid character '}'"}},
		"JSON with a broken escape":       {"{\"name\": \"\\x\"}", place{1, 12, "", "escape code"}},
		"JSON that is nested without end": {`{"a":` + strings.Repeat("[", 50_000), place{1, 10005, "", "depth"}},
		"YAML that is nested without end": {"a: " + strings.Repeat("[", 50_000), place{1, 10004, "", "depth"}},
	} {
		t.Run(behaviour, func(t *testing.T) {
			_, err := pool.Decode([]byte(c.document))
			requirePlaces(t, []place{c.want}, err)
		})
	}
}

func requirePlaces(t *testing.T, want []place, err error) {
	t.Helper()
	var faults pool.Faults
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults, len(want), "%v", err)
	for i, f := range faults {
		require.Equal(t, place{want[i].line, want[i].column, want[i].path, ""}, place{f.Line, f.Column, f.Path, ""}, "%v", f)
		require.Contains(t, f.String(), want[i].says)
		require.NotEmpty(t, f.Valid, "%v", f)
	}
}

func TestAFaultThatItsPathNamesDoesNotRepeatIt(t *testing.T) {
	for document, want := range map[string]string{
		"foo: 1":                           "line 1, column 1: foo: there is no such field; valid: name, ",
		"worker: {ports: [{port: 1}]}":     "worker.ports[0].port: there is no such field; valid: name",
		"size: 1\nsize: 2":                 "size: is there twice; valid: each field once",
		"{\"size\": 1, \"siz\\u0065\": 2}": "size: is there twice; valid: each field once",
	} {
		_, err := pool.Decode([]byte(document))
		require.ErrorContains(t, err, want)
	}
}

func TestAnAliasBombIsReadWithoutExploding(t *testing.T) {
	var b strings.Builder
	b.WriteString("description: x\nlabels: &a0 {k: lol}\n")
	for i := 1; i < 60; i++ {
		fmt.Fprintf(&b, "x%d: &a%d [*a%d, *a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1, i-1)
	}
	b.WriteString("worker: {command: *a59, env: *a59, ports: *a59}\n")
	_, err := pool.Decode([]byte(b.String()))
	var faults pool.Faults
	require.ErrorAs(t, err, &faults)
	require.Contains(t, faults.Error(), "x1: there is no such field")
	require.Contains(t, faults.Error(), "worker.command[0]: is not a string")
}

func TestManyAliasesOfALargeListStayWithinBounds(t *testing.T) {
	document := "worker:\n  command: &c [" + strings.Repeat("a,", 60_000) + "]\n  ports: *c\n"
	_, err := pool.Decode([]byte(document))
	var faults pool.Faults
	require.ErrorAs(t, err, &faults)
	require.LessOrEqual(t, len(faults), 101)
	require.Less(t, len(err.Error()), 64<<10)
}

func TestAnAnswerToNonsenseIsShort(t *testing.T) {
	long := strings.Repeat("n", 1<<20)
	for name, document := range map[string]string{
		"many faults":  "labels:\n" + strings.Repeat("  ? [a]\n  : b\n", 20_000),
		"a long value": "size: " + long,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pool.Decode([]byte(document))
			require.Error(t, err)
			require.Less(t, len(err.Error()), 64<<10)
		})
	}
}
