package process

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// inheritance is what the manager got from its own parent and keeps from its workers.
type inheritance struct {
	// ignored are the signals that the manager was started to ignore (by nohup, for one), which exec
	// passes on. They are caught instead, by a channel that nobody reads: exec resets what is caught.
	// Blocked signals are passed on: Go cannot change a thread's mask here.
	ignored chan os.Signal
}

// detach also marks every descriptor that the manager was started with as close-on-exec.
func detach() (inheritance, error) {
	in := inheritance{ignored: make(chan os.Signal, 1)}
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return in, fmt.Errorf("keep descriptors from workers: %w", err)
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(in.ignored, s)
		}
	}
	return in, nil
}

func (inheritance) fork(start func() error) error { return start() }

func (in inheritance) close() { signal.Stop(in.ignored) }
