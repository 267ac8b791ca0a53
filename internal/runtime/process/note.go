//go:build linux || darwin

package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// notes say which process a worker was started as. One is written as soon as the process runs, long before
// the store has recorded it: a manager that is killed in between would otherwise find, of a worker that has
// ended meanwhile, only what it has started, and little tells a child that leads a session of its own from
// the worker. From the fork to the note a millisecond remains, for which List has a rule of its own.
//
// All are lines of one file, in the order of the launches. Making a file for each would cost as much as
// making its log, which on a busy disk is more than the launch itself. Notes count only for the boot in
// which they were made, so nothing is synced, and only until the store has recorded the launch, so old ones
// may go: a full file becomes the earlier one, and what was the earlier one is lost.
type notes struct {
	path string
	most int64 // bytes in a file

	mu   sync.Mutex
	file *os.File
	size int64
}

const (
	notesName     = "launches"
	earlierSuffix = ".1"
	// mostNotes is some 6,000 launches. As many at least are remembered, far more than are ever unrecorded.
	mostNotes = 1 << 20
)

// note is one line. It begins with the end of the line before, which a crash may have cut short.
type note struct {
	Worker string `json:"worker"`
	pool.Instance
}

func openNotes(path string) (*notes, error) {
	n := &notes{path: path, most: mostNotes}
	err := n.open()
	return n, err
}

func (n *notes) open() error {
	file, err := os.OpenFile(n.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	stat, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	n.file, n.size = file, stat.Size()
	return nil
}

func (n *notes) add(worker string, instance pool.Instance) error {
	line, err := json.Marshal(note{worker, instance})
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	written, err := n.file.Write(append([]byte{'\n'}, line...))
	n.size += int64(written)
	if err == nil && n.size >= n.most {
		err = n.turn()
	}
	return err
}

// turn begins a new file.
func (n *notes) turn() error {
	full := n.file
	if err := os.Rename(n.path, n.path+earlierSuffix); err != nil {
		return err
	}
	if err := n.open(); err != nil {
		return err // it goes on in the full one
	}
	return full.Close()
}

// read returns the newest instance of each worker that was started in the given boot.
func (n *notes) read(bootID string) (map[string]pool.Instance, error) {
	n.mu.Lock() // no file turns meanwhile
	defer n.mu.Unlock()
	instances := map[string]pool.Instance{}
	for _, path := range []string{n.path + earlierSuffix, n.path} {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read which processes were started: %w", err)
		}
		for line := range bytes.SplitSeq(text, []byte{'\n'}) {
			var one note
			if json.Unmarshal(line, &one) == nil && one.BootID == bootID && one.PID > 0 {
				instances[one.Worker] = one.Instance
			}
		}
	}
	return instances, nil
}

func (n *notes) close() error { return n.file.Close() }
