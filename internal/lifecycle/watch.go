package lifecycle

import (
	"reflect"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// rewatch keeps the checks of health and the bounds of logs as the committed draft wants them: workers that
// began to run are checked, those that leave are not, and all are checked anew when the check changed.
func (c *controller) rewatch(d *draft) {
	spec := d.pool.Spec
	if c.watched == nil || c.watched.Logs != spec.Logs {
		c.m.config.Runtime.KeepLogs(c.uid, spec.Logs)
	}
	all := c.watched == nil || !reflect.DeepEqual(c.watched.Health, spec.Health)
	c.watched = &spec
	for _, w := range d.workers {
		switch {
		case !all && !d.changed[w.ID]:
		case w.State.Leaving():
			c.m.health.Unwatch(w.ID)
		case all || w.State == pool.WorkerStarting:
			c.watch(spec, w)
		}
	}
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
		PoolUID: c.uid, WorkerID: w.ID, Ports: w.Instance.Ports, Check: spec.Health,
		StartedAt: w.StartedAt, Ready: w.State == pool.WorkerReady,
	}
	if len(spec.Worker.Ports) > 0 {
		target.FirstPort = spec.Worker.Ports[0].Name
	}
	c.m.health.Watch(target)
}
