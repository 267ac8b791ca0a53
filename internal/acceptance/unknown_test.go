//go:build linux

package acceptance

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryAttributeMayBeUnknownAtPlan feeds each attribute from another resource that does not exist yet.
func TestEveryAttributeMayBeUnknownAtPlan(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	w := newWorld(t)
	values := object{
		"name": "web", "description": "late", "labels": object{"team": "core"}, "runtime.process.host": host,
		"worker.command": list{w.worker}, "worker.env": object{"GREETING": "hello"}, "worker.working_dir": "/tmp",
		"worker.secret_env_wo": object{"TOKEN": "swordfish"}, "worker.secret_env_wo_version": 1,
		"worker.ports":        list{object{"name": "http"}, object{"name": "admin"}},
		"worker.on_exit_zero": "crash", "worker_limits.max_age": "1h", "worker_limits.max_leases": 1000, "leases.slots": 2, "leases.ttl": "30s",
		"size": 2, "initialization": "prewarmed",
		"health.http.path": "/healthz", "health.http.port": "http", "health.interval": "1s", "health.timeout": "2s",
		"health.healthy_threshold": 1, "health.unhealthy_threshold": 4, "health.start_period": "1s",
		"remediation.enabled": true, "remediation.max_unhealthy": "50%",
		"update.max_surge": "1", "update.max_unavailable": "1", "update.min_ready": "100ms", "update.progress_deadline": "1m",
		"remediation.backoff": "2s", "update.canary.count": 1, "update.canary.bake": "100ms", "update.canary.promote": "auto",
		"update.on_failure": "pause", "update.windows": list{object{"cron": "* * * * *", "duration": "2m", "time_zone": "UTC"}},
		"drain.on_timeout": "terminate", "drain.hook.http.path": "/drain", "drain.hook.http.port": "http",
		"drain.active_jobs.path": "/jobs", "drain.active_jobs.port": "http", "drain.active_jobs.json_path": "$.active",
		"drain.timeout": "5s", "drain.deregister_delay": "100ms", "drain.signal": "INT", "drain.signal_at": "start", "drain.grace": "1s",
		"logs.max_size": "1MiB", "logs.keep": 2, "restart_triggers": object{"image": "1"}, "deletion_protection": false,
	}
	otherWays := []string{"autoscaling.min", "autoscaling.max", "autoscaling.initial", "autoscaling.idle_timeout", "health.tcp.port", "health.grpc.port", "health.grpc.service", "health.exec.command", "drain.hook.exec.command"} // exclude size, health.http and drain.hook.http
	for _, f := range leavesInHCL() {
		require.True(t, values[f.Path] != nil || slices.Contains(otherWays, f.Path), "give a value for the attribute %s", f.Path)
	}

	late, source := object{}, set("resource.terraform_data.late.input", values)
	for path := range values {
		set(path, `${terraform_data.late.output["`+path+`"]}`)(late)
	}
	w.declare(late, source)
	plan := w.planJSON()
	require.Equal(t, []string{"create"}, plan.Actions)
	require.Subset(t, plan.unknown(), []string{"name", "size", "worker.command", "worker.env", "health.http.path", "drain.timeout", "logs.keep"})
	w.tf("apply", "-input=false", "plan").succeeded()
	w.plan().ended(planEmpty)
	require.Len(t, w.settled("web"), 2)
	view := w.pool("web")
	require.Equal(t, "late", view.Spec.Description)
	require.Equal(t, "/tmp", view.Spec.Worker.WorkingDir)

	// Whole objects, another probe, and a change whose kind is not known yet. The name and the host stay known:
	// what is unknown there could be another pool.
	for path := range values {
		if path == "name" || strings.HasPrefix(path, "runtime") {
			set(path, values[path])(late)
		}
	}
	for _, name := range []string{"worker", "health", "update", "drain"} {
		late[name] = "${terraform_data.late.output." + name + "}"
	}
	values["worker"] = object{"command": list{w.worker}, "env": object{"GREETING": "good day"}, "ports": list{object{"name": "http"}}}
	values["health"] = object{"tcp": object{"port": "http"}}
	values["update"], values["drain"] = object{"max_surge": "100%"}, object{"deregister_delay": "0s"}
	values["size"] = 3
	w.declare(late, source)
	plan = w.planJSON()
	require.Equal(t, []string{"update"}, plan.Actions)
	require.Subset(t, plan.unknown(), []string{"worker", "health", "last_change"})
	w.tf("apply", "-input=false", "plan").succeeded()
	require.Equal(t, "rolling", w.shown("last_change"))
	w.plan().ended(planEmpty)
	require.Len(t, w.settled("web"), 3)
	require.Equal(t, view.UID, w.pool("web").UID)
	w.destroy().succeeded()
}
