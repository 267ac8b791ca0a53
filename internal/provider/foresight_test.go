package provider

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// replacing is a forecast of workers that are replaced one after the other.
func replacing(n int) api.Plan {
	f := api.Plan{Launches: n, Drains: n, WorstTime: pool.Duration(12 * time.Minute)}
	for i := range n {
		f.Waves = append(f.Waves, api.Wave{
			After: pool.Duration(time.Duration(i) * time.Minute), Launches: 1,
			Drains: []api.Victim{{WorkerID: fmt.Sprint("w_", i+1), Reason: "its template is old"}},
		})
	}
	return f
}

func TestAPlanWarnsOfWhatAnUpdateDoes(t *testing.T) {
	env := func(v any) object { return object{"worker": object{"env": object{"A": v}}} }
	refused := problem(api.ProblemInvalid, 422, "the spec is not valid")
	refused.Errors = pool.Faults{{Path: "worker.working_dir", Reason: "is no directory on host here"}}
	halted := replacing(1)
	halted.Waits = "canary: 1 of 1 workers are available; promote the rollout to go on, or abort it"
	for name, row := range map[string]struct {
		change   object
		foreseen api.Plan
		broken   error
		expected []string // nil: nothing
	}{
		"a rollout": {env("2"), replacing(2), nil, []string{
			"warning: Pool \"web\": 2 workers will be replaced: ",
			"at once: 1 worker started; 1 worker drained: w_1 (its template is old)", "after 1m: 1 worker started", "at most about 12m",
		}},
		"one of many waves":         {env("2"), replacing(9), nil, []string{"after 3m: ", "and 5 waves more"}},
		"one that comes to a halt":  {env("2"), halted, nil, []string{"After at most about 12m it comes to a halt: canary: 1 of 1"}},
		"a smaller size":            {object{"size": 1}, api.Plan{Drains: 2, Waves: []api.Wave{{Drains: []api.Victim{{WorkerID: "w_1"}, {WorkerID: "w_2"}}}}}, nil, []string{"2 workers will go"}},
		"values that are not known": {env(unknown), replacing(3), nil, []string{"Not all values are known yet (worker.env): this is the worst that they can bring."}},
		"a short timeout": {overlaid(env("2"), object{"timeouts": object{"update": "5m"}}), replacing(1), nil, []string{
			"(timeouts.update): It can take 12m, and timeouts.update is 5m",
		}},
		"a long timeout, and no worker that goes": {object{"description": "news", "timeouts": object{"update": "1h"}}, api.Plan{}, nil, nil},
		"what the manager would refuse": {env("2"), api.Plan{}, problem(api.ProblemInvalid, 422, "worker.command[0]: does not exist"), []string{
			"as things stand, the manager would refuse this", "worker.command[0]: does not exist",
		}},
		"a manager that does not tell":    {env("2"), api.Plan{}, errors.New("no idea"), nil},
		"a change that asks nothing":      {object{"timeouts": object{"update": "1s"}}, replacing(1), nil, nil},
		"a change that needs another one": {object{"name": "other"}, replacing(1), nil, nil},
		"what the manager would refuse of an attribute": {env("2"), api.Plan{}, refused, []string{
			"as things stand, the manager would refuse this (worker.working_dir): ", "An apply fails unless",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(web(env("1")))
			fake.foreseen = row.foreseen
			fake.fail("Plan", row.broken)
			p := tf.plan(overlaid(web(env("1")), row.change))
			require.NoError(t, firstError(p.diagnostics))
			text := fmt.Sprint(summaries(p.diagnostics))
			for _, expected := range row.expected {
				require.Contains(t, text, expected)
			}
			if row.expected == nil {
				require.Empty(t, p.diagnostics)
			}
		})
	}
}

func TestADryRunIsOfTheWorstThatUnknownValuesCanBring(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web(object{"worker": object{"working_dir": "/srv"}}))
	tf.plan(web(object{"size": 4, "description": unknown, "worker": object{"working_dir": unknown}}))
	spec, err := pool.Decode(fake.dryRun)
	require.NoError(t, err)
	require.Equal(t, []any{int64(4), "/srv"}, []any{*spec.Size, spec.Worker.WorkingDir}, "what is known, and else what is there")
	require.NotEmpty(t, spec.RestartTriggers, "and all workers replaced, as the unknown may do")
}

func TestAPlannedDestroyWarnsOfATimeoutThatIsShorterThanTheDrain(t *testing.T) {
	for name, row := range map[string]struct {
		config object
		warns  bool
	}{
		"shorter":           {object{"timeouts": object{"delete": "1m"}, "drain": object{"timeout": "5m"}}, true},
		"longer":            {object{"timeouts": object{"delete": "10m"}, "drain": object{"timeout": "5m"}}, false},
		"none":              {object{"drain": object{"timeout": "5m"}}, false},
		"shorter, by force": {object{"timeouts": object{"delete": "1m"}, onDestroy: destroyForces}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tf := newTerraform(t, newFake())
			tf.reaches(web(row.config))
			diagnostics := tf.destroy()
			require.Equal(t, row.warns, len(diagnostics) > 0, "%v", summaries(diagnostics))
			require.NoError(t, firstError(diagnostics))
		})
	}
}
