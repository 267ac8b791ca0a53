package lifecycle_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/seal"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// stage is a manager on a real store, in a world where time passes when everybody waits.
type stage struct {
	t       *testing.T
	world   *world
	journal *journal
	runtime *connection
	m       *lifecycle.Manager
	gate    func(call string) (before, after error) // of the runtimes; nil: open
	ids     int
	keys    seal.Keyring
	plan    func(planner.World) planner.Result // nil: the planner's
	now     func() time.Time                   // nil: the manager's own
	// realProbes: workers are asked by the manager's own prober instead of the world's.
	realProbes bool
	hook       func(context.Context, health.Target) error          // nil: the manager's own
	jobs       func(context.Context, health.Target) (int64, error) // nil: the manager's own
	uids       map[string]bool                                     // of the pools that were created
}

// play runs a story on a stage of its own. Afterwards nothing may have been done without its journal, and
// every pool's events must be numbered without gaps.
func play(t *testing.T, story func(t *testing.T, s *stage)) {
	t.Parallel()
	path := filepath.Join(quickDir(t), "manager.db")
	synctest.Test(t, func(t *testing.T) {
		records, err := store.OpenSQLite(t.Context(), path)
		require.NoError(t, err)
		defer records.Close()
		s := &stage{t: t, world: newWorld(), journal: newJournal(records), uids: map[string]bool{}}
		s.world.witness = s.unjournaled
		s.open()
		defer func() { s.close() }()
		story(t, s)
		synctest.Wait()
		require.Empty(t, s.world.breaches)
		require.NoError(t, s.journal.complaints())
		s.checkEvents()
	})
}

// quickDir is a directory in memory, where the system has such a thing: stories wait for thousands of
// commits, and no power fails in them.
func quickDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "poolkeeper-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// open starts a manager.
func (s *stage) open() {
	s.t.Helper()
	require.NoError(s.t, s.tryOpen())
}

func (s *stage) tryOpen() (err error) {
	s.runtime = s.world.connect(s.journal.Identity().String())
	if s.gate != nil {
		s.runtime.gate = s.gate
	}
	config := lifecycle.Config{
		Store: s.journal, Runtime: s.runtime, Logger: hclog.NewNullLogger(), Host: testHost, Keys: s.keys,
		NewID: s.newID, Probe: s.world.probe, Hook: s.hook, Jobs: s.jobs, Plan: s.plan, Now: s.now,
	}
	if s.realProbes {
		config.Probe = nil
	}
	s.m, err = lifecycle.New(context.Background(), config)
	return err
}

// newID numbers what a manager makes, so that stories can name it: p_1, op_2, w_3.
func (s *stage) newID(prefix string) string {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.ids++
	return fmt.Sprintf("%s_%03d", prefix, s.ids)
}

func (s *stage) close() {
	if s.m != nil {
		s.m.Close()
	}
}

// away lets time pass without a manager.
func (s *stage) away(d time.Duration) {
	s.t.Helper()
	s.close()
	<-time.After(d)
	s.open()
}

// pass lets time pass, and everything happen that is due by then.
func (s *stage) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// unjournaled says what a call does without a record of the intent.
func (s *stage) unjournaled(call, workerID string) (breach string) {
	allowed := map[string][]pool.WorkerState{
		"launch": {pool.WorkerPending, pool.WorkerStopping},
		"kill":   {pool.WorkerStopping, pool.WorkerStopped, pool.WorkerFailed},
	}[call]
	if len(call) > 6 && call[:6] == "signal" {
		allowed = []pool.WorkerState{pool.WorkerStopping, pool.WorkerStopped}
	}
	if allowed == nil {
		return ""
	}
	err := s.journal.Store.View(context.Background(), func(r store.Reader) error {
		w, err := r.Worker(workerID)
		if err == nil && !slices.Contains(allowed, w.State) {
			err = fmt.Errorf("it is %s", w.State)
		}
		return err
	})
	if err != nil {
		return fmt.Sprintf("%s of %s: %v", call, workerID, err)
	}
	return ""
}

// checkEvents: the log of every pool is numbered without gaps.
func (s *stage) checkEvents() {
	s.t.Helper()
	for uid := range s.uids {
		events := s.events(uid)
		require.NotEmpty(s.t, events)
		for i, e := range events {
			require.Equal(s.t, int64(i+1), e.Sequence)
		}
	}
}

// spec is a valid spec with the given changes of the defaults.
func spec(size int64, changes ...func(*pool.Spec)) pool.Spec {
	sp := pool.Default()
	sp.Name, sp.Size, sp.Worker.Command = "web", &size, []string{"serve"}
	for _, change := range changes {
		change(&sp)
	}
	return sp
}

func sized(n int64) func(*pool.Spec) { return func(s *pool.Spec) { s.Size = &n } }
func command(words ...string) func(*pool.Spec) {
	return func(s *pool.Spec) { s.Worker.Command = words }
}
func describedAs(text string) func(*pool.Spec) { return func(s *pool.Spec) { s.Description = text } }
func graced(d time.Duration) func(*pool.Spec) {
	return func(s *pool.Spec) { s.Drain.Grace = pool.Duration(d) }
}
func deadline(d time.Duration) func(*pool.Spec) {
	return func(s *pool.Spec) { s.Update.ProgressDeadline = pool.Duration(d) }
}
func workers(n int64) pool.Amount { return pool.Amount{Value: n} }
func update(surge, unavailable int64) func(*pool.Spec) {
	return func(s *pool.Spec) { s.Update.MaxSurge, s.Update.MaxUnavailable = workers(surge), workers(unavailable) }
}

// probed gives workers a port and a probe of it.
func probed(s *pool.Spec) {
	s.Worker.Ports = []pool.Port{{Name: "http"}}
	s.Health.HTTP = &pool.HTTPProbe{}
	s.Health.Interval = pool.Duration(time.Second)
}

const author = "user:ann"

var (
	asNew    = lifecycle.Request{Author: author, IfNoneMatch: true}
	asChange = lifecycle.Request{Author: author, IfMatch: "*"}
)

// create asks for a new pool.
func (s *stage) create(sp pool.Spec) lifecycle.Accepted {
	s.t.Helper()
	done, err := s.m.Put(s.t.Context(), asNew, sp)
	require.NoError(s.t, err)
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.uids[done.Pool.UID] = true
	return done
}

// created is a pool whose creation has succeeded.
func (s *stage) created(sp pool.Spec) lifecycle.Accepted {
	s.t.Helper()
	done := s.create(sp)
	s.succeeds(done)
	return done
}

// change asks for another spec of an existing pool.
func (s *stage) change(sp pool.Spec) lifecycle.Accepted {
	s.t.Helper()
	done, err := s.m.Put(s.t.Context(), asChange, sp)
	require.NoError(s.t, err)
	return done
}

func (s *stage) restart(ref string) lifecycle.Accepted {
	s.t.Helper()
	done, err := s.m.Restart(s.t.Context(), asChange, ref)
	require.NoError(s.t, err)
	return done
}

func (s *stage) destroy(ref string) lifecycle.Accepted {
	s.t.Helper()
	done, err := s.m.Delete(s.t.Context(), asChange, ref, false)
	require.NoError(s.t, err)
	return done
}

// force asks for the end of a pool without waiting for its workers.
func (s *stage) force(ref string) lifecycle.Accepted {
	s.t.Helper()
	done, err := s.m.Delete(s.t.Context(), asChange, ref, true)
	require.NoError(s.t, err)
	return done
}

// ends waits for the outcome of an accepted change.
func (s *stage) ends(done lifecycle.Accepted) pool.Operation {
	s.t.Helper()
	o, err := s.m.Operation(s.t.Context(), done.Operation.ID, 24*time.Hour)
	require.NoError(s.t, err)
	require.True(s.t, o.Phase.Ended(), "%s %s runs for ever", o.Kind, o.ID)
	return o
}

// settles waits until an accepted change has ended or waits for a person.
func (s *stage) settles(done lifecycle.Accepted) pool.Operation {
	s.t.Helper()
	o, err := s.m.Operation(s.t.Context(), done.Operation.ID, 24*time.Hour)
	require.NoError(s.t, err)
	require.True(s.t, o.Phase.Ended() || o.Phase.Waits(), "%s %s is %s for ever", o.Kind, o.ID, o.Phase)
	return o
}

func (s *stage) reverts(done lifecycle.Accepted) pool.Operation {
	s.t.Helper()
	o := s.ends(done)
	require.Equal(s.t, pool.OperationReverted, o.Phase, o.Reason)
	require.NotEmpty(s.t, o.Reason)
	return o
}

func (s *stage) succeeds(done lifecycle.Accepted) pool.Operation {
	s.t.Helper()
	o := s.ends(done)
	require.Equal(s.t, pool.OperationSucceeded, o.Phase, o.Reason)
	return o
}

func (s *stage) fails(done lifecycle.Accepted) pool.Operation {
	s.t.Helper()
	o := s.ends(done)
	require.Equal(s.t, pool.OperationFailed, o.Phase)
	require.NotEmpty(s.t, o.Reason)
	return o
}

// view shows a pool without claiming it.
func (s *stage) view(name string) pool.View {
	s.t.Helper()
	v, err := s.m.Pool(s.t.Context(), name)
	require.NoError(s.t, err)
	return v
}

// living are a pool's workers that have not ended, oldest first.
func (s *stage) living(ref string) (living []pool.Worker) {
	s.t.Helper()
	all, err := s.m.Workers(s.t.Context(), ref)
	require.NoError(s.t, err)
	return slices.DeleteFunc(all, func(w pool.Worker) bool { return w.State.Ended() })
}

func ids(workers []pool.Worker) (ids []string) {
	for _, w := range workers {
		ids = append(ids, w.ID)
	}
	return ids
}

// worker reads one worker, ended or not.
func (s *stage) worker(id string) (w pool.Worker) {
	s.t.Helper()
	require.NoError(s.t, s.journal.Store.View(s.t.Context(), func(r store.Reader) (err error) {
		w, err = r.Worker(id)
		return err
	}))
	return w
}

// events reads a pool's whole log from the store.
func (s *stage) events(uid string) (events []pool.Event) {
	s.t.Helper()
	require.NoError(s.t, s.journal.Store.View(s.t.Context(), func(r store.Reader) (err error) {
		events, err = r.Events(uid, 0, 0)
		return err
	}))
	return events
}

// told are the types of a pool's events, in order; repetitions in a row count as one.
func (s *stage) told(uid string) (types []pool.EventType) {
	s.t.Helper()
	for _, e := range s.events(uid) {
		types = append(types, e.Type)
	}
	return slices.Compact(types)
}
