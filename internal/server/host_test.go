package server_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// host is a runtime whose workers run at once, end at their first signal and say who they are.
type host struct {
	ended chan runtime.Ended

	mu      sync.Mutex
	pids    int
	running map[string]runtime.Found // by worker id
	hold    chan struct{}            // launches wait until it is closed; nil: they do not wait
	deaf    bool                     // workers ignore their signal
	check   func(context.Context)    // called by checks of specs; nil: nothing
	foreign []runtime.Found          // what is found beside its own
}

const hostName = "alpha"

func newHost() *host {
	return &host{ended: make(chan runtime.Ended, 1000), running: map[string]runtime.Found{}}
}

// holdLaunches keeps operations running until the returned function is called.
func (h *host) holdLaunches() (release func()) {
	hold := make(chan struct{})
	h.mu.Lock()
	h.hold = hold
	h.mu.Unlock()
	return sync.OnceFunc(func() {
		h.mu.Lock()
		h.hold = nil
		h.mu.Unlock()
		close(hold)
	})
}

// ignoreSignals has workers live on until they are killed, or the returned function is called.
func (h *host) ignoreSignals() (restore func()) {
	set := func(deaf bool) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.deaf = deaf
	}
	set(true)
	return func() { set(false) }
}

// onCheck has every check of a spec do something first.
func (h *host) onCheck(do func(context.Context)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.check = do
}

func (h *host) Check(ctx context.Context, spec pool.Spec) pool.Faults {
	h.mu.Lock()
	check := h.check
	h.mu.Unlock()
	if check != nil {
		check(ctx)
	}
	if len(spec.Worker.Command) > 0 && strings.HasPrefix(spec.Worker.Command[0], "/missing/") {
		return pool.Faults{{Path: "worker.command[0]", Value: fmt.Sprintf("%q", spec.Worker.Command[0]), Reason: "there is no such program"}}
	}
	return nil
}

func (h *host) Launch(ctx context.Context, l runtime.Launch) (pool.Instance, error) {
	h.mu.Lock()
	hold := h.hold
	h.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return pool.Instance{}, ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if f, ok := h.running[l.WorkerID]; ok {
		return f.Instance, nil
	}
	h.pids++
	ports := map[string]int{}
	for n, p := range l.Template.Ports {
		ports[p.Name] = 10_000*(n+1) + h.pids
	}
	f := runtime.Found{
		WorkerID: l.WorkerID, PoolUID: l.PoolUID, PoolName: l.PoolName,
		Instance: pool.Instance{BootID: "boot", PID: h.pids, StartTime: int64(h.pids), Ports: ports},
	}
	h.running[l.WorkerID] = f
	return f.Instance, nil
}

func (h *host) Adopt(context.Context, string, string, pool.Instance) error { return runtime.ErrGone }

func (h *host) Signal(_ context.Context, workerID string, _ pool.Instance, signal string) error {
	h.mu.Lock()
	deaf := h.deaf
	h.mu.Unlock()
	if deaf {
		return nil
	}
	return h.end(workerID, pool.Exit{Signal: signal})
}

func (h *host) Kill(_ context.Context, workerID string, _ pool.Instance) error {
	_ = h.end(workerID, pool.Exit{Signal: "KILL"}) // what is gone is gone
	return nil
}

func (h *host) end(workerID string, exit pool.Exit) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := h.running[workerID]
	if !ok {
		return runtime.ErrGone
	}
	delete(h.running, workerID)
	h.ended <- runtime.Ended{WorkerID: workerID, PoolUID: f.PoolUID, Exit: exit, At: time.Now()}
	return nil
}

func (h *host) Sweep(context.Context, string, pool.Instance) (int, error) { return 0, nil }

func (h *host) Exec(context.Context, runtime.Launch, pool.Instance, pool.Command) (runtime.Executed, error) {
	return runtime.Executed{}, nil
}

func (h *host) List(context.Context) ([]runtime.Found, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append(slices.Collect(maps.Values(h.running)), h.foreign...), nil
}

func (h *host) Ended() <-chan runtime.Ended { return h.ended }

func (h *host) Logs(_ context.Context, _, workerID string, limit int64) ([]byte, error) {
	text := []byte("an earlier line\nhello from " + workerID + "\n")
	return text[max(0, len(text)-int(limit)):], nil
}

func (h *host) KeepLogs(string, pool.Logs) {}

func (h *host) RemoveLogs(context.Context, string, ...string) error { return nil }

func (h *host) Close() error { return nil }
