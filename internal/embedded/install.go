package embedded

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The program is copied before it is run: `terraform init -upgrade` and the end of a CI job remove the
// provider's own file while the manager lives on.

const (
	programPrefix  = "poolkeeper-"
	partialPattern = ".poolkeeper-*"
	newestRecord   = "newest.json"
)

// installed tells which copy ran last, and what version it is.
type installed struct {
	Program string `json:"program"`
	Version string `json:"version"`
}

// install returns the program to start a manager from: a copy of the executable, or the copy that ran last
// if that is newer, because its store may be newer than what we understand. Other copies are removed. To
// be called alone and while no manager runs, so that none of them is in use.
func (l *Local) install() (string, error) {
	dir := l.dir.programs()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", l.dir.unwritable(err)
	}
	last := lastInstalled(dir)
	if older(l.version, last.Version) {
		l.log.Info("starting the newer manager that ran last", "version", last.Version, "own_version", l.version)
		return filepath.Join(dir, last.Program), nil
	}
	name, err := copyProgram(l.executable, dir)
	if err != nil {
		return "", err
	}
	if now := (installed{name, l.version}); now != last {
		if err := now.record(dir); err != nil {
			return "", l.dir.unwritable(err)
		}
	}
	if err := removeOthers(dir, name); err != nil {
		l.log.Warn("old copies of the program stay", "directory", dir, "error", err)
	}
	return filepath.Join(dir, name), nil
}

// lastInstalled is the zero value if nothing usable is recorded.
func lastInstalled(dir string) installed {
	var last installed
	data, err := os.ReadFile(filepath.Join(dir, newestRecord))
	if err != nil || json.Unmarshal(data, &last) != nil || last.Program != filepath.Base(last.Program) {
		return installed{}
	}
	if _, err := os.Stat(filepath.Join(dir, last.Program)); err != nil {
		return installed{}
	}
	return last
}

func (i installed) record(dir string) error {
	data, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return ReplaceFile(filepath.Join(dir, newestRecord), 0o600, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// copyProgram puts a copy of the program into dir, unless it is there, and returns the copy's name. A copy
// is named by its content and appears whole or not at all.
func copyProgram(program, dir string) (string, error) {
	source, err := os.Open(program)
	if err != nil {
		return "", fmt.Errorf("read the program to start the manager from: %w", err)
	}
	defer source.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, source); err != nil {
		return "", fmt.Errorf("read the program to start the manager from: %w", err)
	}
	name := nameOf(digest)
	if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
		return name, nil
	}
	err = ReplaceFile(filepath.Join(dir, name), 0o700, func(w io.Writer) error {
		if _, err := source.Seek(0, io.SeekStart); err != nil {
			return err
		}
		copied := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, copied), source); err != nil {
			return err
		}
		if nameOf(copied) != name {
			return fmt.Errorf("%s changed while it was copied", program)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("copy the program %s to %s: %w", program, dir, err)
	}
	return name, nil
}

// serviceProgram is what the copy is called that a service of the system runs: a name that stays when the
// program is replaced, and that is no copy's which install removes.
const serviceProgram = "poolkeeper"

// ServiceProgram is where a service of the system runs the data directory's manager from.
func (d DataDir) ServiceProgram() string { return filepath.Join(d.programs(), serviceProgram) }

// KeepProgram copies a program to ServiceProgram, in place of what is there. A manager that runs from there
// runs on, as it was. The data directory is made if need be.
func (d DataDir) KeepProgram(program string) error {
	if err := d.create(); err != nil {
		return err
	}
	if err := os.MkdirAll(d.programs(), 0o700); err != nil {
		return d.unwritable(err)
	}
	source, err := os.Open(program)
	if err != nil {
		return fmt.Errorf("read the program that the service is to run: %w", err)
	}
	defer source.Close()
	err = ReplaceFile(d.ServiceProgram(), 0o700, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
	if err != nil {
		return fmt.Errorf("copy the program %s to %s: %w", program, d.ServiceProgram(), err)
	}
	return nil
}

func nameOf(digest hash.Hash) string {
	return programPrefix + hex.EncodeToString(digest.Sum(nil)[:8])
}

// ReplaceFile writes a file that is durable and whole when it appears under its name.
func ReplaceFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	partial, err := os.CreateTemp(filepath.Dir(path), partialPattern)
	if err != nil {
		return err
	}
	err = errors.Join(write(partial), partial.Chmod(mode), partial.Sync(), partial.Close())
	if err == nil {
		err = os.Rename(partial.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(partial.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// removeOthers removes every copy but one, and what an interrupted copy left.
func removeOthers(dir, keep string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		partial, _ := filepath.Match(partialPattern, e.Name())
		if e.Name() != keep && (partial || strings.HasPrefix(e.Name(), programPrefix)) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
