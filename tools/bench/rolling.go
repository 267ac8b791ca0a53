//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const (
	rolled = 200 // workers
	step   = 50  // at a time
)

// measureRolling compares a rolling update of 200 workers that take half a second to be ready, 50 at a time, with
// a bare loop that starts 50, waits until they are ready and stops the 50 before, four times.
func measureRolling(ctx context.Context, p programs, dir string, runs int) (c comparison, err error) {
	c = comparison{name: fmt.Sprintf("roll %d workers that take 500 ms / start, wait and stop %d, %d times", rolled, step, rolled/step), goal: 1.2}
	m, err := startManager(ctx, p.poolkeeper, filepath.Join(dir, "data"))
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, m.stop(ctx)) }()
	spec := processes("rolled", rolled, p.late)
	spec.Worker.Ports = []pool.Port{{Name: "http"}}
	spec.Health.TCP = &pool.TCPProbe{}
	spec.Update.MaxSurge = pool.Amount{Value: step}
	spec.Drain.Grace = pool.Duration(10 * time.Second)
	if err := m.create(ctx, spec); err != nil {
		return c, err
	}
	old, err := startLate(ctx, p.late, step)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, stopLate(old)) }()
	for range runs {
		began := time.Now()
		accepted, err := m.Restart(ctx, "rolled", client.Change{Reason: "bench"})
		if err != nil {
			return c, err
		}
		if err := m.await(ctx, accepted.Operation.ID); err != nil {
			return c, err
		}
		c.ours = append(c.ours, time.Since(began))

		began = time.Now()
		for range rolled / step {
			next, err := startLate(ctx, p.late, step)
			if err != nil {
				return c, err
			}
			if err := stopLate(old); err != nil {
				return c, err
			}
			old = next
		}
		c.floor = append(c.floor, time.Since(began))
	}
	return c, nil
}

// startLate starts so many workers and returns when all listen.
func startLate(ctx context.Context, program string, n int) ([]*exec.Cmd, error) {
	var started []*exec.Cmd
	var addresses []string
	for range n {
		spare, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return started, err
		}
		addresses = append(addresses, spare.Addr().String())
		_, port, _ := net.SplitHostPort(spare.Addr().String())
		if err := spare.Close(); err != nil {
			return started, err
		}
		cmd := exec.CommandContext(ctx, program)
		cmd.Env = append(os.Environ(), "PORT="+port)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			return started, err
		}
		started = append(started, cmd)
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for i := 0; i < len(addresses); {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addresses[i])
		if err == nil {
			i++
			err = conn.Close()
			if err != nil {
				return started, err
			}
			continue
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return started, context.Cause(ctx)
		}
	}
	return started, nil
}

// stopLate ends workers and waits for them.
func stopLate(workers []*exec.Cmd) (err error) {
	for _, w := range workers {
		err = errors.Join(err, w.Process.Signal(syscall.SIGTERM))
	}
	for _, w := range workers {
		_ = w.Wait() // says how it ended
	}
	return err
}
