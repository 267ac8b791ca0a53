//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// rotateEvery is how often the sizes of logs are looked at. A log may pass its bound by what its
	// worker writes in that time.
	rotateEvery = 2 * time.Second
	// movingSuffix is that of a copy that is not complete yet.
	movingSuffix = ".moving"
)

// rotate bounds the logs of living workers until ctx ends.
func (l *logs) rotate(ctx context.Context, living func() []*worker) {
	ticker := time.NewTicker(rotateEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for _, w := range living() {
			if ctx.Err() != nil {
				return
			}
			if err := l.bound(w.poolUID, w.id); err != nil {
				l.log.Warn("the log of a worker could not be rotated", "worker", w.id, "pool", w.poolUID, "error", err)
			}
		}
	}
}

// bound rotates a log that is larger than it may be.
func (l *logs) bound(poolUID, worker string) error {
	path, err := l.path(poolUID, worker)
	if err != nil {
		return err
	}
	bounds := l.boundsOf(poolUID)
	var stat unix.Stat_t
	err = unix.Stat(path, &stat)
	if errors.Is(err, unix.ENOENT) || err == nil && stat.Size <= int64(bounds.MaxSize) {
		return nil
	}
	if err != nil {
		return err
	}
	if bounds.Keep == 0 {
		l.moving.Lock()
		defer l.moving.Unlock()
		return errors.Join(os.Truncate(path, 0), removeFrom(path, 1))
	}
	err = l.moveOut(path, int64(bounds.MaxSize), int(bounds.Keep))
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		// The bound holds above all when the disk is full: what cannot be kept goes.
		l.moving.Lock()
		defer l.moving.Unlock()
		return errors.Join(fmt.Errorf("its content is dropped: %w", err), os.Truncate(path, 0))
	}
	return err
}

// moveOut copies the newest part of a log, makes the copy the first of the rotated ones and empties the
// log. What a worker writes between the copy and the cut is lost. A crash in between loses nothing and
// leaves lines twice.
func (l *logs) moveOut(path string, size int64, keep int) (err error) {
	from, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path+movingSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		to.Close()
		err = errors.Join(err, removeFile(path+movingSuffix)) // it has moved, or is of no use
	}()
	stat, err := from.Stat()
	if err != nil {
		return err
	}
	if _, err := from.Seek(max(0, stat.Size()-size), io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(to, io.LimitReader(from, size)); err != nil {
		return err
	}
	l.moving.Lock()
	defer l.moving.Unlock()
	if err := removeFrom(path, keep); err != nil {
		return err
	}
	for i := keep - 1; i > 0; i-- {
		if err := os.Rename(rotated(path, i), rotated(path, i+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if _, err := io.Copy(to, io.LimitReader(from, size)); err != nil { // what came meanwhile
		return err
	}
	if err := os.Rename(path+movingSuffix, rotated(path, 1)); err != nil {
		return err
	}
	return from.Truncate(0)
}
