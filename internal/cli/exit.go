package cli

import (
	"errors"
	"net/http"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
)

// The exit codes, which scripts rely on.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitConflict = 4
)

const exitCodes = `  0  done
  1  the operation failed, or any other error
  2  the command line is not right
  3  what was named is not there
  4  the pool has changed meanwhile, or its state forbids the change`

// usageError is a command line that is not right.
type usageError struct{ cause error }

func (e *usageError) Error() string { return e.cause.Error() }
func (e *usageError) Unwrap() error { return e.cause }

// errNotRunning: the manager that is asked after does not run.
var errNotRunning = errors.New("no manager runs")

// exitByStatus says which answers have an exit code of their own.
var exitByStatus = map[int]int{
	http.StatusNotFound:           exitNotFound,
	http.StatusGone:               exitNotFound,
	http.StatusConflict:           exitConflict,
	http.StatusPreconditionFailed: exitConflict,
}

// exitCode is the exit code that an error stands for.
func exitCode(err error) int {
	var (
		usage   *usageError
		problem *client.Problem
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, embedded.ErrNoStore), errors.Is(err, errNotRunning):
		return exitNotFound
	case errors.As(err, &problem) && exitByStatus[problem.Status] != 0:
		return exitByStatus[problem.Status]
	}
	return exitFailed
}
