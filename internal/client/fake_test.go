package client_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

// seen is one request as it arrived.
type seen struct {
	method, path, query, body string
	header                    http.Header
	at                        time.Time
}

// recorder answers every request by the next of its answers, and by the last one from then on.
type recorder struct {
	mu      sync.Mutex
	seen    []seen
	answers []http.HandlerFunc
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.seen = append(r.seen, seen{req.Method, req.URL.EscapedPath(), req.URL.RawQuery, string(body), req.Header.Clone(), time.Now()})
	next := r.answers[min(len(r.seen), len(r.answers))-1]
	r.mu.Unlock()
	next(w, req)
}

func (r *recorder) requests() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]seen(nil), r.seen...)
}

// manager serves the answers on loopback and returns a client of it.
func manager(t *testing.T, config client.Config, answers ...http.HandlerFunc) (*client.Client, *recorder) {
	t.Helper()
	r := &recorder{answers: answers}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	config.Endpoint = server.URL
	c, err := client.New(config)
	require.NoError(t, err)
	return c, r
}

func answer(status int, body any, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if _, ok := body.(api.Problem); ok {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
}

func problem(status int, name, detail string, headers ...string) http.HandlerFunc {
	return answer(status, api.Problem{Type: api.ProblemBase + name, Title: http.StatusText(status), Status: status, Detail: detail}, headers...)
}

func text(status int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// lost does what the request asks for, and then the connection breaks.
func lost(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// torn breaks the connection in the middle of the answer.
func torn(w http.ResponseWriter, _ *http.Request) {
	conn, stream, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = stream.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	_ = stream.Flush()
	_ = conn.Close()
}

// socketPath is short enough for a unix socket wherever the tests run.
func socketPath(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.sock")
	require.Less(t, len(path), 104, "set TMPDIR to a shorter directory")
	return path
}

// serveSocket serves h on a unix socket until the returned function is called or the test ends.
func serveSocket(t *testing.T, path string, h http.Handler) (stop func()) {
	t.Helper()
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: h}}
	server.Start()
	stop = sync.OnceFunc(func() {
		server.CloseClientConnections()
		server.Close()
	})
	t.Cleanup(stop)
	return stop
}

func decodeTo(t *testing.T, body string, into any) {
	t.Helper()
	require.NoError(t, json.NewDecoder(strings.NewReader(body)).Decode(into))
}

func answers(list ...http.HandlerFunc) []http.HandlerFunc { return list }

// endpointOf serves a recorder once more, for clients with a configuration of their own.
func endpointOf(t *testing.T, r *recorder) string {
	t.Helper()
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return server.URL
}
