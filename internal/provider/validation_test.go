package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/stretchr/testify/require"
)

// invalid is a configuration with one fault.
type invalid struct {
	name   string
	config object
	at     string // the attribute at fault
	says   string // part of the message, without line breaks in Terraform's output
}

// port declares one port, for what needs one.
var port = at("worker.ports", list{object{"name": "http"}})

var invalidConfigs = []invalid{
	{"a name that is no DNS label", web(object{"name": "Web_1"}), "name", "label"},
	{"a name that is too long", web(object{"name": strings.Repeat("a", 64)}), "name", "63"},
	{"a description that is too long", web(object{"description": strings.Repeat("a", 1025)}), "description", "1024"},
	{"a label's key", web(object{"labels": object{"-x": "1"}}), `labels["-x"]`, "key"},
	{"a label's value", web(object{"labels": object{"x": strings.Repeat("a", 257)}}), `labels["x"]`, "256"},
	{"no command", web(at("worker.command", list{})), "worker.command", "required"},
	{"an empty program", web(at("worker.command", list{""})), "worker.command[0]", "empty"},
	{"a null argument", web(at("worker.command", list{"a", nil})), "worker.command[1]", "string"},
	{"a port that is not declared", web(at("worker.command", list{"a", "${PORT}"})), "worker.command[1]", "PORT"},
	{"a variable's name", web(at("worker.env", object{"1A": "x"})), `worker.env["1A"]`, "variable"},
	{"a variable that is ours", web(at("worker.env", object{"PORT": "80"})), `worker.env["PORT"]`, "Poolkeeper"},
	{"a relative directory", web(at("worker.working_dir", "srv")), "worker.working_dir", "absolute"},
	{"a port's name", web(at("worker.ports", list{object{"name": "HTTP"}})), "worker.ports[0]", "port"},
	{"a port without a name", web(at("worker.ports", list{object{}})), "worker.ports[0]", "port"},
	{"a port twice", web(at("worker.ports", list{object{"name": "a"}, object{"name": "a"}})), "worker.ports[1]", "twice"},
	{"no size", web(object{"size": nil}), "size", "required"},
	{"a negative size", web(object{"size": -1}), "size", "100000"},
	{"too large a size", web(object{"size": 100001}), "size", "100000"},
	{"a size that is not whole", web(object{"size": 1.5}), "size", "whole number"},
	{"a size beyond counting", web(object{"size": 1e30}), "size", "from 0 to 100000"},
	{"a threshold that is not whole", web(at("health.healthy_threshold", 2.5)), "health.healthy_threshold", "whole number"},
	{"another threshold that is not whole", web(at("health.unhealthy_threshold", 0.1)), "health.unhealthy_threshold", "whole number"},
	{"a number of logs that is not whole", web(at("logs.keep", 1.5)), "logs.keep", "whole number"},
	{"a share that is not whole", web(at("update.max_surge", "1.5")), "update.max_surge", "whole number"},
	{"two sizes", web(object{"autoscaling": object{"min": 1, "max": 2}}), "size", "one of size and autoscaling"},
	{"no most", web(object{"size": nil, "autoscaling": object{"min": 1}}), "autoscaling.max", "required"},
	{"more at least than most", web(object{"size": nil, "autoscaling": object{"min": 3, "max": 2}}), "autoscaling.min", "at most 2"},
	{"a dynamic pool of a size", web(object{"initialization": "dynamic"}), "initialization", "no autoscaling"},
	{"an empty pool of at least one", web(object{"size": nil, "initialization": "empty", "autoscaling": object{"min": 1, "max": 2}}), "autoscaling.min", "empty"},
	{"a size in an empty pool", web(object{"initialization": "empty"}), "size", "initialization"},
	{"an unknown initialization", web(object{"initialization": "lazy"}), "initialization", "prewarmed"},
	{"two probes", web(port, at("health.http", object{}), at("health.tcp", object{})), "health", "more than one"},
	{"a probe without a port", web(at("health.http", object{})), "health.http", "port"},
	{"a probe of another port", web(port, at("health.tcp.port", "admin")), "health.tcp.port", "http"},
	{"a gRPC probe of another port", web(port, at("health.grpc.port", "admin")), "health.grpc.port", "http"},
	{"a check without a command", web(at("health.exec", object{})), "health.exec.command", "required"},
	{"a check with an empty command", web(at("health.exec.command", list{})), "health.exec.command", "required"},
	{"a check without a program", web(at("health.exec.command", list{""})), "health.exec.command[0]", "empty"},
	{"a check with a null argument", web(at("health.exec.command", list{"a", nil})), "health.exec.command[1]", "string"},
	{"a check and another probe", web(port, at("health.exec.command", list{"a"}), at("health.grpc", object{})), "health", "grpc and exec"},
	{"a hook without a command", web(at("drain.hook.exec", object{})), "drain.hook.exec.command", "required"},
	{"a hook in two ways", web(port, at("drain.hook.exec.command", list{"a"}), at("drain.hook.http", object{})), "drain.hook", "two ways"},
	{"a probe of no path", web(port, at("health.http.path", "ok")), "health.http.path", "path"},
	{"no duration", web(at("health.interval", "soon")), "health.interval", "duration"},
	{"too short a duration", web(at("health.interval", "1ms")), "health.interval", "100ms"},
	{"too small a threshold", web(at("health.healthy_threshold", 0)), "health.healthy_threshold", "range"},
	{"no amount", web(at("remediation.max_unhealthy", "most")), "remediation.max_unhealthy", "percentage"},
	{"too large a share", web(at("remediation.max_unhealthy", "150%")), "remediation.max_unhealthy", "range"},
	{"no way to replace a worker", web(at("update.max_surge", "0")), "update.max_unavailable", "max_surge"},
	{"a deadline before readiness", web(at("update.min_ready", "15m")), "update.min_ready", "progress_deadline"},
	{"a signal that is none", web(at("drain.signal", "KILL")), "drain.signal", "TERM"},
	{"a time for the signal", web(at("drain.signal_at", "never")), "drain.signal_at", "start"},
	{"too long a drain", web(at("drain.timeout", "200h")), "drain.timeout", "168h"},
	{"no size in bytes", web(at("logs.max_size", "lots")), "logs.max_size", "size"},
	{"too small a log", web(at("logs.max_size", "1KiB")), "logs.max_size", "4KiB"},
	{"too many logs", web(at("logs.keep", 101)), "logs.keep", "range"},
	{"no timeout", web(at("timeouts.create", "soon")), "timeouts.create", "time"},
	{"a negative timeout", web(at("timeouts.create", "-5s")), "timeouts.create", "from 0s"},
	{"another negative timeout", web(at("timeouts.delete", "-1ms")), "timeouts.delete", "from 0s"},
}

func TestAnInvalidConfigurationFailsAtItsAttributeOnce(t *testing.T) {
	for _, row := range invalidConfigs {
		t.Run(row.name, func(t *testing.T) {
			tf := newTerraform(t, newFake())
			found := tf.validate(row.config)
			if len(found) == 0 {
				found = tf.plan(row.config).diagnostics
			}
			require.Len(t, found, 1, "%v", summaries(found))
			require.Equal(t, tfprotov6.DiagnosticSeverityError, found[0].Severity)
			require.Equal(t, row.at, dotted(found[0].Attribute))
			require.Contains(t, found[0].Detail, row.says)
		})
	}
}

func TestEveryFaultIsFoundAtOnce(t *testing.T) {
	tf := newTerraform(t, newFake())
	found := tf.validate(web(object{"name": "No", "size": -1}, at("drain.timeout", "soon"), at("worker.env", object{"PORT": "1"})))
	var paths []string
	for _, d := range found {
		paths = append(paths, dotted(d.Attribute))
	}
	require.ElementsMatch(t, []string{"name", "size", "drain.timeout", `worker.env["PORT"]`}, paths)
}

func TestAnUnknownValueAnywhereIsNoFault(t *testing.T) {
	for _, path := range unknownPaths() {
		t.Run(path, func(t *testing.T) {
			tf := newTerraform(t, newFake())
			config := replacedAt(probed(), path, unknown)
			require.Empty(t, summaries(tf.validate(config)))
			p := tf.plan(config)
			require.Empty(t, summaries(p.diagnostics), "creation")
			require.Equal(t, unknown, plain(p.at(path)), "the plan keeps it")

			tf.reaches(probed())
			p = tf.plan(config)
			require.Empty(t, summaries(p.diagnostics), "update")
			require.Equal(t, unknown, plain(p.at(path)), "the plan keeps it")
		})
	}
}
