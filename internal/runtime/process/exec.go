//go:build linux || darwin

package process

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

const (
	// lastWords is how long a command's output is read after its end. Longer takes only one that somebody
	// holds who has left the command's process group.
	lastWords = 100 * time.Millisecond
	// deathTime is how long a killed command is waited for. What takes longer is the kernel's matter.
	deathTime = time.Second
)

// Exec runs the command as an errand of the worker. Its process group is killed when its first process
// ends, and whoever has left that group, too, if ctx had to end it or somebody holds on to its output.
func (r *Runtime) Exec(ctx context.Context, l runtime.Launch, instance pool.Instance, command pool.Command) (runtime.Executed, error) {
	ctx, done, err := r.begin(ctx)
	if err != nil {
		return runtime.Executed{}, execError(l.WorkerID, err)
	}
	defer done()
	if r.worker(l.WorkerID, instance) == nil {
		return runtime.Executed{}, execError(l.WorkerID, runtime.ErrGone)
	}
	e, out, err := r.startErrand(ctx, l, instance.Ports, command)
	if err != nil {
		return runtime.Executed{}, execError(l.WorkerID, err)
	}
	result := runtime.Executed{}
	select {
	case <-e.ended:
	case <-ctx.Done():
		result.CutShort = e.kill()
		timeout := time.NewTimer(deathTime)
		defer timeout.Stop()
		select {
		case <-e.ended:
		case <-timeout.C:
		}
	}
	var complete bool
	result.Output, complete = out.finish(lastWords)
	result.Exit = e.status()
	if result.CutShort || !complete {
		r.tasks.Go(func() { r.chase(e) })
	}
	return result, nil
}

func execError(workerID string, err error) error {
	return fmt.Errorf("run a command beside worker %s: %w", workerID, err)
}

// startErrand starts a command beside a worker that has the given ports.
func (r *Runtime) startErrand(ctx context.Context, l runtime.Launch, ports map[string]int, command pool.Command) (*errand, *lastOutput, error) {
	id := r.run + "-" + strconv.FormatInt(r.errand.Add(1), 10)
	env := newEnvironment(l, r.identity, r.base, ports)
	env.variables = append(env.variables, varErrand+"="+id)
	program, err := newProgram(command.Path, command.Words, env, l.Template.WorkingDir)
	if err != nil {
		return nil, nil, err
	}
	leave, err := r.enterFork(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer write.Close()
	pid, h, err := r.spawn(program, write.Fd())
	if err != nil {
		read.Close()
		return nil, nil, err
	}
	p, err := look(pid) // it is not reaped before it is watched, so its pid is its own
	e := &errand{id: id, worker: l.WorkerID, pid: pid, start: p.start, ended: make(chan struct{})}
	if err == nil {
		_, err = r.watcher.add(h, func() bool { return e.end(h) })
	}
	if err != nil {
		_ = h.signal(unix.SIGKILL)
		reap(pid)
		h.close()
		read.Close()
		return nil, nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	return e, readLast(read, runtime.MaxOutput), nil
}
