package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/server"
)

// These are clients that do what a good one does not, and requests that meet a bug. The server lives on.

// patient is a server with the given patience.
func patient(p server.Patience) func(*stage, *server.Config) {
	return func(_ *stage, c *server.Config) { c.Patience = p }
}

// raw opens a connection, sends the text and leaves the connection open.
func (c caller) raw(text string) net.Conn {
	c.t.Helper()
	conn, err := c.dial(c.t.Context())
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(c.t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n"))
	require.NoError(c.t, err)
	return conn
}

// received is the answer to what was sent over a connection.
func (c caller) received(conn net.Conn) reply {
	c.t.Helper()
	got, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(c.t, err)
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	require.NoError(c.t, err)
	return reply{c.t, got.StatusCode, got.Header, string(body)}
}

func TestAClientThatDoesNotFinishItsHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	s := open(t, patient(server.Patience{Header: 100 * time.Millisecond}))
	for _, sent := range []string{"", "GET", "GET / HTTP/1.1\nHost: x\n", "GET /healthz HTTP/1.1\nHost: x\nX: " + strings.Repeat("x", 1000)} {
		for _, c := range []caller{s.local, s.remote} {
			_, err := io.ReadAll(c.raw(sent)) // until the server closes the connection
			require.NoError(t, err, "after %q", sent)
		}
	}
}

func TestAClientThatDoesNotFinishItsBodyIsToldSoAndCutOff(t *testing.T) {
	t.Parallel()
	s := open(t, patient(server.Patience{Body: 100 * time.Millisecond}))
	for name, sent := range map[string]string{
		"no byte of it":   "PUT /v1/pools/web HTTP/1.1\nHost: x\nContent-Length: 100\n\n",
		"a part of it":    "PUT /v1/pools/web HTTP/1.1\nHost: x\nContent-Length: 100\n\n{\"name\":",
		"a part in chunk": "PATCH /v1/pools/web HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n5\n{\"nam\n",
		"where none is":   "GET /v1/pools HTTP/1.1\nHost: x\nContent-Length: 100\n\n{",
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.local.raw(sent)
			c := caller{t: t}
			c.received(conn).problem(http.StatusRequestTimeout, "about:blank")
			_, err := io.ReadAll(conn)
			require.NoError(t, err)
		})
	}
}

func TestAStrangerWhoSendsNoBodyIsCutOffToo(t *testing.T) {
	t.Parallel()
	s := open(t, patient(server.Patience{Body: 100 * time.Millisecond}))
	conn := s.remote.raw("PUT /v1/pools/web HTTP/1.1\nHost: x\nContent-Length: 100\n\n{")
	s.remote.received(conn).problem(http.StatusUnauthorized, api.ProblemUnauthorized)
	_, err := io.ReadAll(conn)
	require.NoError(t, err)
}

// pipes is a listener whose connections hold nothing: what one end writes, the other has to take.
type pipes struct {
	dialed chan net.Conn
	closed context.Context //nolint:containedctx // the life of the listener, ended by close
	close  context.CancelFunc
}

func newPipes() *pipes {
	closed, end := context.WithCancel(context.Background())
	return &pipes{make(chan net.Conn), closed, end}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialed:
		return conn, nil
	case <-p.closed.Done():
		return nil, net.ErrClosed
	}
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) Close() error {
	p.close()
	return nil
}

// raw opens a connection, sends a request with the token and leaves the connection open.
func (p *pipes) raw(t *testing.T, request string) net.Conn {
	ours, theirs := net.Pipe()
	p.dialed <- theirs
	_, err := fmt.Fprintf(ours, "%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", request, token)
	require.NoError(t, err)
	return ours
}

func TestAClientThatDoesNotTakeItsAnswerIsCutOffAndOneThatWaitsIsNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, at := build(t), newPipes()
		defer s.host.holdLaunches()()
		var serving sync.WaitGroup
		serving.Go(func() { _ = s.server.Serve(s.ctx, at) })
		defer serving.Wait()
		defer s.end()
		o := as[api.Accepted](s.direct("PUT", "/v1/pools/web", document("web", 1), "Authorization: Bearer "+token, "If-None-Match: *").ok(http.StatusAccepted)).Operation

		waits := at.raw(t, "GET /v1/operations/"+o.ID+"?wait=60s")
		defer waits.Close()
		caller{t: t}.received(waits).ok(http.StatusOK)

		begun := time.Now()
		stuck := at.raw(t, "GET /v1/pools")
		for err := error(nil); err == nil; { // more is taken until the connection is closed
			_, err = stuck.Write([]byte("x"))
		}
		require.InDelta(t, 90*time.Second, time.Since(begun), float64(time.Second))
	})
}

func TestARequestMayTakeLongerThanItsBodyMay(t *testing.T) {
	t.Parallel()
	const bodies, requests = 2 * time.Second, 3 * time.Second
	s := open(t, patient(server.Patience{Body: bodies}))
	defer s.host.holdLaunches()()
	o := s.create("web", 1).Operation
	wait := s.local.begin("GET", fmt.Sprintf("/v1/operations/%s?wait=%s", o.ID, requests), "a body that nobody reads")

	var cut atomic.Bool
	s.host.onCheck(func(ctx context.Context) {
		select {
		case <-ctx.Done():
			cut.Store(true)
		case <-time.After(requests):
		}
	})
	s.remote.do("POST", "/v1/pools:validate", document("web", 1)).ok(http.StatusOK)
	require.False(t, cut.Load())
	got := as[pool.Operation](wait.answer().ok(http.StatusOK))
	require.Equal(t, pool.OperationRunning, got.Phase)
}

func TestABrokenBodyIsTheClientsFault(t *testing.T) {
	t.Parallel()
	s := open(t)
	conn := s.local.raw("PUT /v1/pools/web HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\nnonsense\n")
	s.local.received(conn).problem(http.StatusBadRequest, "about:blank")
}

func TestWhatIsNoHTTPHarmsNobody(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, sent := range []string{
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", "hello\n\n", "GET\n\n", "\n\n\n\n\x00\n",
		"GET / HTTP/9.9\nHost: x\n\n", "GET /healthz HTTP/1.1\n\n", "PRI * HTTP/2.0\n\nSM\n\n",
		"GET /healthz HTTP/1.1\nHost: x\nX: " + strings.Repeat("x", 100<<10) + "\n\n",
		"POST /v1/pools:validate HTTP/1.1\nHost: x\nContent-Length: -1\n\n",
	} {
		for _, c := range []caller{s.local, s.remote} {
			got := c.received(c.raw(sent))
			require.GreaterOrEqual(t, got.status, 400, "%.40q", sent)
			require.Less(t, got.status, 600)
		}
	}
	s.local.get("/healthz").ok(http.StatusOK)
	s.remote.get("/v1/pools").ok(http.StatusOK)
}

func TestABugInOneRequestIsAProblemOfThatRequestOnly(t *testing.T) {
	t.Parallel()
	s := open(t, func(_ *stage, c *server.Config) { c.Stop = func() { panic("a bug of ours") } })
	for _, c := range []caller{s.local, s.remote} {
		got := c.do("POST", "/v1/manager:stop", "")
		got.problem(http.StatusInternalServerError, "about:blank")
		require.NotContains(t, got.body, "a bug of ours", "that is for the log")
		require.Equal(t, s.id, got.header.Get(api.HeaderManager))
		c.get("/v1/pools").ok(http.StatusOK)
	}
	require.Contains(t, s.log.String(), "a bug of ours")
	require.Contains(t, s.log.String(), "client_test.go", "with its place")
	require.Eventually(t, func() bool { return s.server.CloseIfIdle(0) }, patience, time.Millisecond, "they do not count as under way")
}
