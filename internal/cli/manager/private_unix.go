//go:build unix

package manager

import "golang.org/x/sys/unix"

// makePrivate keeps all that this process makes from now on to its user.
func makePrivate() { unix.Umask(0o077) }

// privately runs act such that what it makes is its user's alone from the first moment. To be called while
// nothing else of the process makes files.
func privately(act func() error) error {
	before := unix.Umask(0o177)
	defer unix.Umask(before)
	return act()
}
