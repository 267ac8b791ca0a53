//go:build linux || darwin

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// reservations keep the managers of one user on this host from choosing the same ports, long before their
// workers listen: each holds a lock on the byte of that number in a file that all share. Locks are the
// manager's, so they cost no descriptor, nothing has to be cleaned up after a crash, and the next manager
// takes them again for the workers it adopts. While no manager runs, a worker that does not listen has its
// port from its number alone; and the managers of other users, or of another mount of /tmp, are not asked.
type reservations struct{ fd int }

// noReservations grants everything.
func noReservations() *reservations { return &reservations{-1} }

// reservationsFile is the same for all managers of the user, whatever their environment says.
func reservationsFile() string {
	return filepath.Join("/tmp", "poolkeeper-"+strconv.Itoa(os.Geteuid()), "ports")
}

// openReservations refuses a directory that somebody else could have made, because others may write beside it.
func openReservations(path string) (*reservations, error) {
	dir := filepath.Dir(path)
	if err := unix.Mkdir(dir, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	var stat unix.Stat_t
	if err := unix.Lstat(dir, &stat); err != nil {
		return nil, fmt.Errorf("look at %s: %w", dir, err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR || int(stat.Uid) != os.Geteuid() || stat.Mode&0o022 != 0 {
		return nil, fmt.Errorf("%s is not a directory that only the manager's user may write to", dir)
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &reservations{fd}, nil
}

// reserve is false if another manager has the port.
func (r *reservations) reserve(port int) bool { return r.lock(port, unix.F_WRLCK) }

func (r *reservations) free(port int) { r.lock(port, unix.F_UNLCK) }

func (r *reservations) lock(port int, kind int16) bool {
	if r.fd < 0 {
		return true
	}
	err := unix.FcntlFlock(uintptr(r.fd), setLock, &unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: int64(port), Len: 1})
	// Any other error is a file system without locks: then nothing is known of others.
	return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES)
}

func (r *reservations) close() {
	if r.fd >= 0 {
		unix.Close(r.fd)
	}
}
