package lifecycle

import (
	"sync"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// hashes remember the template hashes of one pool, in which a revision and the count of restarts make one. A
// controller asks for them several times in each step.
type hashes map[pool.Template]string

// mostHashes bounds how many are remembered.
const mostHashes = 16

func (h hashes) of(spec pool.Spec, made pool.Template) string {
	if known, ok := h[made]; ok {
		return known
	}
	if len(h) >= mostHashes {
		clear(h)
	}
	h[made] = pool.TemplateHash(spec, made.Restarts)
	return h[made]
}

// target is the hash that the pool's workers should have.
func (s *state) target() string {
	return s.hashes.of(s.pool.Spec, pool.Template{Revision: s.pool.Revision, Restarts: s.pool.Restarts})
}

// targets remember the template hashes of pools: to make one costs more than the rest of a lease.
type targets struct {
	mu     sync.Mutex
	byPool map[string]target
}

// target is a pool's template hash in one of its generations, of which each has one.
type target struct {
	generation int64
	hash       string
}

// mostTargets bounds how many are remembered.
const mostTargets = 10_000

func (t *targets) of(p pool.Pool) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.byPool[p.UID]; ok && known.generation == p.Generation {
		return known.hash
	}
	if t.byPool == nil || len(t.byPool) >= mostTargets {
		t.byPool = map[string]target{}
	}
	hash := p.Target()
	t.byPool[p.UID] = target{p.Generation, hash}
	return hash
}
