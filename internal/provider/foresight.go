package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// What Terraform's lines of a plan do not show, warnings do: how many workers an update replaces and when, how long
// that can take, and what it would come to a halt at.

// foresightTime bounds how long a plan waits for a forecast.
const foresightTime = 20 * time.Second

// foresee warns of what the planned update does, by the manager's dry run. A manager that cannot tell is no reason to
// say anything: the plan is made without it.
func (r *poolResource) foresee(ctx context.Context, prior, proposed tftypes.Value, m memory, p planned) (diags diag.Diagnostics) {
	if p.possible == pool.ChangeNone || len(p.replaces) > 0 {
		return nil
	}
	spec, unknown := worstSpec(prior, proposed, p)
	document, err := json.Marshal(spec)
	if err != nil {
		return nil
	}
	manager, err := r.reach()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(client.Expecting(ctx, m.Manager), foresightTime)
	defer cancel()
	forecast, err := manager.Plan(ctx, document)
	switch {
	case isProblem(err, client.ProblemInvalid):
		return foreseenRefusal(spec.Name, err)
	case err != nil:
		tflog.Info(ctx, "the manager does not say what the plan would do", map[string]any{"pool": spec.Name, "error": err.Error()})
		return nil
	}
	if summary := turnover(forecast); summary != "" || forecast.Waits != "" {
		diags.AddWarning(fmt.Sprintf("Pool %q: %s", spec.Name, cmp.Or(summary, "the change comes to a halt")), told(forecast, unknown))
	}
	diags.Append(tooShort(proposed, "update", forecast.WorstTime.Std(), "with an error, and the change goes on")...)
	return diags
}

// foreseenRefusal warns of what the manager would refuse, at each of the attributes.
func foreseenRefusal(name string, err error) (diags diag.Diagnostics) {
	const unless = "\n\nAn apply fails unless that is otherwise by then."
	summary, faults := fmt.Sprintf("Pool %q: as things stand, the manager would refuse this", name), client.ProblemOf(err).Errors
	for _, f := range faults {
		diags.AddAttributeWarning(placeOf(f.Path), summary, f.String()+unless)
	}
	if len(faults) == 0 {
		diags.AddWarning(summary, err.Error()+unless)
	}
	return diags
}

// worstSpec is what is proposed, at its worst: what is not known yet stays as it is, and if it may replace workers,
// all of them are. It names what is not known.
func worstSpec(prior, proposed tftypes.Value, p planned) (spec pool.Spec, unknown []string) {
	known := map[string]tftypes.Value{}
	for _, f := range pool.Fields {
		if p.unknown[f.Path] {
			at := inHCL.Replace(f.Path)
			known[at] = valueAt(prior, at)
			unknown = append(unknown, at)
		}
	}
	spec = declare(withValues(proposed, known)).spec
	if p.possible == pool.ChangeRolling && p.certain != pool.ChangeRolling {
		spec.RestartTriggers = map[string]string{"not known yet": strings.Join(unknown, " ")}
	}
	return spec, unknown
}

// turnover says how many workers come and go, if any go.
func turnover(f client.Plan) string {
	switch {
	case f.Drains == 0:
		return ""
	case f.Launches == 0:
		return fmt.Sprintf("%s will go", workers(f.Drains))
	case f.Launches == f.Drains:
		return fmt.Sprintf("%s will be replaced", workers(f.Drains))
	}
	return fmt.Sprintf("%s will go and %d will be started", workers(f.Drains), f.Launches)
}

func workers(n int) string {
	if n == 1 {
		return "1 worker"
	}
	return fmt.Sprintf("%d workers", n)
}

// maxWaves and maxVictims are how many waves a warning tells one by one, and how many workers of each.
const (
	maxWaves   = 4
	maxVictims = 3
)

// told is a forecast in words.
func told(f client.Plan, unknown []string) string {
	var lines []string
	if len(unknown) > 0 {
		lines = append(lines, fmt.Sprintf("Not all values are known yet (%s): this is the worst that they can bring.", strings.Join(unknown, ", ")), "")
	}
	for i, w := range f.Waves {
		if i == maxWaves && len(f.Waves) > maxWaves+1 {
			lines = append(lines, fmt.Sprintf("  … and %d waves more", len(f.Waves)-maxWaves))
			break
		}
		lines = append(lines, "  "+wave(w))
	}
	switch {
	case f.Waits == "":
		lines = append(lines, fmt.Sprintf("It takes at most about %s: as long as that, if whoever is busy stays so until its drain deadline.", f.WorstTime))
	case f.WorstTime == 0:
		lines = append(lines, strings.ToUpper(f.Waits[:1])+f.Waits[1:]+".")
	default:
		lines = append(lines, fmt.Sprintf("After at most about %s it comes to a halt: %s.", f.WorstTime, f.Waits))
	}
	return strings.Join(lines, "\n")
}

// wave is one moment of a forecast in words.
func wave(w client.Wave) string {
	var parts []string
	if w.Launches > 0 {
		parts = append(parts, workers(w.Launches)+" started")
	}
	if n := len(w.Drains); n > 0 {
		var victims []string
		for _, v := range w.Drains[:min(n, maxVictims)] {
			victims = append(victims, fmt.Sprintf("%s (%s)", v.WorkerID, v.Reason))
		}
		if n > maxVictims {
			victims = append(victims, fmt.Sprintf("%d more", n-maxVictims))
		}
		parts = append(parts, workers(n)+" drained: "+strings.Join(victims, ", "))
	}
	when := "at once"
	if w.After > 0 {
		when = "after " + w.After.String()
	}
	return when + ": " + strings.Join(parts, "; ")
}

// tooShort warns of a timeout that can pass before what it waits for has ended.
func tooShort(config tftypes.Value, which string, worst time.Duration, ending string) (diags diag.Diagnostics) {
	set, err := time.ParseDuration(textAt(config, "timeouts."+which))
	if err != nil || set >= worst {
		return nil
	}
	diags.AddAttributeWarning(path.Root("timeouts").AtName(which), fmt.Sprintf("Pool %q: the timeout is shorter than it can take", textAt(config, "name")),
		fmt.Sprintf("It can take %s, and timeouts.%s is %s: the apply may end %s. The next apply waits for it again.", pool.Duration(worst), which, pool.Duration(set), ending))
	return diags
}

// warnOfDestruction warns of a timeout within which a destroy may not be over, by the drain of the pool that goes.
func warnOfDestruction(prior tftypes.Value) diag.Diagnostics {
	if textAt(prior, onDestroy) == destroyForces {
		return nil
	}
	drain := declare(prior).spec.Drain
	worst := drain.DeregisterDelay.Std() + drain.Timeout.Std() + drain.Grace.Std()
	return tooShort(prior, "delete", worst, "with an error that names what is left, and the destruction goes on")
}
