//go:build linux || darwin

package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const (
	logsName  = "logs" // of the directory in a data directory
	logSuffix = ".log"
)

// logs are the workers' output files: <worker id>.log, and rotated ones from <worker id>.log.1, the
// newest, upwards.
type logs struct {
	dir string
	log hclog.Logger

	// moving is held while a file's content moves to another, and by those who read several.
	moving sync.RWMutex

	mu     sync.Mutex
	bounds map[string]pool.Logs // by pool uid
	def    pool.Logs
}

func newLogs(dir string, log hclog.Logger) *logs {
	return &logs{dir: dir, log: log, bounds: map[string]pool.Logs{}, def: pool.Default().Logs}
}

// path refuses ids that lead anywhere but into the directory of logs.
func (l *logs) path(poolUID, worker string) (string, error) {
	for _, id := range []string{poolUID, worker} {
		if id == "" || id == "." || id == ".." || strings.ContainsAny(id, "/\x00") {
			return "", fmt.Errorf("%q cannot be the name of a log", id)
		}
	}
	return filepath.Join(l.dir, poolUID, worker+logSuffix), nil
}

// open opens a worker's log for appending, so that it can be truncated under the worker. The caller
// closes the descriptor.
func (l *logs) open(poolUID, worker string) (int, error) {
	path, err := l.path(poolUID, worker)
	if err != nil {
		return -1, err
	}
	fd, err := openAppend(path)
	if errors.Is(err, fs.ErrNotExist) { // the first of its pool
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			fd, err = openAppend(path)
		}
	}
	if err != nil {
		return -1, fmt.Errorf("open the log: %w", err)
	}
	return fd, nil
}

func openAppend(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
		if err == nil {
			return fd, nil
		}
		if err != unix.EINTR {
			return -1, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// tail returns the last lines that fit into most bytes, also out of rotated logs. A line that does not fit
// alone is cut at its beginning.
func (l *logs) tail(poolUID, worker string, most int64) ([]byte, error) {
	path, err := l.path(poolUID, worker)
	if err != nil || most <= 0 {
		return nil, err
	}
	l.moving.RLock()
	defer l.moving.RUnlock()
	var text []byte
	want := most + 1 // the byte before tells whether a line begins after it
	for i := 0; want > 0; i++ {
		part, err := lastBytes(rotated(path, i), want)
		if errors.Is(err, fs.ErrNotExist) && i > 0 {
			break
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		text = append(part, text...)
		want -= int64(len(part))
	}
	if int64(len(text)) <= most {
		return text, nil
	}
	if _, lines, ok := bytes.Cut(text, []byte{'\n'}); ok && len(lines) > 0 {
		return lines, nil
	}
	return text[1:], nil
}

func lastBytes(path string, n int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(max(0, stat.Size()-n), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(file, n)) // it may grow meanwhile
}

// rotated is the path of the i-th rotated log; 0 is the log itself.
func rotated(path string, i int) string {
	if i == 0 {
		return path
	}
	return path + "." + strconv.Itoa(i)
}

func (l *logs) keep(poolUID string, bounds pool.Logs) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bounds[poolUID] = bounds
}

func (l *logs) boundsOf(poolUID string) pool.Logs {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.bounds[poolUID]; ok {
		return b
	}
	return l.def
}

func (l *logs) remove(poolUID, worker string) error {
	path, err := l.path(poolUID, worker)
	if err != nil {
		return err
	}
	l.moving.Lock()
	defer l.moving.Unlock()
	if err := removeFile(path + movingSuffix); err != nil {
		return err
	}
	return removeFrom(path, 0)
}

// removeFrom removes the i-th rotated log and all older ones. A crash may have left a gap of one.
func removeFrom(path string, i int) error {
	for missing := 0; missing < 2; i++ {
		err := os.Remove(rotated(path, i))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing++
		case err != nil:
			return err
		default:
			missing = 0
		}
	}
	return nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (l *logs) removePool(poolUID string) error {
	path, err := l.path(poolUID, "any")
	if err != nil {
		return err
	}
	l.mu.Lock()
	delete(l.bounds, poolUID)
	l.mu.Unlock()
	l.moving.Lock()
	defer l.moving.Unlock()
	return os.RemoveAll(filepath.Dir(path))
}

// Logs, KeepLogs and RemoveLogs are about files alone, and work on after Close.

func (r *Runtime) Logs(_ context.Context, poolUID, workerID string, most int64) ([]byte, error) {
	text, err := r.logs.tail(poolUID, workerID, most)
	if err != nil {
		return nil, fmt.Errorf("read the log of worker %s: %w", workerID, err)
	}
	return text, nil
}

func (r *Runtime) KeepLogs(poolUID string, logs pool.Logs) { r.logs.keep(poolUID, logs) }

func (r *Runtime) RemoveLogs(_ context.Context, poolUID string, workerIDs ...string) error {
	if len(workerIDs) == 0 {
		if err := r.logs.removePool(poolUID); err != nil {
			return fmt.Errorf("remove the logs of pool %s: %w", poolUID, err)
		}
		return nil
	}
	r.forget(workerIDs...)
	var failures []error
	for _, id := range workerIDs {
		if err := r.logs.remove(poolUID, id); err != nil {
			failures = append(failures, fmt.Errorf("remove the log of worker %s: %w", id, err))
		}
	}
	return errors.Join(failures...)
}
