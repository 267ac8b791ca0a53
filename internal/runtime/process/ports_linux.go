package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// setLock locks for the open file: closing another descriptor of it loses nothing.
const setLock = unix.F_OFD_SETLK

// ephemeralPorts are those that outgoing connections are given, from first to last.
func ephemeralPorts() (first, last int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(text), &first, &last)
	}
	if err != nil {
		return 32768, 60999 // the kernel's default
	}
	return first, last
}

func tcpSocket() (int, error) {
	return unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}
