package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// DataDir is the absolute path of the directory that holds all that one manager owns.
type DataDir string

func (d DataDir) path(name string) string { return filepath.Join(string(d), name) }

// Socket is where the manager answers.
func (d DataDir) Socket() string { return d.path("manager.sock") }

// Endpoint is Socket as clients write it.
func (d DataDir) Endpoint() string { return "unix://" + d.Socket() }

// Lock is held by the manager as long as it lives, and tells its pid.
func (d DataDir) Lock() string { return d.path("manager.lock") }

// Store is the manager's database.
func (d DataDir) Store() string { return d.path("manager.db") }

// SecretsKey is the file of the key that seals the pools' secrets, unless the manager is given another one.
func (d DataDir) SecretsKey() string { return d.path("secrets.key") }

// Log is where a manager that was started from here writes to.
func (d DataDir) Log() string { return d.path("manager.log") }

// starting is held by whoever starts or replaces the manager.
func (d DataDir) starting() string { return d.path("start.lock") }

// programs holds the copies that managers run from.
func (d DataDir) programs() string { return d.path("bin") }

// maxSocketPath is the longest path of a unix socket in bytes: the size of sun_path without the final NUL.
var maxSocketPath = map[string]int{"linux": 107, "darwin": 103}

// Resolve makes dir absolute; empty means poolkeeper's directory among the user's data (XDG base directory
// specification). It errs if a manager's socket could not be in it.
func Resolve(dir string) (DataDir, error) {
	if dir == "" {
		var err error
		if dir, err = defaultDir(); err != nil {
			return "", err
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("data directory %q: %w", dir, err)
	}
	d := DataDir(abs)
	if most, limited := maxSocketPath[runtime.GOOS]; limited && len(d.Socket()) > most {
		return "", fmt.Errorf("data directory %q is too long: the path of its socket %s has %d bytes, and the operating system takes at most %d; choose a shorter data_dir",
			abs, d.Socket(), len(d.Socket()), most)
	}
	return d, nil
}

func defaultDir() (string, error) {
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "poolkeeper"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the default data directory: %w; name one with --data-dir, with data_dir in the provider's configuration, or with POOLKEEPER_DATA_DIR", err)
	}
	return filepath.Join(home, ".local", "share", "poolkeeper"), nil
}

// HasStore says whether a manager ever wrote in the directory.
func (d DataDir) HasStore() (bool, error) {
	_, err := os.Stat(d.Store())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("data directory %q cannot be read: %w", d, err)
	}
	return true, nil
}

// Running says whether a manager lives in the directory, and with which pid (0 if it has not said so yet).
func (d DataDir) Running() (pid int, running bool, err error) {
	// A shared lock, so that those who look do not see each other.
	lock := flock.New(d.Lock(), flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("look whether a manager runs: %w", err)
	}
	if free {
		return 0, false, lock.Unlock()
	}
	text, err := os.ReadFile(d.Lock())
	if err != nil {
		return 0, true, fmt.Errorf("read the manager's pid: %w", err)
	}
	pid, _ = strconv.Atoi(strings.TrimSpace(string(text))) // it has the lock first, and then says so
	return pid, true, nil
}

// create makes the directory, for its owner alone.
func (d DataDir) create() error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("data directory %q cannot be created: %w; choose another data_dir", d, err)
	}
	return nil
}

// unwritable says what an error in the directory means for its user.
func (d DataDir) unwritable(err error) error {
	return fmt.Errorf("data directory %q cannot be written: %w; make it writable or choose another data_dir", d, err)
}
