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
	WorkerID  string
	Ports     map[string]int // chosen port by its name
	FirstPort string         // name of the port that a probe without one asks
	Check     pool.HealthCheck
	Drain     pool.Drain
	StartedAt time.Time
	Ready     bool // it has been found healthy before; its verdict begins as healthy
}

// Verdict is what the checks of a worker have come to.
type Verdict struct {
	WorkerID string
	PoolUID  string
	Health   pool.Health // unknown as long as a new worker has passed no check and may still do so
	Reason   string      // why it is not healthy
	At       time.Time
}

// HasProbe says whether there is anything to ask. A worker without a probe is healthy as long as it lives,
// and need not be watched.
func HasProbe(check pool.HealthCheck) bool { return check.HTTP != nil || check.TCP != nil }
