package health

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	maxHeader = 64 << 10 // bytes of an answer's header
	maxBody   = 4 << 10  // bytes of its body that are read
	maxReason = 300      // characters of a reason, which may quote what a worker sent
)

// ErrNotProbed: the manager's host kept the probe from being made, which says nothing about the worker.
var ErrNotProbed = errors.New("the probe could not be made")

// Prober makes probes over the network of the manager's host. The zero value is ready for use.
type Prober struct{}

// Probe makes the target's probe once; ctx bounds all of it. An error says why it failed, in a sentence for
// people; ErrNotProbed if it says nothing about the worker.
func (Prober) Probe(ctx context.Context, t Target) error {
	var err error
	switch {
	case t.Check.HTTP != nil:
		err = get(ctx, t)
	case t.Check.TCP != nil:
		err = connect(ctx, t)
	}
	return explain(ctx, t, err)
}

// get passes on a status from 200 to 399.
func get(ctx context.Context, t Target) error {
	got, err := t.ask(ctx, http.MethodGet, t.Check.HTTP.Port, t.Check.HTTP.Path, maxBody)
	if err == nil && (got.code < 200 || got.code > 399) {
		return fmt.Errorf("GET %s answered %s", got.url, got.status)
	}
	return err
}

// answer is what a worker answered to a request.
type answer struct {
	url    string
	code   int
	status string
	body   []byte // its beginning
}

// ask makes one request of a worker, and reads at most so much of the answer's body. It speaks to the worker
// itself instead of through an http.Client: it wants no proxy, no redirect, no second try and no connection
// kept, and a worker that talks out of turn must not write into the manager's log, as the client's transport
// has it do.
func (t Target) ask(ctx context.Context, method, port, path string, most int64) (answer, error) {
	address, err := t.address(port)
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+cmp.Or(path, "/"), nil)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("User-Agent", "poolkeeper")
	request.Close = true

	conn, err := dial(ctx, address)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := request.Write(conn); err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, request.URL, lasting(err))
	}
	response, err := readResponse(bufio.NewReader(io.LimitReader(conn, maxHeader+most)), request)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, request.URL, lasting(err))
	}
	defer response.Body.Close()
	got := answer{url: request.URL.String(), code: response.StatusCode, status: strings.TrimSpace(response.Status)}
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return got, nil // what else it says does not count
	}
	if got.body, err = io.ReadAll(io.LimitReader(response.Body, most)); err != nil {
		return got, fmt.Errorf("%s %s answered %d, but its body broke off: %w", method, request.URL, response.StatusCode, lasting(err))
	}
	return got, nil
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

// readResponse skips the answers that only announce another one (RFC 9110, section 15.2).
func readResponse(from *bufio.Reader, request *http.Request) (*http.Response, error) {
	for {
		response, err := http.ReadResponse(from, request)
		if err != nil || response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, err
		}
	}
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

// address is where the port of the given name listens; an empty name is the first port's.
func (t Target) address(name string) (string, error) {
	if name == "" {
		name = t.FirstPort
	}
	port, ok := t.Ports[name]
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
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%w: it was called off", ErrNotProbed)
	}
	for _, cause := range exhaustion {
		if errors.Is(err, cause) {
			return fmt.Errorf("%w: %w", ErrNotProbed, err)
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return fmt.Errorf("no answer within %s", t.Check.Timeout)
	}
	return short(err)
}

// short bounds a reason, which may quote what a worker sent.
func short(err error) error {
	reason := []rune(strings.ToValidUTF8(err.Error(), "?"))
	if len(reason) > maxReason {
		reason = append(reason[:maxReason], '…')
	}
	return errors.New(string(reason))
}
