//go:build linux

package acceptance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is one process of the machine at one moment.
type process struct {
	pid     int
	program string
	environ []string
}

func (p process) String() string { return fmt.Sprintf("process %d (%s)", p.pid, p.program) }

// kill ends it; that it is gone already is no error.
func (p process) kill() error {
	if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %s: %w", p, err)
	}
	return nil
}

// variable is the value of a variable in the process's environment.
func (p process) variable(name string) string {
	for _, v := range p.environ {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// leads says that the process began its session, as every worker does and nothing that a worker starts.
func (p process) leads() bool {
	session, err := unix.Getsid(p.pid)
	return err == nil && session == p.pid
}

// processesOf lists the processes, besides this one, whose program lies in a directory or whose environment
// names it. A process that has ended and was not waited for has neither.
func processesOf(dir string) ([]process, error) {
	listed, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []process
	for _, entry := range listed {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		program, _ := os.Readlink(filepath.Join("/proc", entry.Name(), "exe"))
		environ, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if strings.HasPrefix(program, dir+"/") || bytes.Contains(environ, []byte(dir+"/")) {
			variables := strings.Split(strings.TrimSuffix(string(environ), "\x00"), "\x00")
			found = append(found, process{pid, program, variables})
		}
	}
	return found, nil
}

// socketsIn lists the sockets of managers in a directory and all below. A provider that had to end without its
// Terraform leaves its own, which is a temporary file, to whoever cleans those.
func socketsIn(dir string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went while we looked
		}
		if err == nil && entry.Type() == fs.ModeSocket && !strings.HasPrefix(entry.Name(), "plugin") {
			found = append(found, path)
		}
		return err
	})
	return found, err
}

// nothingLeft errs if a process or a socket of the directory is there, and ends the processes.
func nothingLeft(dir string) error {
	left, err := processesOf(dir)
	for _, p := range left {
		err = errors.Join(err, fmt.Errorf("left over: %s", p))
	}
	err = errors.Join(err, sweep(dir))
	sockets, found := socketsIn(dir)
	for _, s := range sockets {
		err = errors.Join(err, fmt.Errorf("left over: socket %s", s))
	}
	return errors.Join(err, found)
}

// sweep kills the processes of a directory, and looks again: a manager replaces workers, a provider its manager.
func sweep(dir string) error {
	var faults error
	gone := comesTrue(context.Background(), func() bool {
		left, err := processesOf(dir)
		for _, p := range left {
			err = errors.Join(err, p.kill())
		}
		faults = err
		return err == nil && len(left) == 0
	})
	if !gone {
		return errors.Join(faults, fmt.Errorf("processes of %s cannot be killed", dir))
	}
	return nil
}
