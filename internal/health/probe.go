package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

const maxReason = 300 // characters of a reason, which may quote what a worker sent

// ErrNotProbed: the manager's host kept the probe from being made, which says nothing about the worker.
var ErrNotProbed = errors.New("the probe could not be made")

// Prober makes probes from the manager's host.
type Prober struct {
	// Exec runs a command beside a worker, as the Exec of its runtime does. A check or a hook that has a command needs it.
	Exec func(ctx context.Context, l runtime.Launch, instance pool.Instance, command pool.Command) (runtime.Executed, error)
}

// Probe makes the target's probe once; ctx bounds all of it. An error says why it failed, in a sentence for
// people; ErrNotProbed if it says nothing about the worker.
func (p Prober) Probe(ctx context.Context, t Target) error {
	var err error
	switch {
	case t.Check.HTTP != nil:
		err = get(ctx, t)
	case t.Check.TCP != nil:
		err = connect(ctx, t)
	case t.Check.GRPC != nil:
		err = call(ctx, t)
	case t.Check.Exec != nil:
		err = p.run(ctx, t, t.Check.Errand(), t.Check.Timeout)
	}
	return explain(ctx, t, err)
}

// connect passes when the connection is accepted.
func connect(ctx context.Context, t Target) error {
	address, err := t.address(t.Check.TCP.Port)
	if err != nil {
		return err
	}
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: -1}
	return dialer.DialContext(ctx, "tcp4", address)
}

// lasting takes from an error the port of our own that one connection had, so that the same failure has the
// same reason each time.
func lasting(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Source != nil {
		return op.Err
	}
	return err
}

// address is where the port of the given name listens; an empty name is the first port's.
func (t Target) address(name string) (string, error) {
	if name == "" && len(t.Template.Ports) > 0 {
		name = t.Template.Ports[0].Name
	}
	port, ok := t.Instance.Ports[name]
	if !ok {
		return "", fmt.Errorf("the worker has no port %q", name)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nil
}

// exhaustion is what fails for want of something of the manager's or the host's, not of the worker's.
var exhaustion = []error{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EADDRNOTAVAIL,
}

// explain makes a failure a short sentence.
func explain(ctx context.Context, t Target, err error) error {
	var told reason
	switch {
	case err == nil, errors.Is(err, ErrNotProbed):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%w: it was called off", ErrNotProbed)
	case slices.ContainsFunc(exhaustion, func(cause error) bool { return errors.Is(err, cause) }):
		return fmt.Errorf("%w: %w", ErrNotProbed, err)
	case errors.As(err, &told):
		return told
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
		return fmt.Errorf("no answer within %s", t.Check.Timeout)
	}
	return short(err)
}

// reason is an error that says enough by itself, whether or not the time is up by now.
type reason string

func (r reason) Error() string { return shortened(string(r)) }

// short bounds a reason, which may quote what a worker sent.
func short(err error) error { return errors.New(shortened(err.Error())) }

func shortened(text string) string {
	runes := []rune(strings.ToValidUTF8(text, "?"))
	if len(runes) > maxReason {
		runes = append(runes[:maxReason], '…')
	}
	return string(runes)
}
