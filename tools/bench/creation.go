//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// crowd is how many workers are created at once.
const crowd = 1000

// lookEvery is between two looks at how many run.
const lookEvery = 20 * time.Millisecond

// measureCreation compares a pool of 1,000 processes, from the request to all of them running, with a bare loop
// that starts the same program as often. The creation itself ends a second later: workers without a probe count
// as available when they have lived that long.
func measureCreation(ctx context.Context, p programs, dir string, runs int) (c comparison, err error) {
	c = comparison{name: fmt.Sprintf("create a pool of %d workers / start %d processes", crowd, crowd), goal: 2}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		return c, err
	}
	m, err := startManager(ctx, p.poolkeeper, filepath.Join(dir, "data"))
	if err != nil {
		return c, err
	}
	// The pools stay until then: for half a minute ext4 passes over every file that was deleted when it makes a
	// new one, so that a log's making would cost more after every removal.
	defer func() { err = errors.Join(err, m.stop(ctx)) }()

	for run := range runs {
		name := fmt.Sprintf("crowd-%d", run)
		began := time.Now()
		operation, err := m.begin(ctx, processes(name, crowd, sleep, "3600"))
		if err != nil {
			return c, err
		}
		if err := m.untilRunning(ctx, name, crowd); err != nil {
			return c, err
		}
		c.ours = append(c.ours, time.Since(began))
		if err := m.await(ctx, operation); err != nil {
			return c, err
		}

		took, err := startBare(ctx, crowd, sleep, "3600")
		if err != nil {
			return c, err
		}
		c.floor = append(c.floor, took)
	}
	return c, nil
}

// untilRunning returns when so many workers of a pool run.
func (m *manager) untilRunning(ctx context.Context, name string, workers int) error {
	for look := time.NewTicker(lookEvery); ; <-look.C {
		p, err := m.Pool(ctx, name)
		if err != nil || p.Status.Current >= workers {
			return err
		}
		if p.Status.State == pool.StateError {
			return fmt.Errorf("pool %s: %s", name, p.Status.Reason)
		}
	}
}

// startBare starts processes in a loop, each in a session of its own as workers are, and ends them again. The
// time is that of the starting.
func startBare(ctx context.Context, n int, program string, args ...string) (_ time.Duration, err error) {
	started := make([]*exec.Cmd, 0, n)
	defer func() {
		for _, cmd := range started {
			err = errors.Join(err, cmd.Process.Kill())
			_ = cmd.Wait() // says that it was killed
		}
	}()
	began := time.Now()
	for range n {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		started = append(started, cmd)
	}
	return time.Since(began), nil
}
