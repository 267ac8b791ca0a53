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
	"strings"
	"syscall"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// patience bounds how long a manager takes to start.
const patience = 30 * time.Second

// manager is a manager that runs for a measurement.
type manager struct {
	*client.Client
	process *exec.Cmd
	ended   chan error
	log     string
}

// startManager runs one on a data directory and returns when it answers.
func startManager(ctx context.Context, program, dataDir string) (*manager, error) {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dataDir, "bench.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	m := &manager{log: log.Name(), ended: make(chan error, 1)}
	// Its own end of ctx is stop, which removes the workers first.
	m.process = exec.CommandContext(context.WithoutCancel(ctx), program, "manager", "run", "--data-dir", dataDir)
	m.process.Stdout, m.process.Stderr = log, log
	m.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if m.Client, err = client.New(client.Config{
		Endpoint: "unix://" + filepath.Join(dataDir, "manager.sock"),
		Program:  "bench",
		Patience: patience,
	}); err != nil {
		return nil, err
	}
	if err := m.process.Start(); err != nil {
		return nil, err
	}
	go func() { m.ended <- m.process.Wait() }()
	m.listens(ctx, filepath.Join(dataDir, "manager.sock"))
	if _, err := m.Manager(ctx); err != nil {
		return nil, errors.Join(err, m.process.Process.Kill(), <-m.ended, m.lastWords())
	}
	return m, nil
}

// listens returns when somebody can be reached at a socket, or the client's patience would have ended: the growing
// pauses of its own are made for others than those who measure a start.
func (m *manager) listens(ctx context.Context, socket string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for ctx.Err() == nil {
		if conn, err := new(net.Dialer).DialContext(ctx, "unix", socket); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ctx.Done():
		case <-look.C:
		}
	}
}

func (m *manager) lastWords() error {
	said, err := os.ReadFile(m.log)
	if err != nil {
		return err
	}
	return fmt.Errorf("the manager said:\n%s", end(said))
}

// end is as much of an output as tells why it ended badly.
func end(said []byte) []byte {
	const enough = 4096
	return said[max(0, len(said)-enough):]
}

// stop removes every pool with its workers and ends the manager, also when ctx has ended.
func (m *manager) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	pools, err := m.Pools(ctx)
	for _, p := range pools {
		err = errors.Join(err, m.remove(ctx, p.Name))
	}
	return errors.Join(err, m.process.Process.Signal(syscall.SIGTERM), <-m.ended)
}

// begin asks for a pool, and returns the operation that makes it.
func (m *manager) begin(ctx context.Context, spec pool.Spec) (operation string, err error) {
	accepted, err := m.Create(ctx, spec, client.Change{Reason: "bench"})
	if err != nil {
		return "", err
	}
	return accepted.Operation.ID, nil
}

// create makes a pool and returns when its creation has ended well.
func (m *manager) create(ctx context.Context, spec pool.Spec) error {
	operation, err := m.begin(ctx, spec)
	if err != nil {
		return err
	}
	return m.await(ctx, operation)
}

// remove destroys a pool by force and returns when it is gone.
func (m *manager) remove(ctx context.Context, name string) error {
	accepted, err := m.Delete(ctx, name, true, client.Change{Reason: "bench"})
	if err != nil {
		return err
	}
	return m.await(ctx, accepted.Operation.ID)
}

func (m *manager) await(ctx context.Context, operation string) error {
	op, err := m.Wait(ctx, operation, nil)
	if err != nil {
		return err
	}
	if op.Phase != pool.OperationSucceeded {
		return fmt.Errorf("operation %s of pool %q: %s: %s %s", op.Kind, op.PoolName, op.Phase, op.Reason, strings.TrimSpace(op.LogTail))
	}
	return nil
}

// processes is the spec of a pool of plain processes, stopped without ceremony.
func processes(name string, size int64, command ...string) pool.Spec {
	spec := pool.Default()
	spec.Name = name
	spec.Size = &size
	spec.Worker.Command = command
	spec.Drain.DeregisterDelay = 0
	spec.Drain.Grace = 0
	return spec
}
