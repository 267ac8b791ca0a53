package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// files are those that a database writes to, as they were when it was opened. A process goes on writing
// to files that were removed or replaced under it, and nobody would ever see again what it wrote.
type files []openFile

type openFile struct {
	path   string
	opened os.FileInfo
}

func lookAtFiles(paths ...string) (files, error) {
	var f files
	for _, path := range paths {
		stat, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("look at the store's file: %w", err)
		}
		f = append(f, openFile{path, stat})
	}
	return f, nil
}

// inPlace errs with ErrUnwritable unless each is still the one that was opened.
func (f files) inPlace() error {
	for _, file := range f {
		now, err := os.Stat(file.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return misplaced(file.path, "removed")
		case err != nil:
			return fmt.Errorf("%w: look at its file: %w", ErrUnwritable, err)
		case !os.SameFile(file.opened, now):
			return misplaced(file.path, "replaced")
		}
	}
	return nil
}

func misplaced(path, what string) error {
	return fmt.Errorf("%w: %s was %s while the manager ran: put the file back, or restart the manager to go on with what is there now", ErrUnwritable, path, what)
}
