package pool_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// changed are a change of each field, of exactly that field.
var changed = map[string]func(*pool.Spec){
	"name":                        func(s *pool.Spec) { s.Name = "other" },
	"description":                 func(s *pool.Spec) { s.Description = "" },
	"labels":                      func(s *pool.Spec) { s.Labels = map[string]string{"team": "edge"} },
	"runtime.process.host":        func(s *pool.Spec) { s.Runtime.Process = &pool.ProcessRuntime{Host: "node-2"} },
	"worker.command":              func(s *pool.Spec) { s.Worker.Command = []string{"/bin/worker", "${PORT}", "--port"} },
	"worker.env":                  func(s *pool.Spec) { s.Worker.Env = map[string]string{"MODE": "fast", "MORE": ""} },
	"worker.secret_env":           func(s *pool.Spec) { s.Worker.SecretEnv = map[string]string{"TOKEN": "another"} },
	"worker.secret_env_version":   func(s *pool.Spec) { s.Worker.SecretEnvVersion = number(8) },
	"worker.working_dir":          func(s *pool.Spec) { s.Worker.WorkingDir = "" },
	"worker.ports":                func(s *pool.Spec) { s.Worker.Ports = []pool.Port{{Name: "admin"}, {Name: "http"}} },
	"worker.on_exit_zero":         func(s *pool.Spec) { s.Worker.OnExitZero = pool.ExitZeroReplace },
	"worker_limits.max_age":       func(s *pool.Spec) { s.WorkerLimits.MaxAge = nil },
	"worker_limits.max_leases":    func(s *pool.Spec) { s.WorkerLimits.MaxLeases = number(7) },
	"leases.slots":                func(s *pool.Spec) { s.Leases.Slots++ },
	"leases.ttl":                  func(s *pool.Spec) { s.Leases.TTL++ },
	"remediation.backoff":         func(s *pool.Spec) { s.Remediation.Backoff++ },
	"update.canary.count":         func(s *pool.Spec) { s.Update.Canary.Count = nil },
	"update.canary.bake":          func(s *pool.Spec) { s.Update.Canary.Bake = nil },
	"update.canary.promote":       func(s *pool.Spec) { s.Update.Canary.Promote = "" },
	"update.on_failure":           func(s *pool.Spec) { s.Update.OnFailure = pool.OnFailureRollback },
	"update.windows":              func(s *pool.Spec) { s.Update.Windows = nil },
	"drain.on_timeout":            func(s *pool.Spec) { s.Drain.OnTimeout = pool.OnTimeoutTerminate },
	"drain.hook.http.path":        func(s *pool.Spec) { s.Drain.Hook.HTTP.Path = "" },
	"drain.hook.http.port":        func(s *pool.Spec) { s.Drain.Hook.HTTP.Port = "" },
	"drain.hook.exec.command":     func(s *pool.Spec) { s.Drain.Hook.Exec = &pool.ExecProbe{Command: []string{"/bin/go"}} },
	"drain.active_jobs.path":      func(s *pool.Spec) { s.Drain.ActiveJobs.Path = "" },
	"drain.active_jobs.port":      func(s *pool.Spec) { s.Drain.ActiveJobs.Port = "" },
	"drain.active_jobs.json_path": func(s *pool.Spec) { s.Drain.ActiveJobs.JSONPath = "" },
	"size":                        func(s *pool.Spec) { s.Size = number(0) },
	"autoscaling.min":             rescaled(func(a *pool.Autoscaling) { a.Min = number(1) }),
	"autoscaling.max":             rescaled(func(a *pool.Autoscaling) { a.Max = number(99) }),
	"autoscaling.initial":         rescaled(func(a *pool.Autoscaling) { a.Initial = nil }),
	"autoscaling.idle_timeout":    rescaled(func(a *pool.Autoscaling) { a.IdleTimeout = nil }),
	"initialization":              func(s *pool.Spec) { s.Initialization = pool.Empty },
	"health.http.path":            func(s *pool.Spec) { s.Health.HTTP = &pool.HTTPProbe{Port: "admin"} },
	"health.http.port":            func(s *pool.Spec) { s.Health.HTTP = &pool.HTTPProbe{Path: "/healthz"} },
	"health.tcp.port":             func(s *pool.Spec) { s.Health.TCP = &pool.TCPProbe{Port: "admin"} },
	"health.grpc.port":            func(s *pool.Spec) { s.Health.GRPC = &pool.GRPCProbe{Port: "admin", Service: "web.Front"} },
	"health.grpc.service":         func(s *pool.Spec) { s.Health.GRPC = &pool.GRPCProbe{Port: "http"} },
	"health.exec.command":         func(s *pool.Spec) { s.Health.Exec = &pool.ExecProbe{Command: []string{"/bin/check"}} },
	"health.interval":             func(s *pool.Spec) { s.Health.Interval++ },
	"health.timeout":              func(s *pool.Spec) { s.Health.Timeout++ },
	"health.healthy_threshold":    func(s *pool.Spec) { s.Health.HealthyThreshold++ },
	"health.unhealthy_threshold":  func(s *pool.Spec) { s.Health.UnhealthyThreshold++ },
	"health.start_period":         func(s *pool.Spec) { s.Health.StartPeriod = 0 },
	"remediation.enabled":         func(s *pool.Spec) { s.Remediation.Enabled = true },
	"remediation.max_unhealthy":   func(s *pool.Spec) { s.Remediation.MaxUnhealthy.Percent = true },
	"update.max_surge":            func(s *pool.Spec) { s.Update.MaxSurge.Value = 0 },
	"update.max_unavailable":      func(s *pool.Spec) { s.Update.MaxUnavailable.Value = 2 },
	"update.min_ready":            func(s *pool.Spec) { s.Update.MinReady = 0 },
	"update.progress_deadline":    func(s *pool.Spec) { s.Update.ProgressDeadline = pool.Duration(time.Second) },
	"drain.timeout":               func(s *pool.Spec) { s.Drain.Timeout = 0 },
	"drain.deregister_delay":      func(s *pool.Spec) { s.Drain.DeregisterDelay = 1 },
	"drain.signal":                func(s *pool.Spec) { s.Drain.Signal = "TERM" },
	"drain.signal_at":             func(s *pool.Spec) { s.Drain.SignalAt = pool.SignalAfter },
	"drain.grace":                 func(s *pool.Spec) { s.Drain.Grace = 0 },
	"logs.max_size":               func(s *pool.Spec) { s.Logs.MaxSize = 4096 },
	"logs.keep":                   func(s *pool.Spec) { s.Logs.Keep = 9 },
	"restart_triggers":            func(s *pool.Spec) { s.RestartTriggers = nil },
	"deletion_protection":         func(s *pool.Spec) { s.DeletionProtection = false },
}

// rescaled changes how a pool sizes itself; one that does not is made to.
func rescaled(change func(*pool.Autoscaling)) func(*pool.Spec) {
	return func(s *pool.Spec) {
		if s.Autoscaling == nil {
			s.Size, s.Autoscaling = nil, wantEveryField().Autoscaling
		}
		change(s.Autoscaling)
	}
}

// compared is a spec with all probes and hooks, so that every field can change alone.
func compared() pool.Spec {
	s := validSpec()
	s.Health, s.Drain.Hook, s.Autoscaling = wantEveryField().Health, wantEveryField().Drain.Hook, wantEveryField().Autoscaling
	return s
}

func TestAChangeOfAFieldIsThatFieldsAndOfItsKind(t *testing.T) {
	for _, f := range pool.Fields {
		t.Run(f.Path, func(t *testing.T) {
			change, ok := changed[f.Path]
			require.True(t, ok, "the test knows no change of it")
			before, after := compared(), compared()
			change(&after)
			changes := pool.Changes(before, after)
			if f.Secret {
				require.Empty(t, changes, "its version is what differs")
				return
			}
			require.Len(t, changes, 1)
			require.Equal(t, f.Path, changes[0].Path)
			require.Equal(t, f.Change, changes[0].Change)
			require.NotEqual(t, changes[0].Old, changes[0].New)
			require.Equal(t, f.Change, pool.ChangeOf(before, after))
			require.Equal(t, f.Change, pool.ChangeOf(after, before), "a change back is as hard")
		})
	}
}

func TestAChangeShowsTheOldAndTheNewValueAsWritten(t *testing.T) {
	for path, want := range map[string][2]string{
		"size":                     {"3", "0"},
		"remediation.enabled":      {"false", "true"},
		"update.progress_deadline": {"1h", "1s"},
		"logs.max_size":            {"1GiB", "4KiB"},
		"update.max_surge":         {"50%", "0%"},
		"worker.ports":             {`[{"name":"http"},{"name":"admin"}]`, `[{"name":"admin"},{"name":"http"}]`},
		"labels":                   {`{"team":"core"}`, `{"team":"edge"}`},
		"restart_triggers":         {`{"version":"7"}`, ""},
	} {
		after := compared()
		changed[path](&after)
		c := pool.Changes(compared(), after)[0]
		require.Equal(t, want, [2]string{c.Old, c.New}, path)
	}
}

func TestThePresenceOfABareObjectIsAChange(t *testing.T) {
	objects := map[string]func(*pool.Spec){
		"health.http":       func(s *pool.Spec) { s.Health.HTTP = &pool.HTTPProbe{} },
		"health.tcp":        func(s *pool.Spec) { s.Health.TCP = &pool.TCPProbe{} },
		"health.grpc":       func(s *pool.Spec) { s.Health.GRPC = &pool.GRPCProbe{} },
		"health.exec":       func(s *pool.Spec) { s.Health.Exec = &pool.ExecProbe{} },
		"update.canary":     func(s *pool.Spec) { s.Update.Canary = &pool.Canary{} },
		"drain.hook.http":   func(s *pool.Spec) { s.Drain.Hook = &pool.DrainHook{HTTP: &pool.HTTPProbe{}} },
		"drain.hook.exec":   func(s *pool.Spec) { s.Drain.Hook = &pool.DrainHook{Exec: &pool.ExecProbe{}} },
		"drain.active_jobs": func(s *pool.Spec) { s.Drain.ActiveJobs = &pool.ActiveJobs{} },
	}
	require.Len(t, objects, len(pool.BareObjects(pool.Default())))
	for path, add := range objects {
		after, kind := pool.Default(), pool.ChangeContract
		if path == "update.canary" {
			kind = pool.ChangeHot
		}
		add(&after)
		require.True(t, pool.BareObjects(after)[path])
		require.Equal(t, []pool.FieldChange{{Path: path, Change: kind, Old: "false", New: "true"}}, pool.Changes(pool.Default(), after))
		require.Equal(t, []pool.FieldChange{{Path: path, Change: kind, Old: "true", New: "false"}}, pool.Changes(after, pool.Default()))
	}
}

func TestWhatMeansTheSameIsNoChange(t *testing.T) {
	for behaviour, change := range map[string]func(*pool.Spec){
		"nothing":          func(*pool.Spec) {},
		"an empty runtime": func(s *pool.Spec) { s.Runtime.Process = &pool.ProcessRuntime{} },
		"empty maps and lists": func(s *pool.Spec) {
			s.Labels, s.Worker.Env, s.Worker.Ports, s.Worker.Command = map[string]string{}, map[string]string{}, []pool.Port{}, []string{}
		},
	} {
		t.Run(behaviour, func(t *testing.T) {
			before, after := pool.Default(), pool.Default()
			change(&after)
			require.Empty(t, pool.Changes(before, after))
			require.Equal(t, pool.ChangeNone, pool.ChangeOf(before, after))
			require.Equal(t, pool.TemplateHash(before, 0), pool.TemplateHash(after, 0))
		})
	}
}

func TestTheHardestOfSeveralChangesCounts(t *testing.T) {
	after := compared()
	for _, path := range []string{"size", "drain.grace", "worker.env", "initialization"} {
		changed[path](&after)
	}
	require.Len(t, pool.Changes(compared(), after), 4)
	require.Equal(t, pool.ChangeRolling, pool.ChangeOf(compared(), after))
}

func TestTheTemplateHashChangesExactlyWithWhatAWorkerIsMadeFrom(t *testing.T) {
	base := pool.TemplateHash(compared(), 0)
	for _, f := range pool.Fields {
		after := compared()
		changed[f.Path](&after)
		if f.Change == pool.ChangeRolling {
			require.NotEqual(t, base, pool.TemplateHash(after, 0), f.Path)
		} else {
			require.Equal(t, base, pool.TemplateHash(after, 0), f.Path)
		}
	}
	require.NotEqual(t, base, pool.TemplateHash(compared(), 1), "a restart makes every worker old")
}

// These values are stored in every worker's row: if one changes, an upgrade of the manager replaces every
// worker of every pool.
func TestTheTemplateHashIsStable(t *testing.T) {
	require.Equal(t, "1:690d7be33c6f42fa4a7a3dea1288675c", pool.TemplateHash(pool.Default(), 0))
	require.Equal(t, "1:876f4714ce5bfa6c7ce1c205613c11ca", pool.TemplateHash(validSpec(), 3))
	older := validSpec() // of a time without secrets
	older.Worker.SecretEnv, older.Worker.SecretEnvVersion = nil, nil
	require.Equal(t, "1:fe455c562193d91870180cb1d18615b4", pool.TemplateHash(older, 3))
}
