//go:build linux || darwin

package process

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// origin is what a process's output tells of where it comes from: its standard output or error is a
// worker's log. It got that from the worker, or opened it on purpose; unlike the variables it stays when
// a program overwrites its environment, and unlike them it tells apart two copies of one data directory,
// whose managers have the same id. A directory that was moved keeps its workers: the operating system shows
// open files under their new name. The zero value tells nothing.
type origin struct {
	poolUID, worker string
	// own: the log is one of this data directory.
	own bool
}

// ownLog says that the process writes to the worker's log in this data directory.
func (o origin) ownLog(worker string) bool { return o.own && worker != "" && o.worker == worker }

// othersLog says that the process writes to that worker's log in another data directory: it is that
// one's, whatever its environment says.
func (o origin) othersLog(worker string) bool { return !o.own && worker != "" && o.worker == worker }

// stdinFlags are what a worker's standard input is opened with. To append means nothing for reading, and
// nobody else does both: by that what a worker has inherited from the manager is told from what it, or a
// shell that puts a command in the background, has opened for its children.
const stdinFlags = unix.O_RDONLY | unix.O_APPEND

const deletedSuffix = " (deleted)"

// readOrigin makes sense of the path of an open file, where dir holds this manager's logs. A deleted log
// of another directory tells nothing: if a data directory was moved to another file system, the workers
// are left with the logs that were deleted there.
func readOrigin(path, dir string) origin {
	path, deleted := strings.CutSuffix(path, deletedSuffix)
	name, isLog := strings.CutSuffix(path, logSuffix)
	parent, worker := filepath.Split(name)
	place, poolUID := filepath.Split(filepath.Clean(parent))
	place = filepath.Clean(place)
	own := place == dir
	if !isLog || worker == "" || !own && (deleted || filepath.Base(place) != logsName) {
		return origin{}
	}
	return origin{poolUID, worker, own}
}
