package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// recover brings a pool's records and its instances together after the manager was away: instances with a
// row are adopted, rows without an instance are launched again (pending ones) or closed, instances whose
// row is closed are removed, unknown ones reported.
func (c *controller) recover(ctx context.Context, found []runtime.Found) error {
	var ended []pool.Worker
	err := c.m.config.Store.View(ctx, func(r store.Reader) (err error) {
		if c.state.workers, err = r.Workers(c.uid); err != nil {
			return err
		}
		if err := c.readContracts(r); err != nil {
			return err
		}
		ended, err = r.EndedWorkers(c.uid, keepEnded)
		return err
	})
	if err != nil {
		return err
	}
	c.state.vacancies = vacanciesOf(c.state.workers, ended)
	c.m.config.Runtime.KeepLogs(c.uid, c.state.pool.Spec.Logs)

	running := map[string]runtime.Found{} // under this manager's id
	for _, f := range found {
		if c.m.owns(f) {
			running[f.WorkerID] = f
		}
	}
	for _, w := range c.state.workers {
		f, runs := running[w.ID]
		delete(running, w.ID)
		if err := c.takeUp(ctx, w, f, runs); err != nil {
			return err
		}
	}
	for _, f := range found {
		if _, stray := running[f.WorkerID]; !stray && c.m.owns(f) {
			continue
		}
		if err := c.m.stray(ctx, f); err != nil {
			return err
		}
	}
	for _, w := range ended {
		c.state.unswept[w.ID] = w
	}
	return nil
}

// owns says that an instance carries this manager's id, of whatever incarnation.
func (m *Manager) owns(f runtime.Found) bool {
	return strings.HasPrefix(f.Identity, m.Identity().ManagerID+"/")
}

// readContracts finds the specs that old workers are treated by, as far as they are not known: a revision that
// changed the template too was never theirs.
func (c *controller) readContracts(r store.Reader) error {
	return contractsOf(r, c.state.pool, c.state.workers, c.state.contracts)
}

// contractsOf adds to what is known by which specs workers of other templates than the pool's are treated.
func contractsOf(r store.Reader, p pool.Pool, workers []pool.Worker, known map[string]pool.Spec) error {
	target := p.Target()
	for _, w := range workers {
		if _, there := known[w.TemplateHash]; there || w.TemplateHash == target {
			continue
		}
		made, err := r.Revision(p.UID, w.Revision)
		if err != nil {
			return err
		}
		revisions, err := r.Revisions(p.UID, 0)
		if err != nil {
			return err
		}
		template := pool.TemplateHash(made.Spec, 0)
		i := slices.IndexFunc(revisions, func(r pool.Revision) bool { return pool.TemplateHash(r.Spec, 0) == template })
		known[w.TemplateHash] = revisions[i].Spec
	}
	return nil
}

// takeUp goes on with one worker that had not ended.
func (c *controller) takeUp(ctx context.Context, w pool.Worker, f runtime.Found, runs bool) error {
	now := c.m.config.Now()
	instance := w.Instance
	if instance.PID == 0 && runs { // else what was found may only be something that the worker started
		instance = f.Instance
	}
	switch {
	case instance.PID == 0 && runs: // a failed launch is swept after
		c.tell(fact{
			kind: factLaunchFailed, workerID: w.ID, at: now,
			text: "the manager ended while the worker was started, and only what the worker has started is left",
		})
		return nil
	case instance.PID == 0:
		c.takeUpLaunch(w)
		return nil
	}
	err := c.m.config.Runtime.Adopt(ctx, c.uid, w.ID, instance)
	if err != nil && !errors.Is(err, runtime.ErrGone) {
		return fmt.Errorf("adopt worker %s (pid %d): %w", w.ID, instance.PID, err)
	}
	if w.Instance.PID == 0 {
		c.tell(fact{kind: factLaunched, workerID: w.ID, at: now, instance: instance})
	}
	switch {
	case err != nil:
		c.tell(fact{kind: factEnded, workerID: w.ID, at: now, exit: pool.Exit{Unknown: true}})
	case w.State == pool.WorkerStopping:
		c.resume(effect{kind: effectSignal, worker: w, contract: c.contract(w)})
	}
	return nil
}

// contract is the spec that a worker is treated by.
func (c *controller) contract(w pool.Worker) pool.Spec {
	if spec, other := c.state.contracts[w.TemplateHash]; other {
		return spec
	}
	return c.state.pool.Spec
}

// takeUpLaunch goes on with a launch that was journaled and has no instance.
func (c *controller) takeUpLaunch(w pool.Worker) {
	if w.State == pool.WorkerPending && w.TemplateHash == c.state.target() {
		c.resume(effect{kind: effectLaunch, worker: w, template: c.state.pool.Spec.Worker})
		return
	}
	c.tell(fact{
		kind: factLaunchFailed, workerID: w.ID, at: c.m.config.Now(),
		text: "the manager ended before the worker was started",
	})
}

// resume has an effect carried out when the controller starts.
func (c *controller) resume(e effect) { c.resumed = append(c.resumed, e) }

// vacanciesOf are the failed workers in whose place nobody was launched yet, oldest first.
func vacanciesOf(living, ended []pool.Worker) []planner.Vacancy {
	filled := map[string]bool{}
	for _, w := range living {
		filled[w.Replaces] = true
	}
	for _, w := range ended {
		filled[w.Replaces] = true
	}
	var vacancies []planner.Vacancy
	for i := len(ended) - 1; i >= 0; i-- {
		if w := ended[i]; w.State == pool.WorkerFailed && !filled[w.ID] {
			vacancies = append(vacancies, planner.Vacancy{Worker: w})
		}
	}
	return vacancies
}
