package pool_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// specs are all specs that can be written, valid or not.
func specs() *rapid.Generator[pool.Spec] {
	return rapid.Custom(func(t *rapid.T) pool.Spec {
		text := func(name string) string { return rapid.String().Draw(t, name) }
		whole := func(name string) int64 { return rapid.Int64().Draw(t, name) }
		yes := func(name string) bool { return rapid.Bool().Draw(t, name) }
		duration := func(name string) pool.Duration { return pool.Duration(rapid.Int64().Draw(t, name)) }
		amount := func(name string) pool.Amount {
			return pool.Amount{Value: rapid.Int64Range(0, math.MaxInt32).Draw(t, name), Percent: yes(name + " percent")}
		}
		texts := func(name string) map[string]string {
			m := rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, name)
			if len(m) == 0 {
				return nil
			}
			return m
		}
		s := pool.Spec{
			Name: text("name"), Description: text("description"), Labels: texts("labels"),
			Worker:         pool.WorkerTemplate{Env: texts("env"), WorkingDir: text("working_dir")},
			Initialization: text("initialization"),
			Health: pool.HealthCheck{
				Interval: duration("interval"), Timeout: duration("timeout"), StartPeriod: duration("start_period"),
				HealthyThreshold: whole("healthy"), UnhealthyThreshold: whole("unhealthy"),
			},
			Remediation: pool.Remediation{Enabled: yes("enabled"), MaxUnhealthy: amount("max_unhealthy")},
			Update:      pool.Update{MaxSurge: amount("surge"), MaxUnavailable: amount("unavailable"), MinReady: duration("min_ready"), ProgressDeadline: duration("deadline")},
			Drain:       pool.Drain{Timeout: duration("drain"), DeregisterDelay: duration("deregister"), Signal: text("signal"), SignalAt: text("signal_at"), Grace: duration("grace")},
			Logs:        pool.Logs{MaxSize: pool.Bytes(rapid.Int64Range(0, math.MaxInt64).Draw(t, "max_size")), Keep: whole("keep")},

			RestartTriggers: texts("triggers"), DeletionProtection: yes("protection"),
		}
		if command := rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "command"); len(command) > 0 {
			s.Worker.Command = command
		}
		for _, name := range rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "ports") {
			s.Worker.Ports = append(s.Worker.Ports, pool.Port{Name: name})
		}
		if yes("sized") {
			s.Size = number(whole("size"))
		}
		if yes("runtime") {
			s.Runtime.Process = &pool.ProcessRuntime{Host: text("host")}
		}
		if yes("http") {
			s.Health.HTTP = &pool.HTTPProbe{Path: text("path"), Port: text("http port")}
		}
		if yes("tcp") {
			s.Health.TCP = &pool.TCPProbe{Port: text("tcp port")}
		}
		return s
	})
}

func TestEverySpecComesBackFromItsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := specs().Draw(t, "spec")
		data, err := json.MarshalIndent(s, "", rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "indentation"))
		require.NoError(t, err)
		back, err := pool.Decode(data)
		require.NoError(t, err)
		require.Equal(t, s, back)
		require.Empty(t, pool.Changes(s, back))
		patched, err := pool.Patch(pool.Default(), data)
		require.NoError(t, err)
		require.Equal(t, s, patched, "a whole spec is a patch to itself")
	})
}

func TestNoSpecMakesValidationPanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := specs().Draw(t, "a"), specs().Draw(t, "b")
		unknown := rapid.SampledFrom(pool.Fields).Draw(t, "unknown").Path
		if err := pool.ValidateCreation(a, func(path string) bool { return path == unknown }); err != nil {
			require.NotEmpty(t, err.Error())
		}
		require.Len(t, pool.Changes(a, b), len(pool.Changes(b, a)))
		require.Equal(t, pool.ChangeOf(a, b), pool.ChangeOf(b, a))
	})
}

// FuzzDecode: no document makes Decode panic; what it accepts survives being written and read again; what
// it refuses is refused with faults that have a place inside of the document.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		everyField, "", "{}", "name: web\nsize: 3\nworker: {command: [a, b]}", "labels: &l {a: b}\nrestart_triggers: *l",
		"a: &a [*a]", "? [x]\n: y", "<<: {a: b}", "size: 0x10", "size: 1_000", "size: 99999999999999999999", "deletion_protection: yes",
		"{\n\t\"name\": \"\\ud83d\\ude00\",\n\t\"size\": 1e3\n}", "{\"name\": \"a\",, }", "name: a\n---\nname: b", "\ufeffname: \xff",
		"update: {max_surge: 25%, max_unavailable: '1'}", "logs: {max_size: 4Ki}", "drain: {timeout: 1h, grace: .5s}", "health: {http: {}, tcp: null}",
		"worker:\n  ports:\n  - name: http\n  - {name: a, b: c}\n", "%YAML 1.1\n--- !!map\nname: 'x'\n...", "name: !!binary eA==", "\x00", "[", "\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		s, err := pool.Decode(document)
		if _, patchErr := pool.Patch(validSpec(), document); err == nil {
			require.NoError(t, patchErr, "a document is also a patch")
		}
		if err != nil {
			var faults pool.Faults
			require.ErrorAs(t, err, &faults)
			require.NotEmpty(t, faults)
			for _, fault := range faults {
				require.NotEmpty(t, fault.Reason)
				require.LessOrEqual(t, fault.Line, len(document)+1)
				require.LessOrEqual(t, fault.Column, len(document)+1)
				require.GreaterOrEqual(t, fault.Line, 0)
				require.Equal(t, fault.Line > 0, fault.Column > 0)
			}
			return
		}
		data, err := json.Marshal(s)
		require.NoError(t, err)
		again, err := pool.Decode(data)
		require.NoError(t, err, "%s", data)
		require.Equal(t, s, again)
		_ = pool.ValidateCreation(s, nil)
		require.NotEmpty(t, pool.TemplateHash(s, 1))
	})
}
