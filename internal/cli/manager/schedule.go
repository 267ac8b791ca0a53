package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
)

// schedule is when backups are written by themselves, and how many stay.
type schedule struct {
	dir   string // empty: none are written
	every time.Duration
	keep  int
}

const (
	defaultBackupEvery = 24 * time.Hour
	defaultBackupKeep  = 7

	backupPattern = "poolkeeper-*.backup"
	backupName    = "poolkeeper-20060102T150405Z.backup" // in the order of time
)

func (s schedule) check() error {
	switch {
	case s.dir == "":
		return nil
	case s.every < time.Minute:
		return fmt.Errorf("--backup-every is %s; valid: at least 1m", s.every)
	case s.keep < 1:
		return fmt.Errorf("--backup-keep is %d; valid: at least 1", s.keep)
	}
	return nil
}

// prepare makes the directory.
func (s schedule) prepare() error {
	if s.dir == "" {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of the backups: %w", err)
	}
	return nil
}

// run writes a backup whenever the newest one is old enough, until ctx ends. One that fails is told, and tried again after
// a tenth of the time.
func (s schedule) run(ctx context.Context, write func(context.Context, io.Writer) error, tell func(path string, err error)) {
	if s.dir == "" {
		return
	}
	due := time.NewTimer(min(s.every, time.Until(s.newest().Add(s.every)))) // a clock that was ahead holds nothing up
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		}
		next := s.every
		path, err := s.once(ctx, time.Now(), write)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			next /= 10
		}
		tell(path, err)
		due.Reset(next)
	}
}

// once writes one backup and removes the oldest ones, as far as there are enough newer.
func (s schedule) once(ctx context.Context, now time.Time, write func(context.Context, io.Writer) error) (string, error) {
	path := filepath.Join(s.dir, now.UTC().Format(backupName))
	if err := embedded.ReplaceFile(path, 0o600, func(w io.Writer) error { return write(ctx, w) }); err != nil {
		return path, err
	}
	written, err := s.written()
	for len(written) > s.keep {
		err = errors.Join(err, os.Remove(written[0]))
		written = written[1:]
	}
	return path, err
}

// written are the backups that are there, the oldest first.
func (s schedule) written() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(s.dir, backupPattern))
	slices.Sort(paths)
	return paths, err
}

// newest is when the newest backup was written; zero if there is none.
func (s schedule) newest() time.Time {
	paths, err := s.written()
	if err != nil || len(paths) == 0 {
		return time.Time{}
	}
	at, err := time.Parse(backupName, filepath.Base(paths[len(paths)-1]))
	if err != nil {
		return time.Time{}
	}
	return at
}

// backUp writes everything that a backup can hold.
func (m instance) backUp(pools *lifecycle.Manager) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		return pools.Backup(ctx, lifecycle.BackupWant{Events: true, Secrets: true, Program: m.version}, w)
	}
}

func (m instance) tellBackup(path string, err error) {
	if err != nil {
		m.log.Error("a backup could not be written", "file", path, "error", err)
		return
	}
	m.log.Info("a backup was written", "file", path)
}
