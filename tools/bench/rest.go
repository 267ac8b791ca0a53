//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// watched is how long a program at rest is watched.
const watched = 20 * time.Second

// measureRest compares the processor time that a manager takes for 1,000 living workers with supervisord's.
func measureRest(ctx context.Context, p programs, dir string, runs int) (c comparison, err error) {
	c = comparison{name: fmt.Sprintf("processor time of %s at rest with %d workers / of supervisord", watched, crowd), goal: 1}
	err = beside(ctx, p, dir, func(ours, theirs int) error {
		for range runs {
			if err := c.watch(ctx, ours, theirs); err != nil {
				return err
			}
		}
		return nil
	})
	return c, err
}

// measureMemory compares the anonymous memory of the two.
func measureMemory(ctx context.Context, p programs, dir string, _ int) (c comparison, err error) {
	c = comparison{name: fmt.Sprintf("anonymous memory at rest with %d workers / of supervisord", crowd), goal: 1.5, bytes: true}
	err = beside(ctx, p, dir, func(ours, theirs int) error {
		<-time.After(watched) // what the beginning took is given back
		mine, err := anonymous(ours)
		if err != nil {
			return err
		}
		other, err := anonymous(theirs)
		c.ours, c.floor = append(c.ours, time.Duration(mine)), append(c.floor, time.Duration(other))
		return err
	})
	return c, err
}

// beside has a manager and supervisord each run a crowd, and calls with their pids.
func beside(ctx context.Context, p programs, dir string, look func(ours, theirs int) error) (err error) {
	if _, err := exec.LookPath("supervisord"); err != nil {
		return errNotHere
	}
	m, err := startManager(ctx, p.poolkeeper, filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.stop(ctx)) }()
	if err := m.create(ctx, processes("rest", crowd, "sleep", "37000")); err != nil {
		return err
	}
	theirs := filepath.Join(dir, "theirs")
	if err := os.MkdirAll(theirs, 0o700); err != nil {
		return err
	}
	supervisord := peers[len(peers)-1]
	args, err := supervisord.command(theirs, crowd, "sleep 37000.5")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, supervisord.program, args...)
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		err = errors.Join(err, endAll(theirs, "37000.5"))
	}()
	if err := sleepers(ctx, "37000.5", crowd); err != nil {
		return err
	}
	<-time.After(5 * time.Second) // until both have come to rest
	return look(m.process.Process.Pid, cmd.Process.Pid)
}

// watch adds how much processor time both took in the same while.
func (c *comparison) watch(ctx context.Context, ours, theirs int) error {
	before, err := both(ours, theirs)
	if err != nil {
		return err
	}
	select {
	case <-time.After(watched):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	after, err := both(ours, theirs)
	c.ours, c.floor = append(c.ours, after[0]-before[0]), append(c.floor, after[1]-before[1])
	return err
}

func both(ours, theirs int) (taken [2]time.Duration, err error) {
	for i, pid := range []int{ours, theirs} {
		if taken[i], err = processorTime(pid); err != nil {
			return taken, err
		}
	}
	return taken, nil
}

// measureProbing compares the processor time of a manager that probes 1,000 workers over HTTP every ten seconds
// with that of a bare loop which makes the same requests.
func measureProbing(ctx context.Context, p programs, dir string, runs int) (c comparison, err error) {
	c = comparison{name: fmt.Sprintf("processor time of %s of probing %d workers every 10 s / of a bare loop of the requests", watched, crowd), goal: 2}
	m, err := startManager(ctx, p.poolkeeper, filepath.Join(dir, "data"))
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, m.stop(ctx)) }()
	spec := processes("probed", crowd, p.late)
	spec.Worker.Ports, spec.Health.HTTP = []pool.Port{{Name: "http"}}, &pool.HTTPProbe{}
	if err := m.create(ctx, spec); err != nil {
		return c, err
	}
	workers, err := m.Workers(ctx, "probed")
	if err != nil {
		return c, err
	}
	<-time.After(15 * time.Second) // until the probes have their pace
	for range runs {
		before, err := processorTime(m.process.Process.Pid)
		if err != nil {
			return c, err
		}
		<-time.After(watched)
		after, err := processorTime(m.process.Process.Pid)
		if err != nil {
			return c, err
		}
		c.ours = append(c.ours, after-before)

		if before, err = processorTime(os.Getpid()); err != nil {
			return c, err
		}
		if err := probeAll(ctx, workers, watched/(10*time.Second)); err != nil {
			return c, err
		}
		if after, err = processorTime(os.Getpid()); err != nil {
			return c, err
		}
		c.floor = append(c.floor, after-before)
	}
	return c, nil
}

// probeAll asks every worker so often, one after the other, each over a connection of its own.
func probeAll(ctx context.Context, workers []pool.Worker, times time.Duration) error {
	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for range times {
		for _, w := range workers {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", w.Instance.Ports["http"]), nil)
			if err != nil {
				return err
			}
			answer, err := web.Do(r)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, answer.Body)
			if err := errors.Join(err, answer.Body.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// processorTime is what a process has taken so far.
func processorTime(pid int) (time.Duration, error) {
	if pid == os.Getpid() {
		var used syscall.Rusage
		err := syscall.Getrusage(syscall.RUSAGE_SELF, &used)
		return time.Duration(used.Utime.Nano() + used.Stime.Nano()), err
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(line), ") ")
	fields := strings.Fields(rest)
	return time.Duration(number(fields[11])+number(fields[12])) * (time.Second / 100), nil
}

// anonymous is how much anonymous memory a process has, in bytes.
func anonymous(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			return number(strings.TrimSuffix(strings.TrimSpace(value), " kB")) << 10, nil
		}
	}
	return 0, errors.Join(err, errors.New("it does not tell its memory"))
}

// number is what a file of /proc says; 0 if it is none.
func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
