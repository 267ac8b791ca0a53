package pool

import "time"

// LeaseState is where a claim on a slot is in its life; it only moves forward.
type LeaseState string

const (
	LeaseWaiting  LeaseState = "waiting"  // in the queue for a slot
	LeaseHeld     LeaseState = "held"     // one slot of one worker is its holder's
	LeaseReleased LeaseState = "released" // given back by its holder, or given up while it waited
	LeaseExpired  LeaseState = "expired"  // not renewed, or not asked for while it waited, within its time to live
	LeaseLost     LeaseState = "lost"     // its worker ended
	LeaseRevoked  LeaseState = "revoked"  // its worker was taken away: its drain deadline passed, or a person forced it
)

// Ended says that the claim is over.
func (s LeaseState) Ended() bool { return s != LeaseWaiting && s != LeaseHeld }

// Lease is a scheduler's claim on one slot of one ready worker, or its place in the queue for one.
type Lease struct {
	ID       string            `json:"id"`
	State    LeaseState        `json:"state"`
	PoolUID  string            `json:"pool_uid,omitempty" doc:"Empty while it waits for any pool of a selector"`
	PoolName string            `json:"pool_name,omitempty"`
	Selector map[string]string `json:"selector,omitempty" doc:"Labels of the pools that were asked for"`
	WorkerID string            `json:"worker_id,omitempty"`
	Holder   string            `json:"holder,omitempty" doc:"Who holds it, in the holder's words"`
	Author   string            `json:"author" doc:"Who asked for it"`
	TTL      Duration          `json:"ttl" doc:"Time after each renewal in which the next one must come"`
	Reason   string            `json:"reason,omitempty" doc:"Why it ended"`

	CreatedAt time.Time `json:"created_at"`
	GrantedAt time.Time `json:"granted_at,omitzero" doc:"When it got its slot"`
	ExpiresAt time.Time `json:"expires_at" doc:"When it ends unless it is renewed or, while it waits, asked for"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}

// Wants says whether a slot of the pool is what the lease waits for.
func (l Lease) Wants(p Pool) bool {
	if l.PoolUID != "" {
		return l.PoolUID == p.UID
	}
	return Selects(l.Selector, p.Spec.Labels)
}

// Selects says whether labels have all the pairs of a selector.
func Selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	return true
}

// Marks are what others than a pool's controller note about a worker: schedulers and persons.
type Marks struct {
	Leased     int       `json:"leased,omitempty" doc:"Leases that are held on it"`
	Leases     int64     `json:"leases,omitempty" doc:"Leases that were ever granted on it"`
	Cordoned   bool      `json:"cordoned,omitempty" doc:"Whether it gets no new leases"`
	ExtendedTo time.Time `json:"extended_to,omitzero" doc:"Drain deadline that a person has set"`
}
