//go:build linux

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	manyPools = 1000
	eachOf    = 10 // workers
)

// measureRestart compares the time from the start of a manager until it answers, with 1,000 pools and 10,000
// workers adopted, with what no restart can do without: a start of the same program, a raw read of the rows, and
// one look at each worker.
func measureRestart(ctx context.Context, p programs, dir string, runs int) (c comparison, err error) {
	c = comparison{name: fmt.Sprintf("restart with %d pools and %d workers / start, read the rows, look at each worker", manyPools, manyPools*eachOf), goal: 3}
	data := filepath.Join(dir, "data")
	m, err := startManager(ctx, p.poolkeeper, data)
	if err != nil {
		return c, err
	}
	defer func() { // without a manager: it would look through all processes once for each pool
		err = errors.Join(err, m.process.Process.Signal(syscall.SIGTERM), <-m.ended, endAll(data, "38000"))
	}()
	if err := m.populate(ctx); err != nil {
		return c, err
	}
	for range runs {
		if err := errors.Join(m.process.Process.Signal(syscall.SIGTERM), <-m.ended); err != nil {
			return c, err
		}
		began := time.Now()
		if m, err = startManager(ctx, p.poolkeeper, data); err != nil {
			return c, err
		}
		c.ours = append(c.ours, time.Since(began))

		began = time.Now()
		if err := exec.CommandContext(ctx, p.poolkeeper, "version").Run(); err != nil {
			return c, err
		}
		if err := lookAtAll(ctx, filepath.Join(data, "manager.db")); err != nil {
			return c, err
		}
		c.floor = append(c.floor, time.Since(began))
	}
	return c, nil
}

// populate makes all pools, some at a time.
func (m *manager) populate(ctx context.Context) error {
	var makers sync.WaitGroup
	names, failed := make(chan string), make(chan error, 16)
	for range 16 {
		makers.Go(func() {
			for name := range names {
				if err := m.create(ctx, processes(name, eachOf, "sleep", "38000")); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	var err error
	for i := range manyPools {
		select {
		case names <- fmt.Sprint("pool-", i):
			continue
		case err = <-failed:
		}
		break
	}
	close(names)
	makers.Wait()
	return err
}

// lookAtAll reads the rows of pools and workers as they are, and what /proc says of each worker.
func lookAtAll(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, query := range []string{"SELECT record, 0 FROM pools", "SELECT record, json_extract(record, '$.instance.pid') FROM workers WHERE NOT ended"} {
		rows, err := db.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var record string
			var pid sql.NullInt64
			if err := rows.Scan(&record, &pid); err != nil {
				return err
			}
			if pid.Int64 > 0 {
				if _, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid.Int64)); err != nil {
					return err
				}
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return nil
}
