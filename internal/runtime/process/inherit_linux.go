package process

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	goruntime "runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// inheritance is what the manager got from its own parent and keeps from its workers.
type inheritance struct {
	// blocked says that the manager was started with blocked signals, which fork passes on.
	blocked bool
	// ignored are the signals that the manager was started to ignore (by nohup, for one), which exec
	// passes on. They are caught instead, by a channel that nobody reads: exec resets what is caught.
	ignored chan os.Signal
}

// detach also marks every descriptor that the manager was started with as close-on-exec.
func detach() (inheritance, error) {
	in := inheritance{ignored: make(chan os.Signal, 1)}
	err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) { // before Linux 5.11, or forbidden
		err = closeEachOnExec()
	}
	if err != nil {
		return in, fmt.Errorf("keep descriptors from workers: %w", err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return in, fmt.Errorf("read which signals are ignored: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if mask, ok := strings.CutPrefix(line, "SigIgn:"); ok {
			bits, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			if err != nil {
				return in, fmt.Errorf("read which signals are ignored: %w", err)
			}
			for s := range 64 {
				if bits>>s&1 != 0 {
					signal.Notify(in.ignored, syscall.Signal(s+1))
				}
			}
		}
	}
	// Not from the same file: that is the mask of the first thread, which may be the one Go handles
	// signals on.
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	var mask unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, nil, &mask); err != nil {
		return in, fmt.Errorf("read which signals are blocked: %w", err)
	}
	in.blocked = mask != unix.Sigset_t{}
	return in, nil
}

func closeEachOnExec() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// fork calls start on a thread that blocks no signal.
func (in inheritance) fork(start func() error) error {
	if !in.blocked {
		return start()
	}
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	var none, mask unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, &mask); err != nil {
		return err
	}
	err := start()
	return errors.Join(err, unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil))
}

func (in inheritance) close() { signal.Stop(in.ignored) }
