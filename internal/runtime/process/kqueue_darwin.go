package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

func openHandle(pid int) (handle, error) {
	p, err := look(pid)
	if errors.Is(err, fs.ErrNotExist) {
		return handle{}, runtime.ErrGone
	}
	return handle{pid, p.start}, err
}

func (h handle) close() {}

// reserveHandles has nothing to do: a handle is no open file.
func reserveHandles(int) {}

func (h handle) signal(s unix.Signal) error {
	p, err := look(h.pid)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !p.is(h.pid, h.start):
		return runtime.ErrGone
	case err != nil:
		return err
	}
	if err := unix.Kill(h.pid, s); err != nil {
		if errors.Is(err, unix.ESRCH) {
			return runtime.ErrGone
		}
		return err
	}
	return nil
}

func startProcess(file string, argv []string, attr *syscall.ProcAttr) (int, handle, error) {
	pid, err := syscall.ForkExec(file, argv, attr)
	if err != nil {
		return 0, handle{}, err
	}
	p, err := look(pid) // our child, so its pid is its own until we reap it
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		reap(pid)
	}
	return pid, handle{pid, p.start}, err
}

// exit is the status of a process that has ended, if it is our child. The kernel tells of the end a
// moment before the process can be waited for, so this waits.
func (h handle) exit(pid int, start int64) ending {
	p, err := look(pid)
	if err != nil || !p.is(pid, start) || p.parent != os.Getpid() {
		return ending{over: true, exit: unknownExit}
	}
	var status unix.WaitStatus
	for {
		reaped, err := unix.Wait4(pid, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || reaped != pid:
			return ending{over: true, exit: unknownExit}
		}
		return ending{over: true, held: true, exit: exitOf(status)}
	}
}

// watcher tells when processes end, by one kqueue that one goroutine waits for.
type watcher struct {
	queue int
	done  chan struct{}

	mu      sync.Mutex
	closed  bool
	last    int64
	watched map[int]map[int64]func() bool // by pid and token
	ended   []int                         // pids that had ended before they could be watched
}

// wakeIdent names the event by which the watcher wakes itself.
const wakeIdent = 1

func newWatcher() (*watcher, error) {
	syscall.ForkLock.RLock()
	queue, err := unix.Kqueue()
	if err == nil {
		unix.CloseOnExec(queue)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("watch processes: %w", err)
	}
	w := &watcher{queue: queue, done: make(chan struct{}), watched: map[int]map[int64]func() bool{}}
	wake := unix.Kevent_t{Ident: wakeIdent, Filter: unix.EVFILT_USER, Flags: unix.EV_ADD | unix.EV_CLEAR}
	if _, err := unix.Kevent(queue, []unix.Kevent_t{wake}, nil, nil); err != nil {
		unix.Close(queue)
		return nil, fmt.Errorf("watch processes: %w", err)
	}
	go w.run()
	return w, nil
}

// add calls gone when the handle's process has ended, on the watcher's goroutine. forget ends the watch
// sooner.
func (w *watcher) add(h handle, gone func() bool) (forget func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, errClosed
	}
	event := unix.Kevent_t{Ident: uint64(h.pid), Filter: unix.EVFILT_PROC, Flags: unix.EV_ADD | unix.EV_ONESHOT, Fflags: unix.NOTE_EXIT}
	_, err = unix.Kevent(w.queue, []unix.Kevent_t{event}, nil, nil)
	if errors.Is(err, unix.ESRCH) { // it has ended
		w.ended = append(w.ended, h.pid)
		err = w.wake()
	}
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", h.pid, err)
	}
	w.last++
	token := w.last
	if w.watched[h.pid] == nil {
		w.watched[h.pid] = map[int64]func() bool{}
	}
	w.watched[h.pid][token] = gone
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.watched[h.pid], token)
	}, nil
}

func (w *watcher) wake() error {
	event := unix.Kevent_t{Ident: wakeIdent, Filter: unix.EVFILT_USER, Fflags: unix.NOTE_TRIGGER}
	_, err := unix.Kevent(w.queue, []unix.Kevent_t{event}, nil, nil)
	return err
}

func (w *watcher) run() {
	defer close(w.done)
	events := make([]unix.Kevent_t, 256)
	for {
		n, err := unix.Kevent(w.queue, nil, events, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		var calls []func() bool
		w.mu.Lock()
		pids := w.ended
		w.ended = nil
		for _, event := range events[:max(n, 0)] {
			if event.Filter == unix.EVFILT_PROC {
				pids = append(pids, int(event.Ident))
			}
		}
		for _, pid := range pids {
			for _, gone := range w.watched[pid] {
				calls = append(calls, gone)
			}
			delete(w.watched, pid)
		}
		closed := w.closed
		w.mu.Unlock()
		if closed {
			return
		}
		for _, gone := range calls {
			gone()
		}
	}
}

// close returns when no call of gone is under way or to come.
func (w *watcher) close() {
	w.mu.Lock()
	w.closed = true
	err := w.wake()
	w.mu.Unlock()
	if err == nil {
		<-w.done
	}
	unix.Close(w.queue)
}
