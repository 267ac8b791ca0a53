package lifecycle

import (
	"maps"
	"reflect"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// rewatch keeps the checks of health and the bounds of logs as the committed draft wants them: workers that
// began to run are checked, those that leave are not, and a changed check is a check anew. Old workers keep
// the check that they had: the new one may ask for what only the new template has.
func (c *controller) rewatch(d *draft) {
	spec, target := d.pool.Spec, d.pool.Target()
	first := c.watched == nil
	if first || c.watched.Logs != spec.Logs {
		c.m.config.Runtime.KeepLogs(c.uid, spec.Logs)
	}
	check, known := c.checks[target]
	anew := !known || !reflect.DeepEqual(check.Health, spec.Health)
	c.watched, c.checks[target] = &spec, spec
	used := map[string]bool{target: true}
	for _, w := range d.workers {
		used[w.TemplateHash] = true
		switch {
		case w.State.Leaving():
			if d.changed[w.ID] {
				c.m.health.Unwatch(w.ID)
			}
		case first, anew && w.TemplateHash == target, d.changed[w.ID] && w.State == pool.WorkerStarting:
			c.watch(c.checks[w.TemplateHash], w)
		}
	}
	maps.DeleteFunc(c.checks, func(hash string, _ pool.Spec) bool { return !used[hash] })
}

// watch has a running worker's health checked, if the spec says how.
func (c *controller) watch(spec pool.Spec, w pool.Worker) {
	if w.Instance.PID == 0 {
		return
	}
	if !health.HasProbe(spec.Health) {
		c.m.health.Unwatch(w.ID)
		return
	}
	target := health.Target{
		PoolUID: c.uid, PoolName: c.name, WorkerID: w.ID, Instance: w.Instance, Template: spec.Worker,
		Check: spec.Health, StartedAt: w.StartedAt, Health: w.Health,
	}
	c.m.health.Watch(target)
}
