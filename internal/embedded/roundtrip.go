package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

// maxStarts bounds how many managers one request may see come and go.
const maxStarts = 3

// RoundTrip sends the request to the manager, after starting one if that is needed and justified. Its
// verdict that no manager can be had is a client.ErrUnreachable.
func (l *Local) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	ctx, wants := req.Context(), demandOf(req)
	if wants == changes {
		if err := l.replaceOlder(ctx); err != nil {
			return nil, l.verdict(ctx, err)
		}
	}
	for starts := 0; ; starts++ {
		copied, err := again(req)
		if err != nil {
			return nil, err
		}
		resp, err := l.socket.RoundTrip(copied)
		switch {
		case err == nil && !ending(resp):
			return resp, nil
		case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
			return nil, l.overran(err)
		case err != nil && !unconnected(err):
			return nil, err // the manager may have acted on it: the client knows whether to repeat it
		case wants == stops, starts == maxStarts:
			return resp, err
		case resp != nil:
			_ = resp.Body.Close()
		case wants == reads:
			if err := l.dir.needStore(); err != nil {
				return nil, l.verdict(ctx, err)
			}
		}
		if err := l.start(ctx); err != nil {
			return nil, l.verdict(ctx, err)
		}
	}
}

// overran is the verdict on a request that a manager took and did not answer in its time.
func (l *Local) overran(err error) error {
	if pid, running, _ := l.dir.Running(); running {
		return &verdictError{l.unanswering(pid)}
	}
	return err
}

// again is the request with a body that was not read yet.
func again(req *http.Request) (*http.Request, error) {
	copied := req.Clone(req.Context())
	if req.GetBody == nil {
		return copied, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("read the request once more: %w", err)
	}
	copied.Body = body
	return copied, nil
}

// unconnected says that the request has reached nobody.
func unconnected(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// ending says that the answer is a manager's that ends. The answer can still be read afterwards.
func ending(resp *http.Response) bool {
	if resp.StatusCode != http.StatusServiceUnavailable {
		return false
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, api.MaxBody))
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var problem api.Problem
	return err == nil && json.Unmarshal(body, &problem) == nil && problem.Name() == api.ProblemStopping
}

// needStore errs with ErrNoStore if there is nothing to be read.
func (d DataDir) needStore() error {
	if stored, err := d.HasStore(); err != nil || stored {
		return err
	}
	return fmt.Errorf("%w in data directory %q: no pool was ever created there", ErrNoStore, string(d))
}

// verdict marks an error as final for the client, unless it is only that the caller gave up.
func (l *Local) verdict(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &verdictError{err}
}

type verdictError struct{ cause error }

func (e *verdictError) Error() string   { return e.cause.Error() }
func (e *verdictError) Unwrap() []error { return []error{client.ErrUnreachable, e.cause} }

// socket is the bare way to a manager: it starts none.
type socket struct{ *http.Transport }

// newSocket dials for every request, so that each is seen either to reach a living manager or none.
func newSocket(path string) *socket {
	return &socket{&http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
}

// probeTimeout bounds one look at a manager that may hang.
const probeTimeout = 2 * time.Second

// ready asks the manager whether it can serve.
func (s *socket) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://poolkeeper/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := s.RoundTrip(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
