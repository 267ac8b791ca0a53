//go:build failpoints && unix

package failpoint

import (
	"os"
	"syscall"
)

// The environment of a program that is to be killed: at which point, and a file that says that it was. It is
// killed there once.
const (
	VarPoint = "POOLKEEPER_FAILPOINT"
	VarFile  = "POOLKEEPER_FAILPOINT_FILE"
)

// Reach kills the program if it is the point to do so at.
func Reach(p Point) {
	if os.Getenv(VarPoint) != string(p) {
		return
	}
	file, err := os.OpenFile(os.Getenv(VarFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return // it was killed here before
	}
	_ = file.Close()
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
