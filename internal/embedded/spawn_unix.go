//go:build unix

package embedded

import (
	"os"
	"strconv"
	"syscall"
)

const supported = true

// spawn starts a program as the leader of a session of its own, so that no signal to our process group or
// terminal reaches it, with nothing of ours but its output.
func spawn(program string, arguments, environment []string, output *os.File) (*os.Process, error) {
	keepDescriptors()
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer nothing.Close()
	return os.StartProcess(program, append([]string{program}, arguments...), &os.ProcAttr{
		Dir:   "/", // no directory of the caller's is kept in use
		Env:   environment,
		Files: []*os.File{nothing, output, output},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// maxDescriptor bounds which descriptors are kept back where the system does not list the open ones.
const maxDescriptor = 4096

// keepDescriptors marks every open file of ours to be closed in new programs. What Go opened is so marked
// already; what we inherited, like a descriptor of the user's shell, is not, and would stay open for as long
// as the manager lives.
func keepDescriptors() {
	open, err := os.ReadDir("/dev/fd")
	if err != nil {
		for fd := 3; fd < maxDescriptor; fd++ {
			syscall.CloseOnExec(fd)
		}
		return
	}
	for _, entry := range open {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}
