// Package runtime is the border to where workers run. It starts, signals, finds and removes instances and
// tells when one ends; it knows no pools' sizes, no operations and no store.
package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// ErrGone: the instance does not exist any more (or its pid belongs to somebody else by now).
var ErrGone = errors.New("the instance is gone")

// SpecError is a launch that cannot succeed until the spec or the host is changed: the program does not
// exist, is not executable, the directory is missing.
type SpecError struct{ Fault pool.Fault }

func (e *SpecError) Error() string { return e.Fault.String() }

// Launch is what one worker is to be started from.
type Launch struct {
	WorkerID string
	PoolUID  string
	PoolName string
	Template pool.WorkerTemplate
}

// Found is an instance that List has found. Its pid is 0 if something lives that the worker has started, and
// nobody knows which process the worker was: it has ended.
type Found struct {
	WorkerID string
	PoolUID  string
	PoolName string
	// Identity is the store.Identity text that the instance was started under.
	Identity string
	Instance pool.Instance
}

// Ended reports that an instance ended.
type Ended struct {
	WorkerID string
	PoolUID  string
	Exit     pool.Exit
	At       time.Time
}

// MaxOutput is how much of an executed command's output is kept, in bytes.
const MaxOutput = 512

// Executed is what came of a command that ran beside a worker.
type Executed struct {
	Exit pool.Exit
	// CutShort: the context ended before the command did, which was killed.
	CutShort bool
	// Output is the end of what it wrote to both of its outputs: at most MaxOutput bytes.
	Output []byte
}

// Runtime runs instances. All calls are safe for concurrent use and safe to repeat.
type Runtime interface {
	// Check finds what of a spec this runtime could not run, before anything is done.
	Check(ctx context.Context, spec pool.Spec) pool.Faults
	// Launch starts the worker's instance, or returns the one that runs under its id already. From then on
	// its end is reported once. A *SpecError cannot be mended by trying again, and nothing was started; any
	// other error leaves it open whether the instance runs.
	Launch(ctx context.Context, l Launch) (pool.Instance, error)
	// Adopt watches an instance that an earlier manager started. ErrGone if it has ended.
	Adopt(ctx context.Context, poolUID, workerID string, instance pool.Instance) error
	// Signal sends a signal named like "TERM" to the instance's main process. ErrGone if it has ended.
	Signal(ctx context.Context, workerID string, instance pool.Instance, signal string) error
	// Kill ends the instance and everything that it started, at once. No error if all is gone already.
	Kill(ctx context.Context, workerID string, instance pool.Instance) error
	// Exec runs a command where the worker's instance runs, with the worker's environment and in its
	// directory, until the command or ctx ends; what it has started ends with it. It is never taken for
	// the worker. l is what the worker was launched from. An error means that the command was not run:
	// ErrGone if the instance has ended, a *SpecError if trying again cannot mend it.
	Exec(ctx context.Context, l Launch, instance pool.Instance, command pool.Command) (Executed, error)
	// Sweep ends what an ended instance left running, and returns how many processes that was. Of a worker
	// whose instance was never known, given as the zero Instance, it ends all that carries its id.
	Sweep(ctx context.Context, workerID string, instance pool.Instance) (int, error)
	// List finds the instances that carry this manager's id, of whatever incarnation, or that are of its
	// data directory whatever id they carry: the store may have been lost. An instance that has ended is
	// found while something lives that it has started. An error means that the world is unknown, never that
	// it is empty.
	List(ctx context.Context) ([]Found, error)
	// Ended delivers the end of every launched and adopted instance once, as soon as it happens: that may
	// be before Launch has returned. Close closes the channel.
	Ended() <-chan Ended
	// Logs returns at most the last max bytes of the worker's output, whole lines; empty if there is none.
	Logs(ctx context.Context, poolUID, workerID string, max int64) ([]byte, error)
	// KeepLogs sets the bounds for the logs of a pool's workers.
	KeepLogs(poolUID string, logs pool.Logs)
	// RemoveLogs deletes the logs of the given workers; with none given, those of the whole pool.
	RemoveLogs(ctx context.Context, poolUID string, workerIDs ...string) error
	// Close stops watching. It ends no instance.
	Close() error
}

// LaunchError says which worker could not be launched.
func LaunchError(workerID string, err error) error {
	return fmt.Errorf("launch worker %s: %w", workerID, err)
}
