package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// world is where the instances of a test live. It outlives managers, as a host does.
type world struct {
	mu        sync.Mutex
	pids      int
	instances map[string]*instance // that run, by worker id
	left      map[string]int       // processes that ended instances left running, by worker id
	logs      map[string]string    // by worker id
	sick      map[string]string    // what a probe of a worker complains of, by worker id
	launched  []string             // worker ids, in order
	calls     []string             // what the runtimes were asked for, without their reads
	breaches  []string             // what a runtime must never be asked for

	habits    func(runtime.Launch) habit                  // how an instance will behave; nil: as it is told
	launching func(context.Context, runtime.Launch) error // asked before an instance is started; nil: yes
	probing   func(health.Target) error                   // how a warm worker that is not sick answers; nil: well
	sweeping  func(workerID string, known pool.Instance)  // told of sweeps
	stillborn string                                      // a worker that ends before its launch returns
	trouble   func(call, workerID string) error           // asked before any other call; nil: none
	witness   func(call, workerID string) (breach string) // asked before a call that changes something
	unfit     func(pool.Spec) pool.Faults                 // what Check finds beside another host
}

// habit is how an instance behaves.
type habit struct {
	warmUp    time.Duration // before it passes its probe
	work      time.Duration // between its signal and its end
	deaf      bool          // it ignores its signal
	immortal  bool          // its kill fails
	leftovers int           // processes that outlive it
}

type instance struct {
	found   runtime.Found
	habit   habit
	started time.Time
	watcher *connection
}

const (
	testHost   = "alpha"
	otherStore = "m_other/i_other"
)

func newWorld() *world {
	return &world{instances: map[string]*instance{}, left: map[string]int{}, logs: map[string]string{}, sick: map[string]string{}}
}

// connection is one manager's runtime in a world. Ends that it does not deliver before it is cut are lost.
type connection struct {
	*world
	identity string
	ended    chan runtime.Ended
	gate     func(call string) (before, after error) // lets a test crash the manager at a call
}

func (w *world) connect(identity string) *connection {
	return &connection{world: w, identity: identity, ended: make(chan runtime.Ended, 1<<16), gate: func(string) (error, error) { return nil, nil }}
}

// call does one call of a runtime under the world's lock, unless a test wants it to fail.
func (c *connection) call(name, workerID string, changes bool, do func() error) error {
	before, after := c.gate(name)
	if before != nil {
		return before
	}
	if changes && c.witness != nil {
		if breach := c.witness(name, workerID); breach != "" {
			c.mu.Lock()
			c.breaches = append(c.breaches, breach)
			c.mu.Unlock()
		}
	}
	if c.trouble != nil {
		if err := c.trouble(name, workerID); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if changes {
		c.calls = append(c.calls, name+" "+workerID)
	}
	return errors.Join(do(), after)
}

func (c *connection) Check(_ context.Context, spec pool.Spec) (faults pool.Faults) {
	if host := spec.Runtime.Host(); host != "" && host != testHost {
		faults = append(faults, pool.Fault{Path: "runtime.process.host", Value: strconv.Quote(host), Reason: "is another host", Valid: testHost})
	}
	if c.unfit != nil {
		faults = append(faults, c.unfit(spec)...)
	}
	return faults
}

func (c *connection) Launch(ctx context.Context, l runtime.Launch) (made pool.Instance, err error) {
	if c.launching != nil {
		if err := c.launching(ctx, l); err != nil {
			return pool.Instance{}, err
		}
	}
	err = c.call("launch", l.WorkerID, true, func() error {
		i := c.instances[l.WorkerID]
		if i == nil {
			i = c.start(l)
		}
		i.watcher, made = c, i.found.Instance
		if c.stillborn == l.WorkerID {
			c.end(i, pool.Exit{Code: 1})
		}
		return nil
	})
	if c.stillborn == l.WorkerID {
		<-time.After(time.Millisecond) // its end is known before its start
	}
	return made, err
}

// start makes an instance; the world is locked.
func (c *connection) start(l runtime.Launch) *instance {
	c.pids++
	ports := map[string]int{}
	for n, p := range l.Template.Ports {
		ports[p.Name] = 10_000*(n+1) + c.pids
	}
	i := &instance{started: time.Now(), found: runtime.Found{
		WorkerID: l.WorkerID, PoolUID: l.PoolUID, PoolName: l.PoolName, Identity: c.identity,
		Instance: pool.Instance{BootID: "boot", PID: c.pids, StartTime: int64(c.pids), Ports: ports},
	}}
	if c.habits != nil {
		i.habit = c.habits(l)
	}
	c.instances[l.WorkerID] = i
	c.launched = append(c.launched, l.WorkerID)
	c.logs[l.WorkerID] += fmt.Sprintf("%s says hello\n", l.WorkerID)
	return i
}

func (c *connection) Adopt(_ context.Context, _, workerID string, known pool.Instance) error {
	return c.call("adopt", workerID, false, func() error {
		i, err := c.find(workerID, known)
		if err == nil {
			i.watcher = c
		}
		return err
	})
}

// find returns a running instance; the world is locked.
func (w *world) find(workerID string, known pool.Instance) (*instance, error) {
	if i := w.instances[workerID]; i != nil && i.found.Instance.PID == known.PID {
		return i, nil
	}
	return nil, runtime.ErrGone
}

func (c *connection) Signal(_ context.Context, workerID string, known pool.Instance, signal string) error {
	return c.call("signal "+signal, workerID, true, func() error {
		i, err := c.find(workerID, known)
		if err != nil || i.habit.deaf {
			return err
		}
		if i.habit.work == 0 {
			c.end(i, pool.Exit{Signal: signal})
			return nil
		}
		time.AfterFunc(i.habit.work, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.instances[workerID] == i {
				c.end(i, pool.Exit{Signal: signal})
			}
		})
		return nil
	})
}

func (c *connection) Kill(_ context.Context, workerID string, known pool.Instance) error {
	return c.call("kill", workerID, true, func() error {
		i, err := c.find(workerID, known)
		switch {
		case err == nil && i.habit.immortal:
			return fmt.Errorf("process %d does not end", known.PID)
		case err == nil:
			c.end(i, pool.Exit{Signal: "KILL"})
		}
		delete(c.left, workerID)
		return nil
	})
}

// end ends an instance and tells who watches it; the world is locked.
func (w *world) end(i *instance, exit pool.Exit) {
	id := i.found.WorkerID
	delete(w.instances, id)
	if i.habit.leftovers > 0 {
		w.left[id] = i.habit.leftovers
	}
	if i.watcher == nil {
		return
	}
	i.watcher.ended <- runtime.Ended{WorkerID: id, PoolUID: i.found.PoolUID, Exit: exit, At: time.Now()}
}

func (c *connection) Sweep(_ context.Context, workerID string, known pool.Instance) (n int, err error) {
	err = c.call("sweep", workerID, false, func() error {
		if _, err := c.find(workerID, known); err == nil && known.PID != 0 {
			return fmt.Errorf("process %d still runs", known.PID)
		}
		if i := c.instances[workerID]; i != nil && known.PID == 0 && i.found.Identity != otherStore { // all of ours that carries the worker's id
			c.end(i, pool.Exit{Signal: "KILL"})
		}
		if c.sweeping != nil {
			c.sweeping(workerID, known)
		}
		n = c.left[workerID]
		delete(c.left, workerID)
		return nil
	})
	return n, err
}

// Exec runs a check that complains as the worker's probe does.
func (c *connection) Exec(_ context.Context, l runtime.Launch, known pool.Instance, command pool.Command) (ran runtime.Executed, err error) {
	err = c.call("exec "+command.Words[0], l.WorkerID, false, func() error {
		if _, err := c.find(l.WorkerID, known); err != nil {
			return err
		}
		if complaint := c.sick[l.WorkerID]; complaint != "" {
			ran = runtime.Executed{Exit: pool.Exit{Code: 1}, Output: []byte(complaint)}
		}
		return nil
	})
	return ran, err
}

func (c *connection) List(context.Context) (found []runtime.Found, err error) {
	err = c.call("list", "", false, func() error {
		for _, id := range slices.Sorted(maps.Keys(c.instances)) {
			found = append(found, c.instances[id].found)
		}
		return nil
	})
	return found, err
}

func (c *connection) Ended() <-chan runtime.Ended { return c.ended }

func (c *connection) Logs(_ context.Context, _, workerID string, max int64) (text []byte, err error) {
	err = c.call("logs", workerID, false, func() error {
		text = []byte(c.logs[workerID])
		text = text[len(text)-min(len(text), int(max)):]
		return nil
	})
	return text, err
}

func (c *connection) KeepLogs(poolUID string, logs pool.Logs) {
	_ = c.call(fmt.Sprintf("keep %s of", logs.MaxSize), poolUID, true, func() error { return nil })
}

func (c *connection) RemoveLogs(_ context.Context, poolUID string, workerIDs ...string) error {
	return c.call("remove logs", poolUID, false, func() error {
		c.calls = append(c.calls, fmt.Sprint("remove logs ", poolUID, workerIDs))
		for _, id := range workerIDs {
			delete(c.logs, id)
		}
		if len(workerIDs) == 0 {
			clear(c.logs)
		}
		return nil
	})
}

func (c *connection) Close() error { return nil }

// probe is a probe of a worker, which passes once it is warm unless it is sick.
func (w *world) probe(_ context.Context, t health.Target) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.instances[t.WorkerID]
	if i == nil || time.Since(i.started) < i.habit.warmUp {
		return errors.New("connection refused")
	}
	if complaint := w.sick[t.WorkerID]; complaint != "" {
		return errors.New(complaint)
	}
	if w.probing != nil {
		return w.probing(t)
	}
	return nil
}

// crash has an instance end with an error.
func (w *world) crash(workerID string) { w.exit(workerID, pool.Exit{Code: 3}) }

// exit ends an instance by itself.
func (w *world) exit(workerID string, exit pool.Exit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end(w.instances[workerID], exit)
}

// sicken makes a worker's probe fail; an empty complaint cures it.
func (w *world) sicken(workerID, complaint string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sick[workerID] = complaint
}

// forge makes an instance that no manager of this test has launched.
func (w *world) forge(found runtime.Found) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pids++
	found.Instance.BootID, found.Instance.PID, found.Instance.StartTime = "boot", w.pids, int64(w.pids)
	w.instances[found.WorkerID] = &instance{found: found, started: time.Now()}
}

// starts lists the workers that were started, in order.
func (w *world) starts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.launched)
}

// leftRunning counts the processes that outlive their instance.
func (w *world) leftRunning() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.left)
}

// logged lists the workers that have logs.
func (w *world) logged() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.logs))
}

// forget begins the records of what was done anew.
func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.launched, w.calls = nil, nil
}

// instance is what runs for a worker, or nil.
func (w *world) instance(workerID string) *instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.instances[workerID]
}

// becomes changes how a worker's instance behaves from now on.
func (w *world) becomes(workerID string, h habit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instances[workerID].habit = h
}

// running lists the workers whose instances run.
func (w *world) running() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.instances))
}

// asked lists what the runtimes were asked for about a worker or pool, in order.
func (w *world) asked(id string) (calls []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if len(c) > len(id) && c[len(c)-len(id)-1:] == " "+id {
			calls = append(calls, c[:len(c)-len(id)-1])
		}
	}
	return calls
}
