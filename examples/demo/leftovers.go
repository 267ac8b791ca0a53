//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lookEvery is the step at which the demo looks for something that happens by itself.
const lookEvery = 50 * time.Millisecond

// processes finds every process whose program lies in the demo's directory: the workers, the manager, the
// provider. Its key is the pid, its value the program.
func (s *stage) processes(ctx context.Context) (map[int]string, error) {
	all, err := programs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for pid, program := range all {
		if !strings.HasPrefix(program, s.dir+string(filepath.Separator)) {
			delete(all, pid)
		}
	}
	return all, nil
}

// programs lists every process that we may look at, by /proc where there is one and by ps elsewhere.
func programs(ctx context.Context) (map[int]string, error) {
	found := map[int]string{}
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			continue
		}
		if program, err := os.Readlink(link); err == nil {
			found[pid] = program
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	listed, err := exec.CommandContext(ctx, "ps", "-axo", "pid=,command=").Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(listed)); lines.Scan(); {
		pid, command, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if n, err := strconv.Atoi(pid); err == nil {
			found[n] = strings.TrimSpace(command)
		}
	}
	return found, nil
}

// strike removes what the demo made: after a failure first the pool and the manager, and at last the directory.
func (s *stage) strike(ctx context.Context, failed bool) error {
	if failed {
		s.showManagerLog()
	}
	var err error
	if !s.gone {
		fmt.Fprintln(s.out, "\n== Cleaning up ==")
		if s.running() {
			_, deleted := s.run(ctx, everything, s.poolkeeper, "pool", "delete", poolName, "--force")
			_, stopped := s.run(ctx, everything, s.poolkeeper, "manager", "stop")
			if stopped != nil { // a pool that was never made cannot be deleted; a manager can always be stopped
				err = errors.Join(deleted, stopped)
			}
		}
		err = errors.Join(err, s.killLeftovers(ctx))
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// running says that a manager may be there.
func (s *stage) running() bool {
	_, err := os.Lstat(s.socket())
	return !errors.Is(err, fs.ErrNotExist)
}

// killLeftovers ends by force what would not end by itself; all of it was started by this demo. It looks again
// until nothing is left, because a manager replaces the workers that it outlives.
func (s *stage) killLeftovers(ctx context.Context) error {
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		left, err := s.processes(ctx)
		if err != nil || len(left) == 0 {
			return err
		}
		for pid, program := range left {
			s.say("kill -9 %d (%s)", pid, program)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill %d (%s): %w", pid, program, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("still running: %v: %w", left, context.Cause(ctx))
		case <-again.C:
		}
	}
}

// showManagerLog prints the end of the manager's log, which often tells why a step failed.
func (s *stage) showManagerLog() {
	data, err := os.ReadFile(s.at("data", "manager.log"))
	if err != nil {
		return
	}
	const tail = 4096
	data = data[max(0, len(data)-tail):]
	fmt.Fprintf(s.out, "\n== The end of the manager's log ==\n%s\n", bytes.TrimSpace(data))
}
