package provider

import (
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// announces: the plan's JSON says what kind of change it is, and what of the pool is not known before.
func announces(action plancheck.ResourceActionType, kind string) resource.ConfigPlanChecks {
	checks := []plancheck.PlanCheck{
		plancheck.ExpectResourceAction(resourceName, action),
		plancheck.ExpectKnownValue(resourceName, tfjsonpath.New("last_change"), knownvalue.StringExact(kind)),
		plancheck.ExpectUnknownValue(resourceName, tfjsonpath.New("current_size")),
		plancheck.ExpectUnknownValue(resourceName, tfjsonpath.New("operation")),
	}
	return resource.ConfigPlanChecks{PreApply: checks}
}

func shows(attributes map[string]knownvalue.Check) []statecheck.StateCheck {
	checks := make([]statecheck.StateCheck, 0, len(attributes))
	for name, check := range attributes {
		checks = append(checks, statecheck.ExpectKnownValue(resourceName, tfjsonpath.New(name), check))
	}
	return checks
}

func TestAccPoolLivesThroughEveryKindOfChange(t *testing.T) {
	l := newLand(t)
	var before []string
	note := func(check func(now []string)) resource.TestCheckFunc {
		return func(s *terraform.State) error {
			now := l.crew(s.RootModule().Resources[resourceName].Primary.Attributes["name"])
			check(now)
			before = now
			return nil
		}
	}
	uid := statecheck.CompareValue(compare.ValuesSame())
	l.run(
		resource.TestStep{ // created
			ConfigDirectory:  fixture(),
			ConfigPlanChecks: announces(plancheck.ResourceActionCreate, "create"),
			ConfigStateChecks: append(shows(map[string]knownvalue.Check{
				"state": knownvalue.StringExact("active"), "health_status": knownvalue.StringExact("healthy"),
				"current_size": knownvalue.Int64Exact(2), "ready_workers": knownvalue.Int64Exact(2),
				"revision": knownvalue.Int64Exact(1), "last_change": knownvalue.StringExact("create"),
			}), uid.AddStateValue(resourceName, tfjsonpath.New("id"))),
			Check: note(func(now []string) { require.Len(t, now, 2) }),
		},
		resource.TestStep{ // hot: every worker stays
			ConfigDirectory:  fixture(),
			ConfigPlanChecks: announces(plancheck.ResourceActionUpdate, "hot"),
			ConfigStateChecks: append(shows(map[string]knownvalue.Check{
				"description": knownvalue.StringExact("changed"), "revision": knownvalue.Int64Exact(2),
				"last_change": knownvalue.StringExact("hot"),
			}), uid.AddStateValue(resourceName, tfjsonpath.New("id"))),
			Check: note(func(now []string) { require.ElementsMatch(t, before, now) }),
		},
		resource.TestStep{ // rolling: every worker is replaced
			ConfigDirectory:  fixture(),
			ConfigPlanChecks: announces(plancheck.ResourceActionUpdate, "rolling"),
			ConfigStateChecks: append(shows(map[string]knownvalue.Check{
				"revision": knownvalue.Int64Exact(3), "last_change": knownvalue.StringExact("rolling"),
			}), uid.AddStateValue(resourceName, tfjsonpath.New("id"))),
			Check: note(func(now []string) {
				require.Len(t, now, 2)
				for _, id := range before {
					require.NotContains(t, now, id)
				}
			}),
		},
		resource.TestStep{ // resized up: those that were there stay
			ConfigDirectory:   fixture(),
			ConfigPlanChecks:  announces(plancheck.ResourceActionUpdate, "hot"),
			ConfigStateChecks: append(shows(map[string]knownvalue.Check{"current_size": knownvalue.Int64Exact(4)}), uid.AddStateValue(resourceName, tfjsonpath.New("id"))),
			Check: note(func(now []string) {
				require.Len(t, now, 4)
				require.Subset(t, now, before)
			}),
		},
		resource.TestStep{ // resized down: those that stay were there
			ConfigDirectory:   fixture(),
			ConfigPlanChecks:  announces(plancheck.ResourceActionUpdate, "hot"),
			ConfigStateChecks: append(shows(map[string]knownvalue.Check{"current_size": knownvalue.Int64Exact(1)}), uid.AddStateValue(resourceName, tfjsonpath.New("id"))),
			Check: note(func(now []string) {
				require.Len(t, now, 1)
				require.Subset(t, before, now)
			}),
		},
		resource.TestStep{ // renamed: another pool
			ConfigDirectory:  fixture(),
			ConfigPlanChecks: announces(plancheck.ResourceActionReplace, "create"),
			Check: note(func(now []string) {
				require.NotContains(t, now, before[0])
				_, err := l.current().Pool(t.Context(), "life")
				require.ErrorContains(t, err, "life")
			}),
		},
		resource.TestStep{ // on another host: another pool, too
			ConfigDirectory:    fixture(),
			PlanOnly:           true,
			ExpectNonEmptyPlan: true,
			ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(resourceName, plancheck.ResourceActionReplace),
			}},
		},
	)
}

func TestAccSpellingsAreKeptAndEqualValuesAreEqual(t *testing.T) {
	newLand(t).run(
		resource.TestStep{
			ConfigDirectory: fixture(),
			ConfigStateChecks: shows(map[string]knownvalue.Check{
				"drain": knownvalue.ObjectPartial(map[string]knownvalue.Check{"timeout": knownvalue.StringExact("300s")}),
				"logs":  knownvalue.ObjectPartial(map[string]knownvalue.Check{"max_size": knownvalue.StringExact("1024KiB")}),
			}),
		},
		resource.TestStep{
			ConfigDirectory:  fixture(),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
	)
}

func TestAccTimeoutsAloneTouchNothing(t *testing.T) {
	l := newLand(t)
	var generation int64
	l.run(
		resource.TestStep{ConfigDirectory: fixture(), Check: func(*terraform.State) error {
			generation = l.view("patient").Generation
			return nil
		}},
		resource.TestStep{
			ConfigDirectory: fixture(),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(resourceName, plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue(resourceName, tfjsonpath.New("current_size"), knownvalue.Int64Exact(1)),
				plancheck.ExpectKnownValue(resourceName, tfjsonpath.New("operation").AtMapKey("phase"), knownvalue.StringExact("succeeded")),
			}},
			Check: func(*terraform.State) error {
				require.Equal(t, generation, l.view("patient").Generation)
				return nil
			},
		},
	)
}

func TestAccProtectedPoolIsNotDestroyed(t *testing.T) {
	newLand(t).run(
		resource.TestStep{ConfigDirectory: fixture()},
		resource.TestStep{ConfigDirectory: fixture(), Destroy: true, ExpectError: regexp.MustCompile("protected")},
		resource.TestStep{ConfigDirectory: fixture()},
	)
}

func TestAccFailedCreationSaysWhyAndAMendedOneSucceeds(t *testing.T) {
	l := newLand(t)
	l.run(
		resource.TestStep{ConfigDirectory: fixture(), ExpectError: regexp.MustCompile(`(?s)no\s+progress.*going\s+to\s+sleep`)},
		resource.TestStep{
			ConfigDirectory: fixture(),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(resourceName, plancheck.ResourceActionReplace),
			}},
			ConfigStateChecks: shows(map[string]knownvalue.Check{"state": knownvalue.StringExact("active")}),
		},
	)
}

func TestAccDataSourceShowsAPool(t *testing.T) {
	newLand(t).run(resource.TestStep{
		ConfigDirectory: fixture(),
		ConfigStateChecks: []statecheck.StateCheck{
			statecheck.CompareValuePairs(resourceName, tfjsonpath.New("id"), "data."+resourceName, tfjsonpath.New("id"), compare.ValuesSame()),
			statecheck.ExpectKnownValue("data."+resourceName, tfjsonpath.New("size"), knownvalue.Int64Exact(1)),
			statecheck.ExpectKnownValue("data."+resourceName, tfjsonpath.New("status").AtMapKey("available"), knownvalue.Int64Exact(1)),
			statecheck.ExpectKnownValue("data."+resourceName, tfjsonpath.New("drain").AtMapKey("timeout"), knownvalue.StringExact("5m")),
		},
	})
}

func TestAccTwoPoolsOfOneNameAreRefusedWithTheImportCommand(t *testing.T) {
	l := newLand(t)
	l.run(
		resource.TestStep{ConfigDirectory: fixture()},
		resource.TestStep{ConfigDirectory: fixture(), ExpectError: regexp.MustCompile(`(?s)There is a pool "twice" already.*terraform import`)},
	)
}

// made makes a pool that Terraform knows nothing of, and returns its uid.
func (l *land) made(spec string) string {
	l.t.Helper()
	decoded, err := pool.Decode([]byte(spec))
	require.NoError(l.t, err)
	accepted, err := l.current().Create(l.t.Context(), decoded, client.Change{Reason: "made by hand"})
	require.NoError(l.t, err)
	l.reached(accepted.Operation)
	return accepted.Pool.UID
}
