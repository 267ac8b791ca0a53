package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// handle is a pidfd. It stands for one process, also after that has ended and its pid was given away.
type handle struct{ fd int }

func openHandle(pid int) (handle, error) {
	fd, err := unix.PidfdOpen(pid, 0) // the kernel sets close-on-exec
	switch {
	case err == unix.ESRCH || err == unix.EINVAL:
		return handle{}, runtime.ErrGone // EINVAL: the pid is a thread's by now
	case err != nil:
		return handle{}, fmt.Errorf("open process %d: %w", pid, err)
	}
	return handle{fd}, nil
}

// reserveHandles has the kernel make its table of open files large enough at once. It doubles the table when it is full,
// and has every thread that opens a file wait for some 10 ms meanwhile: eight times on the way to 10,000 workers.
func reserveHandles(n int) {
	if fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, n-1); err == nil {
		unix.Close(fd)
	}
}

// checkHandles errs on a kernel without what handles need.
func checkHandles() error {
	h, err := openHandle(os.Getpid())
	if err == nil {
		defer h.close()
		err = h.signal(0)
	}
	if err == nil {
		err = unix.Waitid(unix.P_PIDFD, h.fd, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	}
	if errors.Is(err, unix.ECHILD) { // nobody is a child of itself
		return nil
	}
	return fmt.Errorf("need Linux 5.4 or newer, and pidfd_open, pidfd_send_signal and waitid not forbidden: %w", err)
}

func (h handle) close() { unix.Close(h.fd) }

func (h handle) signal(s unix.Signal) error {
	err := unix.PidfdSendSignal(h.fd, s, nil, 0)
	if err == unix.ESRCH {
		return runtime.ErrGone
	}
	return err
}

// startProcess forks and execs. It returns once the program runs, and no sooner.
func startProcess(file string, argv []string, attr *syscall.ProcAttr) (int, handle, error) {
	fd := -1
	attr.Sys.PidFD = &fd
	pid, err := syscall.ForkExec(file, argv, attr)
	return pid, handle{fd}, err
}

// exit is the status of a process whose handle has become readable. The parent gets it from wait, and the
// zombie is gone. Of other processes the kernel tells it as long as they are zombies, and since Linux 6.15
// by the handle as soon as they are not.
func (h handle) exit(pid int, start int64) ending {
	for {
		err := unix.Waitid(unix.P_PIDFD, h.fd, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return h.strangersExit(pid, start)
		}
		break
	}
	// It is our child and not reaped, so its pid is its own.
	var status unix.WaitStatus
	for {
		reaped, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return ending{over: true, exit: unknownExit}
		case reaped != pid:
			return ending{} // a debugger holds it
		}
		return ending{over: true, held: true, exit: exitOf(status)}
	}
}

func (h handle) strangersExit(pid int, start int64) ending {
	if status, ok := h.reapedStatus(); ok {
		return ending{over: true, exit: exitOf(status)}
	}
	if status, ok := zombieStatus(pid, start); ok {
		return ending{over: true, held: true, exit: exitOf(status)}
	}
	if status, ok := h.reapedStatus(); ok { // its parent was faster
		return ending{over: true, exit: exitOf(status)}
	}
	return ending{over: true, exit: unknownExit}
}

// zombieStatus reads the status of an ended process that its parent has not waited for yet.
func zombieStatus(pid int, start int64) (unix.WaitStatus, bool) {
	// The status reads as 0 to those who may not trace the process; the link tells them apart, because
	// to those who may it does not exist any more.
	_, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, false
	}
	s, err := readStat(pid)
	return unix.WaitStatus(s.status), err == nil && s.zombie && s.is(pid, start)
}

// pidfdInfo is struct pidfd_info of linux/pidfd.h in its first version.
type pidfdInfo struct {
	mask, _ uint64
	_       [11]uint32
	status  int32
}

const (
	pidfdGetInfo  = 0xc040ff0b // _IOWR(0xff, 11, struct pidfd_info); an architecture that numbers otherwise refuses it
	pidfdInfoExit = 1 << 3
)

// reapedStatus asks the kernel for the status of a process that is gone altogether.
func (h handle) reapedStatus() (unix.WaitStatus, bool) {
	info := pidfdInfo{mask: pidfdInfoExit}
	_, _, err := unix.Syscall(unix.SYS_IOCTL, uintptr(h.fd), pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
	return unix.WaitStatus(info.status), err == 0 && info.mask&pidfdInfoExit != 0
}
