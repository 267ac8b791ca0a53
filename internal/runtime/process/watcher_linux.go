package process

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// watcher tells when processes end. One goroutine waits for all of them through one epoll descriptor, and
// parks in Go's own poller while nothing happens, so neither goroutines nor threads grow with processes.
type watcher struct {
	epoll *os.File
	fd    int
	conn  syscall.RawConn
	done  chan struct{}

	mu      sync.Mutex
	closed  bool
	last    int64 // the newest token; tokens are never used again, as descriptors are
	watched map[int64]func() bool
}

func newWatcher() (*watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(fd, true) // this is what makes os.File use the poller
	}
	if err != nil {
		return nil, fmt.Errorf("watch processes: %w", err)
	}
	w := &watcher{epoll: os.NewFile(uintptr(fd), "epoll"), fd: fd, done: make(chan struct{}), watched: map[int64]func() bool{}}
	err = w.epoll.SetDeadline(time.Time{}) // errs if the poller has refused it
	if err == nil {
		w.conn, err = w.epoll.SyscallConn()
	}
	if err != nil {
		w.epoll.Close()
		return nil, fmt.Errorf("watch processes: %w", err)
	}
	go w.run()
	return w, nil
}

// add calls gone when the handle's process has ended, on the watcher's goroutine, until it returns true;
// it returns false if the process lives on after all. The handle must stay open as long. forget ends the
// watch sooner.
func (w *watcher) add(h handle, gone func() bool) (forget func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, errClosed
	}
	w.last++
	token := w.last
	// Edge-triggered: what is told once and lives on is told again when something changed.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(token), Pad: int32(token >> 32)}
	if err := unix.EpollCtl(w.fd, unix.EPOLL_CTL_ADD, h.fd, &event); err != nil {
		return nil, fmt.Errorf("watch a process: %w", err)
	}
	w.watched[token] = gone
	return func() { w.forget(token) }, nil
}

// forget leaves the descriptor in the epoll set; closing it takes it out.
func (w *watcher) forget(token int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.watched, token)
}

func (w *watcher) run() {
	defer close(w.done)
	events := make([]unix.EpollEvent, 256)
	for {
		n := 0
		err := w.conn.Read(func(fd uintptr) bool {
			var err error
			n, err = unix.EpollWait(int(fd), events, 0)
			return err == nil && n > 0 // EINTR cannot be: nothing is waited for
		})
		if err != nil {
			return // closed
		}
		for _, event := range events[:n] {
			token := int64(uint32(event.Fd)) | int64(event.Pad)<<32
			w.mu.Lock()
			gone := w.watched[token]
			w.mu.Unlock()
			if gone != nil && gone() {
				w.forget(token)
			}
		}
	}
}

// close returns when no call of gone is under way or to come.
func (w *watcher) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.epoll.Close()
	<-w.done
}
