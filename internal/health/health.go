// Package health finds out whether workers do their work: it probes them on a schedule and says when the
// verdict on one changes. It knows no states, no operations and no store; what follows from a verdict is
// decided elsewhere.
package health

import (
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Target is a worker to watch.
type Target struct {
	PoolUID   string
	PoolName  string
	WorkerID  string
	Instance  pool.Instance
	Template  pool.WorkerTemplate // that the worker was made from
	Check     pool.HealthCheck
	Drain     pool.Drain
	StartedAt time.Time
	Health    pool.Health // the verdict that its checks have come to before; unknown if to none
}

// Verdict is what the checks of a worker have come to.
type Verdict struct {
	WorkerID string
	PoolUID  string
	Health   pool.Health // unknown as long as a new worker has passed no check and may still do so
	Reason   string      // why it is not healthy
	At       time.Time
}
