package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func fields(line string) []string { return strings.Fields(line) }

func written(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pool.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestValidateNeedsNoManager(t *testing.T) {
	plain(t)
	path := written(t, webSpec)
	got := command(t, nil, "", "validate", "-f", path)
	require.Equal(t, outcomeOf{out: path + " is valid\n"}, got)
	got = command(t, nil, webSpec, "validate", "-f", "-", "-o", "yaml")
	require.Zero(t, got.code, got.err)
	require.Contains(t, got.out, "max_surge: 25%\n", "the spec is shown with its defaults")
}

func TestValidateNamesEachFaultAndItsPlace(t *testing.T) {
	plain(t)
	for name, row := range map[string]struct{ text, want string }{
		"what Validate finds": {`name: Web
size: 3
worker:
  command: [worker, "${PORT}"]
  env:
    PORT: "1"
health:
  interval: 1ms
  tcp: {}
`, `%s is not valid: 5 faults
%[1]s:1:7: name: is not valid (got "Web"); valid: a DNS label: 1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit
%[1]s:8:13: health.interval: is out of range (got "1ms"); valid: a duration from 100ms to 1h
%[1]s:4:21: worker.command[1]: ${PORT} names no declared port (got "${PORT}"); valid: declare the port in worker.ports
%[1]s:6:11: worker.env["PORT"]: is set by Poolkeeper (got "PORT"); valid: any name but PORT and POOLKEEPER_*
%[1]s:9:3: health.tcp: asks a port, but worker.ports declares none; valid: declare a port in worker.ports
`},
		"what Decode finds": {`name: web
sise: 3
worker:
  command: true
`, `%s is not valid: 2 faults
%[1]s:2:1: sise: there is no such field; valid: name, description, labels, runtime, worker, worker_limits, leases, size, autoscaling, initialization, health, remediation, update, drain, logs, restart_triggers, deletion_protection
%[1]s:4:12: worker.command: is not a list (got "true"); valid: a list
`},
		"a field that is missing": {"{\"name\": \"web\",\n \"worker\": {}, \"size\": 1}", `%s is not valid: 1 fault
%[1]s:2:2: worker.command: is required; valid: a list of strings
`},
		"no name": {"size: 1\nworker:\n  command: [x]\n", `%s is not valid: 1 fault
%[1]s:1:1: name: is required; valid: a DNS label: 1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit
`},
	} {
		t.Run(name, func(t *testing.T) {
			path := written(t, row.text)
			want := "Error: " + fmt.Sprintf(row.want, path)
			for _, line := range []string{"validate -f ", "pool apply -f "} {
				if strings.HasPrefix(line, "pool") && (name == "what Validate finds" || name == "a field that is missing") {
					continue // only the manager judges a spec that it is given
				}
				got := command(t, nil, "", fields(line+path)...)
				require.Equal(t, outcomeOf{code: exitFailed, err: want}, got)
			}
		})
	}
}

func TestABrokenDocumentIsNamedWithLineAndColumn(t *testing.T) {
	plain(t)
	for name, text := range map[string]string{
		"broken YAML": "name: web\nworker: [\n",
		"broken JSON": `{"name": "web",`,
		"nothing":     "",
		"a list":      "- name: web\n",
		"two":         "name: web\n---\nname: b\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := command(t, nil, text, "validate", "-f", "-")
			require.Equal(t, exitFailed, got.code)
			require.Contains(t, got.err, "Error: standard input is not valid: 1 fault\nstandard input")
		})
	}
}

func TestADocumentThatNoManagerTakesIsRefusedAtOnce(t *testing.T) {
	plain(t)
	got := command(t, nil, strings.Repeat("#", 10<<20), "pool", "apply", "-f", "-")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.err, "standard input is too large: a manager takes at most 1048576 bytes")
}

func TestTheManagersFaultsAreShownInTheDocument(t *testing.T) {
	plain(t)
	m := newFake()
	m.refuse = fmt.Errorf("update pool %q: %w", "web", &client.Problem{Type: api.ProblemBase + api.ProblemInvalid, Status: 422, Detail: "the spec is invalid",
		Errors: pool.Faults{{Path: "worker.command[0]", Value: `"worker"`, Reason: "there is no such program"}}})
	path := written(t, webSpec)
	got := command(t, m, "", "pool", "apply", "-f", path)
	require.Equal(t, exitFailed, got.code)
	require.Equal(t, fmt.Sprintf("Error: %s is not valid: 1 fault\n%[1]s:4:13: worker.command[0]: there is no such program (got \"worker\")\n", path), got.err)
}

func TestAFaultsPathIsSplitIntoSteps(t *testing.T) {
	for path, want := range map[string][]string{
		"":                             nil,
		"size":                         {"size"},
		"health.http.port":             {"health", "http", "port"},
		"worker.ports[1].name":         {"worker", "ports", "1", "name"},
		`worker.env["A.B]\"["].x`:      {"worker", "env", `A.B]"[`, "x"},
		`labels["a"]["b"]`:             {"labels", "a", "b"},
		"worker.command[12]":           {"worker", "command", "12"},
		"worker.command[":              {"worker", "command", ""},
		`restart_triggers["unfinished`: {"restart_triggers", `"unfinished`},
	} {
		require.Equal(t, want, steps(path), path)
	}
}

func TestTheSchemaForEditorsIsPrinted(t *testing.T) {
	plain(t)
	got := command(t, nil, "", "validate", "--schema")
	require.Zero(t, got.code, got.err)
	var schema struct {
		Properties map[string]any `json:"properties"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.out), &schema))
	require.Contains(t, schema.Properties, "worker")
}
