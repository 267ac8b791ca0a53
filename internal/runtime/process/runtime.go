//go:build linux || darwin

package process

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// defaultPath is a worker's PATH where neither its spec nor the manager has one.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

var errClosed = errors.New("the process runtime is closed")

// Runtime runs workers as processes of this host.
type Runtime struct {
	identity  string
	managerID string
	host      string
	bootID    string
	base      base
	log       hclog.Logger

	null    int // /dev/null, opened with stdinFlags
	inherit inheritance
	forks   chan struct{} // bounds forks under way: each keeps a thread until its program runs
	watcher *watcher
	census  *census
	ports   *ports
	logs    *logs
	notes   *notes
	ended   *endings

	stop   context.CancelFunc
	run    string // names this life of a manager in the ids of its errands
	errand atomic.Int64
	atStop func(func()) (unregister func() bool)
	calls  sync.WaitGroup // calls under way
	tasks  sync.WaitGroup // goroutines of the runtime

	mu      sync.Mutex
	closed  bool
	workers map[string]*worker // that live, by id
	past    map[string]past    // of workers that ended and were not swept yet, by id
}

var _ runtime.Runtime = (*Runtime)(nil)

// Open prepares to run workers. It marks every descriptor of the process as close-on-exec and catches the
// signals that the process was started to ignore, so that workers inherit neither.
func Open(cfg Config) (_ *Runtime, err error) {
	r := &Runtime{
		identity: cfg.Identity, managerID: cfg.ManagerID, host: cfg.Host, null: -1,
		log:     cmp.Or(cfg.Logger, hclog.NewNullLogger()),
		forks:   make(chan struct{}, 2*goruntime.GOMAXPROCS(0)),
		run:     rand.Text(),
		ports:   newPorts(noReservations()),
		ended:   newEndings(),
		workers: map[string]*worker{}, past: map[string]past{},
	}
	life, stop := context.WithCancel(context.Background())
	r.stop = stop
	r.atStop = func(f func()) func() bool { return context.AfterFunc(life, f) }
	defer func() {
		if err != nil {
			r.Close()
			err = fmt.Errorf("open the process runtime: %w", err)
		}
	}()
	if err := checkHandles(); err != nil {
		return nil, err
	}
	if r.bootID, err = bootID(); err != nil {
		return nil, err
	}
	if r.host == "" {
		if r.host, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	r.base = base{path: cmp.Or(os.Getenv("PATH"), defaultPath), home: homeDir()}
	if r.inherit, err = detach(); err != nil {
		return nil, err
	}
	if r.null, err = unix.Open(os.DevNull, stdinFlags|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// Links of open files are resolved, so what they are compared with must be.
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	r.logs = newLogs(filepath.Join(dir, logsName), r.log)
	if r.notes, err = openNotes(filepath.Join(dir, notesName)); err != nil {
		return nil, err
	}
	if r.census, err = newCensus(r.logs.dir); err != nil {
		return nil, err
	}
	if r.watcher, err = newWatcher(); err != nil {
		return nil, err
	}
	if host, err := openReservations(reservationsFile()); err == nil {
		r.ports.host = host
	} else {
		r.log.Warn("ports cannot be reserved: another manager might choose the same", "error", err)
	}
	r.readyHandles()
	r.tasks.Go(func() { r.ended.run(life) })
	r.tasks.Go(func() { r.logs.rotate(life, r.living) })
	r.tasks.Go(func() { r.endStrayErrands(life) })
	return r, nil
}

// manyHandles is how many workers are at hand without a pause.
const manyHandles = 1 << 14

// readyHandles prepares for as many workers as there can be, and says so if they are few. Go has raised the soft
// limit of open files to the hard one at start, and gives workers the original.
func (r *Runtime) readyHandles() {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	reserveHandles(int(min(limit.Cur, manyHandles)))
	if limit.Cur < 4096 {
		r.log.Warn("the limit of open files bounds the number of workers: each takes one", "limit", limit.Cur)
	}
	if os.Getpid() == 1 {
		r.log.Warn("running as process 1: orphans of workers are never reaped; run the manager under an init")
	}
}

func homeDir() string {
	if home, err := os.UserHomeDir(); err == nil {
		return home
	}
	if u, err := user.Current(); err == nil && u.HomeDir != "" {
		return u.HomeDir
	}
	return rootDir
}

// Ended delivers each end once. The channel is closed by Close.
func (r *Runtime) Ended() <-chan runtime.Ended { return r.ended.out }

// Close waits for the calls under way, of which those that wait end early. Ends that were not received
// are lost, as they are in a crash.
func (r *Runtime) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.calls.Wait()
	if r.watcher != nil {
		r.watcher.close()
	}
	r.tasks.Wait()
	if r.census != nil {
		r.census.wait()
	}
	for _, w := range r.workers {
		w.close()
	}
	if r.null >= 0 {
		unix.Close(r.null)
	}
	r.inherit.close()
	r.ports.host.close()
	if r.notes != nil {
		return r.notes.close()
	}
	return nil
}

// begin registers a call that Close has to wait for. The context ends with the caller's and with Close.
func (r *Runtime) begin(ctx context.Context) (context.Context, func(), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, errClosed
	}
	r.calls.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	unregister := r.atStop(func() { cancel(errClosed) })
	return ctx, func() {
		unregister()
		cancel(nil)
		r.calls.Done()
	}, nil
}
