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
	spec, target := d.pool.Spec, d.state.target()
	first := c.watched == nil
	if first || c.watched.Logs != spec.Logs {
		c.m.config.Runtime.KeepLogs(c.uid, spec.Logs)
	}
	check, known := c.state.contracts[target]
	anew := !known || !reflect.DeepEqual(check.Health, spec.Health)
	c.watched, c.state.contracts[target] = &spec, spec
	used := map[string]bool{target: true}
	for _, w := range d.workers {
		used[w.TemplateHash] = true
		switch {
		case w.State.Leaving():
			if d.changed[w.ID] {
				c.m.health.Unwatch(w.ID)
			}
		case first, anew && w.TemplateHash == target, d.changed[w.ID] && w.State == pool.WorkerStarting:
			c.watch(c.state.contracts[w.TemplateHash], w)
		}
	}
	maps.DeleteFunc(c.state.contracts, func(hash string, _ pool.Spec) bool { return !used[hash] })
}

// watch has a running worker's health checked, if the spec says how.
func (c *controller) watch(spec pool.Spec, w pool.Worker) {
	if w.Instance.PID == 0 {
		return
	}
	if !spec.Health.Probed() {
		c.m.health.Unwatch(w.ID)
		return
	}
	t := addressed(c.uid, spec, w)
	t.PoolName, t.Health = c.name, w.Health
	c.m.health.Watch(t)
}

// addressed is a worker as one who speaks to it has to know it.
func addressed(poolUID string, contract pool.Spec, w pool.Worker) health.Target {
	return health.Target{
		PoolUID: poolUID, WorkerID: w.ID, Instance: w.Instance, Template: contract.Worker,
		Check: contract.Health, Drain: contract.Drain, StartedAt: w.StartedAt,
	}
}
