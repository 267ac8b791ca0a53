package store

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// lockFile takes the lock that makes its holder the only manager of a database. The file stays when the
// lock is given back: removing it would let two managers lock two files of the same name.
func lockFile(path string) (*flock.Flock, error) {
	lock := flock.New(path, flock.SetPermissions(0o600))
	taken, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("%w: lock %s: %w", ErrUnwritable, path, err)
	}
	if !taken {
		return nil, fmt.Errorf("%w (%s holds %s): stop it first, or use another store", ErrInUse, holder(path), path)
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("%w: write %s: %w", ErrUnwritable, path, errors.Join(err, lock.Unlock()))
	}
	return lock, nil
}

// holder names the process that wrote the lock file.
func holder(path string) string {
	data, err := os.ReadFile(path)
	pid := strings.TrimSpace(string(data))
	if _, invalid := strconv.Atoi(pid); err != nil || invalid != nil {
		return "a process that has not said its pid"
	}
	return "pid " + pid
}
