//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// peer is another supervisor of processes.
type peer struct {
	program string
	// command prepares a directory in which it is to run so many of a command, and is its command line.
	command func(dir string, n int, run string) ([]string, error)
}

var peers = []peer{
	{"s6-svscan", func(dir string, n int, run string) ([]string, error) {
		return []string{"-c", fmt.Sprint(n + 10), filepath.Join(dir, "services")}, services(dir, n, run)
	}},
	{"runsvdir", func(dir string, n int, run string) ([]string, error) {
		return []string{filepath.Join(dir, "services")}, services(dir, n, run)
	}},
	{"supervisord", func(dir string, n int, run string) ([]string, error) {
		config := filepath.Join(dir, "supervisord.conf")
		text := fmt.Sprintf("[supervisord]\nnodaemon=true\nminfds=20000\nlogfile=%s/log\npidfile=%s/pid\nchildlogdir=%s\n"+
			"[program:crowd]\ncommand=%s\nprocess_name=%%(process_num)d\nnumprocs=%d\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n", dir, dir, dir, run, n)
		return []string{"-c", config}, os.WriteFile(config, []byte(text), 0o600)
	}},
}

// services writes the directories that s6 and runit read.
func services(dir string, n int, run string) error {
	for i := range n {
		service := filepath.Join(dir, "services", fmt.Sprint(i))
		if err := os.MkdirAll(service, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(service, "run"), []byte("#!/bin/sh\nexec "+run+"\n"), 0o700); err != nil { //nolint:gosec // it is to be run
			return err
		}
	}
	return nil
}

// measurePeer compares a pool of 1,000 sleeping processes, from the request until all run, with a peer that is
// started with as many.
func measurePeer(other peer) func(context.Context, programs, string, int) (comparison, error) {
	return func(ctx context.Context, p programs, dir string, runs int) (c comparison, err error) {
		c = comparison{name: fmt.Sprintf("create a pool of %d workers / start %s with as many", crowd, other.program), goal: 1}
		if _, err := exec.LookPath(other.program); err != nil {
			return c, errNotHere
		}
		m, err := startManager(ctx, p.poolkeeper, filepath.Join(dir, "data"))
		if err != nil {
			return c, err
		}
		defer func() { err = errors.Join(err, m.stop(ctx)) }()
		for run := range runs {
			mark := fmt.Sprint(36000 + run)
			began := time.Now()
			if _, err := m.begin(ctx, processes("crowd-"+mark, crowd, "sleep", mark)); err != nil {
				return c, err
			}
			if err := sleepers(ctx, mark, crowd); err != nil {
				return c, err
			}
			c.ours = append(c.ours, time.Since(began))

			mark += ".5"
			took, err := startPeer(ctx, other, filepath.Join(dir, mark), mark)
			if err != nil {
				return c, err
			}
			c.floor = append(c.floor, took)
		}
		return c, nil
	}
}

// startPeer runs a peer until all its processes run, and ends them.
func startPeer(ctx context.Context, other peer, dir, mark string) (took time.Duration, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	args, err := other.command(dir, crowd, "sleep "+mark)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, other.program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	err = sleepers(ctx, mark, crowd)
	took = time.Since(began)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return took, errors.Join(err, endAll(dir, mark))
}

// endAll kills what a killed peer has left: its own helpers, which name its directory, and the sleepers.
func endAll(dir, mark string) error {
	for range 100 {
		left := 0
		err := eachProcess(func(pid int, command string) {
			work, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
			if pid != os.Getpid() && (command == "sleep "+mark || strings.HasPrefix(work, dir) || strings.Contains(command, dir+"/")) {
				left++
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		})
		if err != nil || left == 0 {
			return err
		}
		<-time.After(lookEvery)
	}
	return fmt.Errorf("processes of %s cannot be ended", dir)
}

// sleepers returns when so many processes sleep for the given time.
func sleepers(ctx context.Context, mark string, n int) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		found := 0
		err := eachProcess(func(_ int, command string) {
			if command == "sleep "+mark {
				found++
			}
		})
		if err != nil || found >= n {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// eachProcess visits the processes of the machine, with their command lines.
func eachProcess(visit func(pid int, command string)) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, e := range entries {
		pid := number(e.Name())
		if pid <= 0 {
			continue
		}
		if line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline")); err == nil {
			visit(int(pid), strings.ReplaceAll(strings.TrimSuffix(string(line), "\x00"), "\x00", " "))
		}
	}
	return nil
}
