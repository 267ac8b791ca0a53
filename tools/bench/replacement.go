//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// measureReplacement compares the time from kill -9 of a worker until its replacement tells its pid with the time
// of what no replacement can do without: one commit to the store and one start of the same program.
func measureReplacement(ctx context.Context, p programs, dir string, runs int) (c comparison, err error) {
	c = comparison{name: "kill -9 of a worker until its replacement's pid / one commit and one start", goal: 1.5}
	births, err := announce(filepath.Join(dir, "births"))
	if err != nil {
		return c, err
	}
	defer births.pipe.Close()
	journal, err := openJournal(ctx, filepath.Join(dir, "journal.db"))
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, journal.store.Close()) }()
	m, err := startManager(ctx, p.poolkeeper, filepath.Join(dir, "data"))
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, m.stop(ctx)) }()

	for run := range runs {
		// A pool of its own for each, because the second crash in one place is answered later on purpose.
		name := fmt.Sprintf("victim-%d", run)
		if err := m.create(ctx, processes(name, 1, births.command...)); err != nil {
			return c, err
		}
		victim, err := births.next()
		if err != nil {
			return c, err
		}
		began := time.Now()
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			return c, fmt.Errorf("kill %d: %w", victim, err)
		}
		if _, err := births.next(); err != nil {
			return c, err
		}
		c.ours = append(c.ours, time.Since(began))
		if err := m.remove(ctx, name); err != nil {
			return c, err
		}

		began = time.Now()
		if err := journal.commit(ctx, run); err != nil {
			return c, err
		}
		if err := births.startOne(ctx); err != nil {
			return c, err
		}
		c.floor = append(c.floor, time.Since(began))
	}
	return c, nil
}

// births is where each process of a tiny program tells its pid as the first thing that it does.
type births struct {
	command []string
	pipe    *os.File
	pids    *bufio.Reader
}

// birthTimeout bounds the wait for one; it only ends a measurement that went wrong.
const birthTimeout = 30 * time.Second

func announce(path string) (*births, error) {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("make the pipe %s: %w", path, err)
	}
	// For writing too, so that it never ends between two writers.
	pipe, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &births{
		command: []string{"/bin/sh", "-c", `echo $$ >"$0"; exec sleep 3600`, path},
		pipe:    pipe,
		pids:    bufio.NewReader(pipe),
	}, nil
}

func (b *births) next() (pid int, err error) {
	if err := b.pipe.SetReadDeadline(time.Now().Add(birthTimeout)); err != nil {
		return 0, err
	}
	line, err := b.pids.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("wait for a process to tell its pid: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(line))
}

// startOne starts the program and returns when it has told its pid; then it is ended.
func (b *births) startOne(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, b.command[0], b.command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err := b.next()
	err = errors.Join(err, cmd.Process.Kill())
	_ = cmd.Wait() // says that it was killed
	return err
}

// journal is a store with one pool, to measure a commit of what a replacement has to record.
type journal struct {
	store store.Store
	pool  pool.Pool
}

func openJournal(ctx context.Context, path string) (*journal, error) {
	s, err := store.OpenSQLite(ctx, path)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	j := &journal{store: s, pool: pool.Pool{
		UID: "journal", Name: "journal", Phase: pool.PhaseLive, Spec: processes("journal", 1, "true"),
		Revision: 1, Generation: 1, Author: "bench", CreatedAt: now, UpdatedAt: now,
	}}
	if err := s.Update(ctx, func(w store.Writer) error { return w.InsertPool(j.pool) }); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return j, nil
}

// commit records one worker's end and the intent to launch another.
func (j *journal) commit(ctx context.Context, run int) error {
	now := time.Now()
	worker := func(id string, state pool.WorkerState) pool.Worker {
		return pool.Worker{ID: fmt.Sprintf("%s-%d", id, run), PoolUID: j.pool.UID, State: state, Health: pool.Healthy, Revision: 1, CreatedAt: now}
	}
	event := func(kind pool.EventType) pool.Event {
		return pool.Event{PoolUID: j.pool.UID, PoolName: j.pool.Name, Type: kind, Time: now, Author: "bench"}
	}
	return j.store.Update(ctx, func(w store.Writer) error {
		if err := w.PutWorkers(worker("old", pool.WorkerFailed), worker("new", pool.WorkerPending)); err != nil {
			return err
		}
		return w.AppendEvents(event(pool.EventWorkerFailed), event(pool.EventWorkerLaunching))
	})
}
