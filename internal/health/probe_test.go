package health_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

var template = pool.WorkerTemplate{Command: []string{"worker"}, Ports: []pool.Port{{Name: "main"}, {Name: "admin"}}}

// probe makes a check of a worker whose first port is "main".
func probe(t *testing.T, check pool.HealthCheck, ports map[string]int) error {
	t.Helper()
	if check.Timeout == 0 {
		check.Timeout = pool.Duration(30 * time.Second)
	}
	ctx, cancel := context.WithTimeout(t.Context(), check.Timeout.Std())
	defer cancel()
	return health.Prober{}.Probe(ctx, health.Target{WorkerID: "w", Instance: pool.Instance{Ports: ports}, Template: template, Check: check})
}

func httpCheck(path, port string) pool.HealthCheck {
	return pool.HealthCheck{HTTP: &pool.HTTPProbe{Path: path, Port: port}}
}

func tcpCheck(port string) pool.HealthCheck { return pool.HealthCheck{TCP: &pool.TCPProbe{Port: port}} }

func serve(t *testing.T, handler http.HandlerFunc) int {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}

// listen accepts connections and hands them to talk.
func listen(t *testing.T, talk func(net.Conn)) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	accepting := make(chan struct{})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		<-accepting
	})
	go func() {
		defer close(accepting)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				talk(conn)
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func closedPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().(*net.TCPAddr).Port
}

func TestAnHTTPProbePassesOnAStatusFrom200To399(t *testing.T) {
	for status, passes := range map[int]bool{200: true, 204: true, 302: true, 399: true, 400: false, 404: false, 500: false, 503: false} {
		port := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
		err := probe(t, httpCheck("/healthz", ""), map[string]int{"main": port})
		if passes {
			require.NoError(t, err, status)
		} else {
			require.ErrorContains(t, err, http.StatusText(status))
		}
	}
}

func TestAnHTTPProbeAsksPlainly(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	requests := make(chan *http.Request, 2)
	port := serve(t, func(w http.ResponseWriter, r *http.Request) { requests <- r })
	require.NoError(t, probe(t, httpCheck("", ""), map[string]int{"main": port}))
	require.NoError(t, probe(t, httpCheck("/live?deep=1", ""), map[string]int{"main": port}))
	first, second := <-requests, <-requests
	require.Equal(t, "/", first.RequestURI)
	require.Equal(t, "/live?deep=1", second.RequestURI)
	require.Equal(t, http.MethodGet, first.Method)
	require.Equal(t, "poolkeeper", first.UserAgent())
	require.True(t, first.Close, "no connection is kept")
	require.NotEqual(t, first.RemoteAddr, second.RemoteAddr)
}

func TestAProbeAsksThePortItNames(t *testing.T) {
	good := serve(t, func(http.ResponseWriter, *http.Request) {})
	bad := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	ports := map[string]int{"main": bad, "admin": good}
	require.Error(t, probe(t, httpCheck("", ""), ports))
	require.NoError(t, probe(t, httpCheck("", "admin"), ports))
	require.ErrorContains(t, probe(t, httpCheck("", "none"), ports), `no port "none"`)
	require.ErrorContains(t, probe(t, tcpCheck(""), nil), `no port "main"`)
}

func TestARedirectPassesAndIsNotFollowed(t *testing.T) {
	var followed atomic.Bool
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			followed.Store(true)
		}
		http.Redirect(w, r, "/login", http.StatusFound)
	})
	require.NoError(t, probe(t, httpCheck("/", ""), map[string]int{"main": port}))
	require.False(t, followed.Load())
}

func TestAnAnswerThatIsAnnouncedCounts(t *testing.T) {
	port := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
	})
	require.ErrorContains(t, probe(t, httpCheck("/", ""), map[string]int{"main": port}), "418")
}

func TestOnlyTheBeginningOfALongBodyIsRead(t *testing.T) {
	const body = 100 << 20
	sent := make(chan int64, 1)
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(w, io.LimitReader(endless{}, body))
		sent <- n
	})
	require.NoError(t, probe(t, httpCheck("/", ""), map[string]int{"main": port}))
	require.Less(t, <-sent, int64(body), "the connection was closed before all was sent")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAProbeThatGetsNoProperAnswerFails(t *testing.T) {
	const patience = 300 * time.Millisecond
	readRequest := func(conn net.Conn) { _, _ = http.ReadRequest(bufio.NewReader(conn)) }
	waitForEnd := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	for behaviour, c := range map[string]struct {
		talk func(net.Conn)
		says string
	}{
		"a server that never answers": {waitForEnd, "no answer within 300ms"},
		"headers that drip": {func(conn net.Conn) {
			ticker := time.NewTicker(patience / 20)
			defer ticker.Stop()
			_, err := conn.Write([]byte("HTTP/1.1 200 OK\r\n"))
			for ; err == nil; <-ticker.C {
				_, err = conn.Write([]byte("A: b\r\n"))
			}
		}, "no answer within 300ms"},
		"a body that hangs": {func(conn net.Conn) {
			readRequest(conn)
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal"))
			waitForEnd(conn)
		}, "no answer within 300ms"},
		"a body that breaks off": {func(conn net.Conn) {
			readRequest(conn)
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal"))
		}, "broke off"},
		"garbage": {func(conn net.Conn) {
			_, _ = conn.Write([]byte(strings.Repeat("\xff\x00SSH-2.0", 1000) + "\r\n"))
			readRequest(conn)
		}, "malformed HTTP"},
		"nothing but announcements": {func(conn net.Conn) {
			readRequest(conn)
			_, err := conn.Write([]byte("HTTP/1.1 103 Early Hints\r\n\r\n"))
			for err == nil {
				_, err = conn.Write([]byte("HTTP/1.1 103 Early Hints\r\n\r\n"))
			}
		}, "GET http://127.0.0.1"},
		"endless headers": {func(conn net.Conn) {
			_, err := conn.Write([]byte("HTTP/1.1 200 OK\r\n"))
			for line := []byte("A: " + strings.Repeat("b", 8000) + "\r\n"); err == nil; {
				_, err = conn.Write(line)
			}
		}, "unexpected EOF"},
		"a connection that is closed at once": {func(net.Conn) {}, ""},
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			check := httpCheck("/", "")
			if strings.HasPrefix(c.says, "no answer") {
				check.Timeout = pool.Duration(patience)
			}
			err := probe(t, check, map[string]int{"main": listen(t, c.talk)})
			require.ErrorContains(t, err, c.says)
			require.NotErrorIs(t, err, health.ErrNotProbed)
			require.LessOrEqual(t, len([]rune(err.Error())), 301, "a reason is short")
		})
	}
}

func TestTheSameFailureHasTheSameReason(t *testing.T) {
	ports := map[string]int{"main": listen(t, func(conn net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_ = conn.(*net.TCPConn).SetLinger(0) // closing resets the connection
	})}
	first := probe(t, httpCheck("/", ""), ports)
	require.ErrorContains(t, first, "reset")
	require.EqualError(t, probe(t, httpCheck("/", ""), ports), first.Error())
}

func TestATCPProbePassesWhenItsConnectionIsAccepted(t *testing.T) {
	port := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	require.NoError(t, probe(t, tcpCheck(""), map[string]int{"main": port}))
}

func TestAClosedPortFails(t *testing.T) {
	for name, check := range map[string]pool.HealthCheck{"http": httpCheck("/", ""), "tcp": tcpCheck(""), "grpc": grpcCheck("")} {
		t.Run(name, func(t *testing.T) {
			err := probe(t, check, map[string]int{"main": closedPort(t)})
			require.ErrorContains(t, err, "connection refused")
			require.NotErrorIs(t, err, health.ErrNotProbed)
		})
	}
}

func TestAProbeThatIsCalledOffSaysNothingAboutTheWorker(t *testing.T) {
	for name, check := range map[string]pool.HealthCheck{"http": httpCheck("/", ""), "tcp": tcpCheck(""), "grpc": grpcCheck("")} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			port := listen(t, func(conn net.Conn) {
				cancel()
				_, _ = io.Copy(io.Discard, conn)
			})
			if check.TCP != nil {
				cancel() // a connection is made too quickly to be called off
			}
			err := health.Prober{}.Probe(ctx, health.Target{Instance: pool.Instance{Ports: map[string]int{"main": port}}, Template: template, Check: check})
			require.ErrorIs(t, err, health.ErrNotProbed)
		})
	}
}
