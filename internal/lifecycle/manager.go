package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/seal"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// Config is what a manager works with. Store and Runtime stay the caller's to close, after Close.
type Config struct {
	Store   store.Store
	Runtime runtime.Runtime
	Logger  hclog.Logger
	Keys    seal.Keyring               // seal the pools' secrets; none: no pool can have any
	Host    string                     // name of the host whose processes it runs
	Now     func() time.Time           // what the machine's clock says; nil: time.Now
	NewID   func(prefix string) string // nil: prefix, '_' and a ULID in lower case
	// Probe makes one probe of a worker, Hook tells one that it drains, and Jobs asks one for the number of
	// its active jobs; nil: over the network, and a check's
	// command by the runtime.
	Probe func(context.Context, health.Target) error
	Hook  func(context.Context, health.Target) error
	Jobs  func(context.Context, health.Target) (int64, error)
	// Random spreads the probes, a number in [0, 1); nil: a good one.
	Random func() float64
	// Plan decides for one pool; nil: planner.Plan.
	Plan func(planner.World) planner.Result
}

// Manager owns the controllers of all pools and answers what users ask for.
type Manager struct {
	config  Config
	health  *health.Scheduler
	waiting waiting
	feed    feed
	metrics *metrics
	claims  claims
	targets targets
	clock   *clock
	pruned  time.Time // when leases that had ended were last forgotten

	mu          sync.Mutex
	controllers map[string]*controller
	foreign     []runtime.Found

	ctx    context.Context //nolint:containedctx // the life of the controllers, ended by Close
	end    context.CancelFunc
	owners sync.WaitGroup
}

// New reads the store, finds the workers that run already, and starts the controllers of all pools. It
// errs if the runtime cannot be observed: then nothing is known of the workers.
func New(ctx context.Context, config Config) (*Manager, error) {
	latest, sealing, err := firstLook(ctx, config.Store)
	if err != nil {
		return nil, err
	}
	c := setClock(config, latest)
	if err := keysFit(config.Keys, sealing); err != nil {
		return nil, err
	}
	config.Now = c.now
	if config.NewID == nil {
		config.NewID = func(prefix string) string { return prefix + "_" + strings.ToLower(ulid.Make().String()) }
	}
	config.Runtime = entrusted{config.Runtime, config.Store, config.Keys}
	config.Store = scopedStore{config.Store}
	prober := health.Prober{Exec: config.Runtime.Exec}
	if config.Probe == nil {
		config.Probe = prober.Probe
	}
	if config.Hook == nil {
		config.Hook = prober.Hook
	}
	if config.Jobs == nil {
		config.Jobs = prober.Jobs
	}
	if config.Plan == nil {
		config.Plan = planner.Plan
	}
	m := &Manager{config: config, clock: c, pruned: c.now(), metrics: newMetrics(), controllers: map[string]*controller{}}
	m.ctx, m.end = context.WithCancel(context.WithoutCancel(ctx))
	m.health = health.NewScheduler(health.Config{Probe: config.Probe, Report: m.report, Random: config.Random, Now: config.Now})
	if err = m.renewSeals(ctx, sealing); err == nil {
		err = m.recover(ctx)
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	m.owners.Go(func() { m.health.Run(m.ctx) })
	m.owners.Go(m.route)
	m.owners.Go(func() { m.clock.run(m.ctx) })
	m.owners.Go(func() { m.expireLeases(m.ctx) })
	return m, nil
}

// firstLook reads what has to be known before anything is done: the newest moment on record, and the keys that secrets are
// sealed with.
func firstLook(ctx context.Context, records store.Store) (latest time.Time, sealing []string, err error) {
	err = records.View(ctx, func(r store.Reader) (err error) {
		if latest, err = r.Latest(api.MaxWait); err != nil {
			return err
		}
		sealing, err = r.SecretKeys()
		return err
	})
	return latest, sealing, err
}

// setClock starts the manager's clock.
func setClock(config Config, latest time.Time) *clock {
	machine := config.Now
	if machine == nil {
		machine = time.Now
	}
	if behind := latest.Sub(machine()); behind > longBreak {
		config.Logger.Warn("the machine's clock is behind the newest record; the time goes on from there", "behind", behind.Round(time.Second))
	}
	return newClock(machine, latest)
}

// Close stops the controllers. Workers live on; the journal says how far everything was.
func (m *Manager) Close() {
	m.end()
	m.owners.Wait()
}

// route hands the ends of instances to their controllers. They happened now: by the machine's clock, which a step
// moves, they could be ahead of the manager's time, or behind what came before.
func (m *Manager) route() {
	for {
		select {
		case <-m.ctx.Done():
			return
		case e, ok := <-m.config.Runtime.Ended():
			if !ok {
				return
			}
			m.tell(e.PoolUID, fact{kind: factEnded, workerID: e.WorkerID, at: m.config.Now(), exit: e.Exit})
		}
	}
}

// report hands verdicts to their controllers.
func (m *Manager) report(v health.Verdict) {
	m.tell(v.PoolUID, fact{kind: factVerdict, workerID: v.WorkerID, at: m.config.Now(), health: v.Health, text: v.Reason})
}

func (m *Manager) tell(poolUID string, f fact) {
	m.mu.Lock()
	c := m.controllers[poolUID]
	m.mu.Unlock()
	if c != nil {
		c.tell(f)
	}
}

// wake has the pool's controller read its pool again; a new pool gets its controller here.
func (m *Manager) wake(p pool.Pool) {
	m.feed.tell(p.UID)
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.controllers[p.UID]; c != nil {
		c.changed()
		return
	}
	m.start(m.newController(p))
}

func (m *Manager) newController(p pool.Pool) *controller {
	return &controller{
		m: m, uid: p.UID, name: p.Name, log: m.config.Logger.Named("pool").With("pool", p.Name),
		inbox: newInbox(),
		state: state{pool: p, since: m.config.Now(), early: map[string]fact{}, unswept: map[string]pool.Worker{}, unsignalled: map[string]bool{}, hashes: hashes{}, contracts: map[string]pool.Spec{}, readings: map[string]planner.Reading{}},
		tried: map[attempt]time.Time{}, starts: lane{limit: maxLaunches}, talks: lane{limit: maxTalks}, others: lane{limit: maxOthers},
	}
}

// start runs a controller until its pool is destroyed. m.mu is held.
func (m *Manager) start(c *controller) {
	if m.ctx.Err() != nil {
		return
	}
	m.controllers[c.uid] = c
	m.owners.Go(func() {
		pprof.Do(m.ctx, pprof.Labels("pool", c.name), c.run)
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.controllers, c.uid)
	})
}

// Identity is the store's.
func (m *Manager) Identity() store.Identity { return m.config.Store.Identity() }

// Host is the name of the host whose processes the manager runs.
func (m *Manager) Host() string { return m.config.Host }

// Foreign lists the instances under the manager's identity that its store does not know, as far as they
// still run.
func (m *Manager) Foreign(ctx context.Context) []runtime.Found {
	m.mu.Lock()
	known := slices.Clone(m.foreign)
	m.mu.Unlock()
	if len(known) == 0 {
		return known
	}
	running, err := m.config.Runtime.List(ctx)
	if err != nil {
		return known // nobody knows better
	}
	return slices.DeleteFunc(known, func(f runtime.Found) bool {
		return !slices.ContainsFunc(running, func(r runtime.Found) bool { return r.WorkerID == f.WorkerID })
	})
}

// strangers are the foreign instances of one pool.
func (m *Manager) strangers(ctx context.Context, poolUID string) []runtime.Found {
	return slices.DeleteFunc(m.Foreign(ctx), func(f runtime.Found) bool { return f.PoolUID != poolUID })
}

// recover takes up where an earlier manager was interrupted.
func (m *Manager) recover(ctx context.Context) error {
	found, err := m.config.Runtime.List(ctx)
	if err != nil {
		return fmt.Errorf("find the workers that run already: %w", err)
	}
	var pools []pool.Pool
	err = m.config.Store.View(ctx, func(r store.Reader) (err error) {
		pools, err = r.Pools(store.Page{})
		return err
	})
	if err != nil {
		return fmt.Errorf("read the pools: %w", err)
	}
	byPool := map[string][]runtime.Found{}
	for _, f := range found {
		byPool[f.PoolUID] = append(byPool[f.PoolUID], f)
	}
	recovered, err := m.recoverPools(ctx, pools, byPool)
	if err != nil {
		return err
	}
	for _, p := range pools {
		delete(byPool, p.UID)
	}
	for _, f := range found {
		if _, stranger := byPool[f.PoolUID]; !stranger {
			continue
		}
		if err := m.stray(ctx, f); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.SortFunc(m.foreign, func(a, b runtime.Found) int { return cmp.Compare(a.WorkerID, b.WorkerID) })
	for _, c := range recovered {
		m.start(c)
	}
	return nil
}

// recoverAtOnce is how many pools are recovered at the same time.
const recoverAtOnce = 4

// recoverPools makes the controllers of pools, and has them take up what was found of each.
func (m *Manager) recoverPools(ctx context.Context, pools []pool.Pool, found map[string][]runtime.Found) ([]*controller, error) {
	recovered := make([]*controller, len(pools))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(recoverAtOnce)
	for i, p := range pools {
		recovered[i] = m.newController(p)
		group.Go(func() (err error) {
			pprof.Do(ctx, pprof.Labels("pool", p.Name), func(ctx context.Context) { err = recovered[i].recover(ctx, found[p.UID]) })
			if err != nil {
				return fmt.Errorf("recover pool %q: %w", p.Name, err)
			}
			return nil
		})
	}
	return recovered, group.Wait()
}

// stray deals with an instance that no living worker stands for: if the store closed its worker, it is
// removed; if the store does not know it, it is foreign and only reported.
func (m *Manager) stray(ctx context.Context, f runtime.Found) error {
	var known bool
	err := m.config.Store.View(ctx, func(r store.Reader) error {
		w, err := r.Worker(f.WorkerID)
		known = err == nil && w.State.Ended()
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look up the worker of process %d: %w", f.Instance.PID, err)
	}
	if known && f.Identity == m.Identity().String() {
		m.config.Logger.Warn("removing an instance whose worker has ended", "worker", f.WorkerID, "pid", f.Instance.PID)
		if err := m.config.Runtime.Kill(ctx, f.WorkerID, f.Instance); err != nil {
			m.config.Logger.Error("cannot remove it", "worker", f.WorkerID, "error", err)
		}
		return nil
	}
	m.config.Logger.Warn("found a foreign instance; it is left alone", "worker", f.WorkerID, "pool", f.PoolName, "pid", f.Instance.PID)
	m.mu.Lock()
	m.foreign = append(m.foreign, f)
	m.mu.Unlock()
	return nil
}
