package process

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// setLock locks for the process.
const setLock = unix.F_SETLK

// ephemeralPorts are those that outgoing connections are given, from first to last.
func ephemeralPorts() (first, last int) {
	low, err := unix.SysctlUint32("net.inet.ip.portrange.first")
	if err != nil {
		return 49152, 65535 // the system's default
	}
	high, err := unix.SysctlUint32("net.inet.ip.portrange.last")
	if err != nil {
		return 49152, 65535
	}
	return int(low), int(high)
}

func tcpSocket() (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	return fd, err
}
