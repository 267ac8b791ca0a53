package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

const database = "manager.db"

// Result is how a run went.
type Result struct {
	Log      string
	Steps    int
	Breaches []Breach
}

// run is one simulation.
type run struct {
	rand     *rand.Rand
	dir      string
	story    *story
	gate     *gate
	world    *world
	books    *books
	store    store.Store // nil while it is closed
	life     *life       // nil between two
	crowd    *crowd
	mutation *Mutation
	mood     mood
	calm     bool // the faults are over

	steps    int
	moments  []moment // what has happened since the last step
	breaches []Breach

	mu    sync.Mutex
	ids   map[string]int
	ahead time.Duration // how far managers' time is ahead of the story's
}

// Run tells the story of a seed. With a mutation something is broken on purpose.
func Run(t *testing.T, seed uint64, mutation *Mutation) (result Result) {
	dir := quickDir(t)
	if err := os.WriteFile(filepath.Join(dir, database), emptyStore(t), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(*testing.T) {
		random := rand.New(rand.NewPCG(seed, 0x9E3779B97F4A7C15))
		r := &run{
			rand: random, dir: dir, story: newStory(), gate: newGate(), books: newBooks(),
			crowd: newCrowd(), mutation: mutation, mood: moods[random.IntN(len(moods))], ids: map[string]int{},
		}
		r.world = newWorld(r)
		r.story.tell("seed", "%d, %s", seed, r.mood.name)
		r.tell()
		result = Result{Log: r.story.text.String(), Steps: r.steps, Breaches: r.breaches}
	})
	return result
}

// tell is the whole story: a storm of faults and requests, the calm in which every pool comes to rest, the
// end of all pools, and rest again.
func (r *run) tell() {
	defer r.end()
	r.storm()
	r.settle()
	if r.over() {
		return
	}
	r.destroyAll()
	r.settle()
}

// over says that the run has found something; the rest would only follow from it.
func (r *run) over() bool { return len(r.breaches) > 0 }

// end leaves nobody behind.
func (r *run) end() {
	if r.life != nil {
		r.crash()
	}
}

// newID numbers what managers make, from any goroutine.
func (r *run) newID(prefix string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids[prefix]++
	return fmt.Sprintf("%s_%05d", prefix, r.ids[prefix])
}

// emptyStore is the file of a store that was just made: to copy it is quicker than to make it.
func emptyStore(t *testing.T) []byte {
	t.Helper()
	file, err := makeStore()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

var makeStore = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "poolkeeper-simulation-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, database)
	s, err := store.OpenSQLite(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// quickDir is a directory in memory, where the system has such a thing: no power fails in these runs.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "poolkeeper-simulation-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// pause lets time pass until somebody waits at the gate, at most for the given time. It is not interrupted by
// the manager's looks for leases that are due, or little time would ever pass at once.
func (r *run) pause(atMost time.Duration) {
	if next := r.world.next(); !next.IsZero() {
		atMost = min(atMost, time.Until(next))
	}
	timeout := time.NewTimer(max(atMost, 0))
	defer timeout.Stop()
	for looked := true; looked; {
		r.gate.quiet()
		select {
		case <-r.gate.arrived:
		case <-timeout.C:
			return
		}
		synctest.Wait()
		looked = r.letLook()
		synctest.Wait()
	}
}

// letLook lets the manager look for leases that are due, if nobody else waits.
func (r *run) letLook() bool {
	waiting := r.gate.list(r.story.name)
	if len(waiting) != 1 || waiting[0].name != "view" || waiting[0].caller != manager {
		return false
	}
	r.let(waiting[0])
	return true
}
