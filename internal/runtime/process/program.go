//go:build linux || darwin

package process

import (
	"cmp"
	"context"
	"fmt"
	"syscall"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// program is a command of a spec that is ready to be started.
type program struct {
	field string // of the spec, where the command is from
	file  string
	argv  []string
	env   []string
	dir   string // empty means the root directory
}

// newProgram expands a command and finds its file.
func newProgram(field string, command []string, env environment, dir string) (program, error) {
	if len(command) == 0 {
		return program{}, &runtime.SpecError{Fault: pool.Fault{Path: field, Reason: "is empty", Valid: "a program and its arguments"}}
	}
	argv := make([]string, len(command))
	for i, word := range command {
		argv[i] = env.expand.Replace(word)
	}
	file, fault := findProgram(field, argv[0], env.path, dir)
	if fault != nil {
		return program{}, &runtime.SpecError{Fault: *fault}
	}
	return program{field, file, argv, env.variables, dir}, nil
}

// enterFork waits for one of the places that bound the forks under way; leave gives it back.
func (r *Runtime) enterFork(ctx context.Context) (leave func(), err error) {
	select {
	case r.forks <- struct{}{}:
		return func() { <-r.forks }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// spawn starts a program as the leader of a session of its own, with both outputs to out.
func (r *Runtime) spawn(p program, out uintptr) (pid int, h handle, err error) {
	attr := &syscall.ProcAttr{
		Dir:   cmp.Or(p.dir, rootDir),
		Env:   p.env,
		Files: []uintptr{uintptr(r.null), out, out},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
	err = r.inherit.fork(func() error {
		pid, h, err = startProcess(p.file, p.argv, attr)
		return err
	})
	if err != nil {
		return 0, h, startFault(fmt.Errorf("start %s: %w", p.file, err), p)
	}
	return pid, h, nil
}
