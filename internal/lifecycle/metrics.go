package lifecycle

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// metrics counts what becomes of leases. It is not in the store: it begins anew with each manager, as counters may.
type metrics struct {
	wait   *prometheus.HistogramVec
	leases *prometheus.CounterVec
}

func newMetrics() *metrics {
	return &metrics{
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "poolkeeper_lease_wait_seconds", Help: "Time from a claim until it got its slot.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10), // 1 ms to 4 min
		}, []string{"pool"}),
		leases: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "poolkeeper_leases_total", Help: "Leases by what became of them: held (granted), released, expired, lost, revoked.",
		}, []string{"pool", "state"}),
	}
}

// count counts a lease that has got a slot or ended. A claim that waits is a level, not a count.
func (m *metrics) count(l pool.Lease) {
	if l.PoolName == "" || l.State == pool.LeaseWaiting {
		return
	}
	m.leases.WithLabelValues(l.PoolName, string(l.State)).Inc()
	if l.State == pool.LeaseHeld {
		m.wait.WithLabelValues(l.PoolName).Observe(l.GrantedAt.Sub(l.CreatedAt).Seconds())
	}
}

// forget drops what was counted of a pool that is gone.
func (m *metrics) forget(poolName string) {
	m.wait.DeleteLabelValues(poolName)
	m.leases.DeletePartialMatch(prometheus.Labels{"pool": poolName})
}

// level is a number of a pool that is read when it is asked for.
type level struct {
	about *prometheus.Desc
	read  func(pool.Status, occupancy) int
}

// occupancy is how much of a pool is leased.
type occupancy struct{ slots, busy, waiting int }

func poolLevel(name, help string, read func(pool.Status, occupancy) int) level {
	return level{prometheus.NewDesc("poolkeeper_pool_"+name, help, []string{"pool"}, nil), read}
}

var levels = []level{
	poolLevel("desired_workers", "Workers that there should be.", func(s pool.Status, _ occupancy) int { return s.Desired }),
	poolLevel("current_workers", "Workers that run, draining ones included.", func(s pool.Status, _ occupancy) int { return s.Current }),
	poolLevel("ready_workers", "Workers that are ready and not draining.", func(s pool.Status, _ occupancy) int { return s.Ready }),
	poolLevel("available_workers", "Ready workers that pass their check since min_ready.", func(s pool.Status, _ occupancy) int { return s.Available }),
	poolLevel("unhealthy_workers", "Workers that fail their check.", func(s pool.Status, _ occupancy) int { return s.Unhealthy }),
	poolLevel("draining_workers", "Workers that are leaving.", func(s pool.Status, _ occupancy) int { return s.Draining }),
	poolLevel("old_workers", "Workers made from another template than the newest.", func(s pool.Status, _ occupancy) int { return s.Old }),
	poolLevel("slots", "Leases that the workers in service take at a time.", func(_ pool.Status, o occupancy) int { return o.slots }),
	poolLevel("busy_slots", "Leases that are held.", func(_ pool.Status, o occupancy) int { return o.busy }),
	poolLevel("waiting_leases", "Claims that wait for a slot of it by its name. Those that wait by labels are in poolkeeper_waiting_leases_by_selector.", func(_ pool.Status, o occupancy) int { return o.waiting }),
}

// waitingBySelector is of no pool: any that has the labels may serve a claim.
var waitingBySelector = prometheus.NewDesc("poolkeeper_waiting_leases_by_selector",
	"Claims that wait for a slot of any pool with their labels. Those that wait by a pool's name are in poolkeeper_pool_waiting_leases.", nil, nil)

// Describe and Collect make a manager's pools and leases metrics of Prometheus.
func (m *Manager) Describe(to chan<- *prometheus.Desc) {
	m.metrics.wait.Describe(to)
	m.metrics.leases.Describe(to)
	for _, l := range levels {
		to <- l.about
	}
	to <- waitingBySelector
}

// collectTime bounds how long a scrape may read the store.
const collectTime = 10 * time.Second

// Collect reads the levels from the store. What cannot be read is an error of the scrape.
func (m *Manager) Collect(to chan<- prometheus.Metric) {
	m.metrics.wait.Collect(to)
	m.metrics.leases.Collect(to)
	ctx, cancel := context.WithTimeout(m.ctx, collectTime)
	defer cancel()
	err := m.config.Store.View(ctx, func(r store.Reader) error {
		pools, err := r.Pools(store.Page{})
		if err != nil {
			return err
		}
		for _, p := range pools {
			if err := m.collect(r, p, to); err != nil {
				return err
			}
		}
		_, waiting, err := r.CountLeases("")
		if err == nil {
			to <- prometheus.MustNewConstMetric(waitingBySelector, prometheus.GaugeValue, float64(waiting))
		}
		return err
	})
	if err != nil {
		to <- prometheus.NewInvalidMetric(levels[0].about, err)
	}
}

func (m *Manager) collect(r store.Reader, p pool.Pool, to chan<- prometheus.Metric) (err error) {
	v, workers, err := m.viewOfAll(r, p)
	if err != nil {
		return err
	}
	var o occupancy
	for _, w := range workers {
		if w.Leasable() {
			o.slots += int(w.Slots)
		}
	}
	if o.busy, o.waiting, err = r.CountLeases(p.UID); err != nil {
		return err
	}
	for _, l := range levels {
		to <- prometheus.MustNewConstMetric(l.about, prometheus.GaugeValue, float64(l.read(v.Status, o)), p.Name)
	}
	return nil
}
