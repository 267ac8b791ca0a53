package provider

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

const handmade = `
name: handmade
size: 2
worker: {command: [sleep, "1000"], env: {A: "1"}}
drain: {timeout: 5m, deregister_delay: 0s, grace: 1s}
labels: {team: a}
`

func TestAccAnImportedPoolPlansEmpty(t *testing.T) {
	l := newLand(t)
	uid := l.made(handmade)
	l.run(
		resource.TestStep{
			ConfigDirectory: fixture(), ResourceName: resourceName, ImportState: true, ImportStateId: "handmade",
			ImportStatePersist: true,
			ImportStateCheck: func(states []*terraform.InstanceState) error {
				require.Equal(t, uid, states[0].Attributes["id"])
				return nil
			},
		},
		resource.TestStep{ // with the same configuration
			ConfigDirectory:  fixture(),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
		resource.TestStep{ // with timeouts: only they show
			ConfigDirectory: fixture(),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(resourceName, plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue(resourceName, tfjsonpath.New("ready_workers"), knownvalue.Int64Exact(2)),
				plancheck.ExpectKnownValue(resourceName, tfjsonpath.New("revision"), knownvalue.Int64Exact(1)),
			}},
		},
		resource.TestStep{
			ConfigDirectory: fixture(), ResourceName: resourceName, ImportState: true, ImportStateId: "handmade",
			ImportStateVerify: true, ImportStateVerifyIgnore: []string{"timeouts"},
		},
	)
}

func TestAccDriftShowsAndIsMended(t *testing.T) {
	patches := []string{
		`{"size": 3}`,
		`{"labels": {"by": "them"}}`,
		`{"description": null}`,
		`{"drain": {"timeout": "2m"}}`,
		`{"worker": {"env": {"A": "theirs"}}}`,
		`{"worker": {"ports": null}, "health": {"tcp": null}}`,
		`{"health": {"tcp": null, "http": {"path": "/theirs"}}, "remediation": {"enabled": false}}`,
		`{"update": {"max_unavailable": 1}, "logs": {"max_size": "3MB"}, "restart_triggers": {"x": "1"}}`,
		`{"deletion_protection": true}`,
	}
	l := newLand(t)
	program, err := os.Executable()
	require.NoError(t, err)
	config := resourceText("test", object{
		"name": "drifting", "description": "ours", "labels": object{"team": "a"}, "size": 1,
		"worker": object{"command": list{program}, "env": object{"A": "1", workerMode: "1"}, "ports": list{object{"name": "http"}}},
		"health": object{"tcp": object{}},
		"drain":  object{"timeout": "60s", "deregister_delay": "0s", "grace": "1s"},
	})
	steps := []resource.TestStep{{Config: config}}
	for _, patch := range patches {
		steps = append(steps, resource.TestStep{
			PreConfig: l.patch("drifting", patch), Config: config,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(resourceName, plancheck.ResourceActionUpdate),
			}},
			Check: func(*terraform.State) error {
				v := l.view("drifting")
				require.Equal(t, int64(1), *v.Spec.Size)
				require.NotNil(t, v.Spec.Health.TCP)
				require.Nil(t, v.Spec.Health.HTTP)
				require.Equal(t, map[string]string{"A": "1", workerMode: "1"}, v.Spec.Worker.Env)
				require.False(t, v.Spec.DeletionProtection)
				return nil
			},
		})
	}
	l.run(steps...)
}

func TestAccAPoolThatIsGoneIsMadeAnew(t *testing.T) {
	l := newLand(t)
	l.run(
		resource.TestStep{ConfigDirectory: fixture()},
		resource.TestStep{
			ConfigDirectory: fixture(),
			PreConfig: func() {
				accepted, err := l.current().Delete(t.Context(), "gone", false, client.Change{})
				require.NoError(t, err)
				l.reached(accepted.Operation)
			},
			ConfigPlanChecks: announces(plancheck.ResourceActionCreate, "create"),
		},
	)
}

func TestAccAnotherManagerIsAnErrorAndNoEmptyWorld(t *testing.T) {
	l, ours := newLand(t), client.Manager(nil)
	other := newManager(t)
	l.run(
		resource.TestStep{ConfigDirectory: fixture()},
		resource.TestStep{ // a data directory without a store
			ConfigDirectory: fixture(),
			PreConfig:       func() { ours = l.exchange(other) },
			ExpectError:     regexp.MustCompile(`(?s)no\s+store.*not\s+taken\s+as\s+gone`),
		},
		resource.TestStep{ // one with another manager, which has a pool of the name
			ConfigDirectory: fixture(),
			PreConfig:       func() { l.made(strings.Replace(handmade, "handmade", "elsewhere", 1)) },
			ExpectError:     regexp.MustCompile(`(?s)another manager.*not\s+taken\s+as\s+gone`),
		},
		resource.TestStep{
			ConfigDirectory:  fixture(),
			PreConfig:        func() { l.exchange(ours) },
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
	)
}

func TestAccInvalidConfigurationsFailAtPlanWithTheirPath(t *testing.T) {
	steps := make([]resource.TestStep, len(invalidConfigs))
	for i, row := range invalidConfigs {
		steps[i] = resource.TestStep{
			Config:   resourceText("test", row.config),
			PlanOnly: true,
			// Terraform shows the attribute's line; a row of the domain's validator names its path, too.
			ExpectError: regexp.MustCompile(shownAt(row)),
		}
	}
	newLand(t).run(steps...)
}

func shownAt(row invalid) string {
	if strings.HasPrefix(row.at, "timeouts") {
		return `"soon" must be`
	}
	return regexp.QuoteMeta(row.at) + ":"
}

// TestAccUnknownValuesAreWaitedFor puts a value that is only known at apply into every place in turn: the
// plans are made without it, and what they announce stays true when it comes.
func TestAccUnknownValuesAreWaitedFor(t *testing.T) {
	l := newLand(t)
	l.made(handmade)
	accepted, err := l.current().Delete(t.Context(), "handmade", true, client.Change{})
	require.NoError(t, err)
	l.reached(accepted.Operation)
	program, err := os.Executable()
	require.NoError(t, err)
	base := overlaid(probed(), object{
		"size": 1, "runtime": object{"process": object{"host": accepted.Pool.Host}},
		"worker":   object{"command": list{program, "-test.v"}, "env": object{workerMode: "1"}, "working_dir": "/"},
		"drain":    object{"timeout": "1s", "on_timeout": "terminate"}, // its workers answer no hook
		"timeouts": object{"create": "10m", "update": "10m", "delete": "10m"},
	})
	var pools strings.Builder
	inputs := object{}
	for i, path := range unknownPaths() {
		config := overlaid(base, object{"name": fmt.Sprintf("later-%d", i)})
		key := fmt.Sprintf("v%d", i)
		inputs[key] = valueOf(config, path)
		pools.WriteString(resourceText(fmt.Sprintf("later_%d", i), replacedAt(config, path, expression("terraform_data.later.output."+key))))
	}
	config := func(trigger int) string {
		return fmt.Sprintf("resource \"terraform_data\" \"later\" {\ntriggers_replace = %d\ninput = %s\n}\n%s", trigger, hcl(inputs), pools.String())
	}
	l.run(
		resource.TestStep{Config: config(1)},
		resource.TestStep{Config: config(2)}, // the same values, unknown once more
	)
}

// valueOf is a configuration's value at a path.
func valueOf(in any, path string) any {
	for path != "" {
		var name string
		name, path = step(path)
		switch v := in.(type) {
		case object:
			in = v[name]
		case list:
			in = v[int(name[0]-'0')]
		}
	}
	return in
}
