package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/server"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

const token = "a token that nobody guesses"

// patience is how long a test waits for what must come. It is shorter than the longest wait of the API.
const patience = 45 * time.Second

// stage is a server of a real manager on a real store, at a unix socket and a TCP port.
type stage struct {
	t      *testing.T
	dir    string
	host   *host
	disk   *disk
	server *server.Server
	local  caller // at the unix socket
	remote caller // at the TCP port, with the token
	id     string // the manager's

	ctx    context.Context //nolint:containedctx // the life of the server, ended by end
	end    context.CancelFunc
	served chan error // what each Serve returned
	log    *notes
}

// build makes a server that nobody can reach yet; adjust changes what it works with.
func build(t *testing.T, adjust ...func(*stage, *server.Config)) *stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "pk") // a socket's path is short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	sqlite, err := store.OpenSQLite(t.Context(), filepath.Join(dir, "manager.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sqlite.Close()) })
	records := &disk{Store: sqlite, lookups: map[string]map[context.Context]bool{}}

	s := &stage{t: t, dir: dir, host: newHost(), disk: records, id: records.Identity().ManagerID, served: make(chan error, 2), log: &notes{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	config := server.Config{
		Describe: api.Manager{
			ID: s.id, Incarnation: records.Identity().Incarnation, Version: "1.2.3", Host: hostName,
			PID: os.Getpid(), StartedAt: time.Now().UTC(), DataDir: dir,
		},
		Token:  token,
		Stop:   s.end,
		Logger: hclog.New(&hclog.LoggerOptions{Output: s.log, Level: hclog.Debug}),
	}
	for _, a := range adjust {
		a(s, &config)
	}
	config.Manager, err = lifecycle.New(t.Context(), lifecycle.Config{Store: records, Runtime: s.host, Logger: hclog.NewNullLogger(), Host: hostName})
	require.NoError(t, err)
	t.Cleanup(config.Manager.Close)
	s.server = server.New(config)
	return s
}

// open starts a server at its addresses.
func open(t *testing.T, adjust ...func(*stage, *server.Config)) *stage {
	t.Helper()
	s := build(t, adjust...)
	socket := filepath.Join(s.dir, "api.sock")
	var serving sync.WaitGroup
	for _, at := range []struct{ network, address string }{{"unix", socket}, {"tcp", "127.0.0.1:0"}} {
		l, err := net.Listen(at.network, at.address)
		require.NoError(t, err)
		if at.network == "tcp" {
			s.remote = call(t, "tcp", l.Addr().String()).with("Authorization: Bearer " + token)
		}
		serving.Go(func() { s.served <- s.server.Serve(s.ctx, l) })
	}
	s.local = call(t, "unix", socket)
	t.Cleanup(func() {
		s.end()
		serving.Wait()
	})
	return s
}

// disk is a real store whose disk can fail, and that knows which operations were looked up.
type disk struct {
	store.Store
	mu               sync.Mutex
	reading, writing error                               // what reads and writes err with
	lookups          map[string]map[context.Context]bool // in which request, by operation
}

type watchedReader struct {
	store.Reader
	disk *disk
	ctx  context.Context //nolint:containedctx // it tells requests apart
}

func (r watchedReader) Operation(id string) (pool.Operation, error) {
	r.disk.mu.Lock()
	defer r.disk.mu.Unlock()
	if r.disk.lookups[id] == nil {
		r.disk.lookups[id] = map[context.Context]bool{}
	}
	r.disk.lookups[id][r.ctx] = true
	return r.Reader.Operation(id)
}

func (d *disk) fail(reading, writing error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reading, d.writing = reading, writing
}

func (d *disk) failures() (reading, writing error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reading, d.writing
}

func (d *disk) View(ctx context.Context, read func(store.Reader) error) error {
	reading, _ := d.failures()
	if reading != nil {
		return reading
	}
	return d.Store.View(ctx, func(r store.Reader) error { return read(watchedReader{r, d, ctx}) })
}

// lookedUp is in how many requests an operation was read so far.
func (d *disk) lookedUp(operationID string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.lookups[operationID])
}

func (d *disk) Update(ctx context.Context, change func(store.Writer) error) error {
	if _, err := d.failures(); err != nil {
		return err
	}
	return d.Store.Update(ctx, change)
}

// direct is the answer to a request that comes over no connection, with the headers as they are.
func (s *stage) direct(method, path, body string, headers ...string) reply {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, r)
	return reply{s.t, w.Code, w.Header(), w.Body.String()}
}

// notes collects what was logged.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// caller makes requests to one address.
type caller struct {
	t       *testing.T
	dial    func(context.Context) (net.Conn, error)
	client  *http.Client
	headers []string // "Name: value", sent with every request
}

func call(t *testing.T, network, address string) caller {
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	t.Cleanup(transport.CloseIdleConnections)
	return caller{t: t, dial: dial, client: &http.Client{Transport: transport, Timeout: patience}}
}

// with is the caller that sends more headers.
func (c caller) with(headers ...string) caller {
	c.headers = append(c.headers[:len(c.headers):len(c.headers)], headers...)
	return c
}

// without is the caller that sends no headers of its own.
func (c caller) without() caller {
	c.headers = nil
	return c
}

// reply is what the server answered.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

func (c caller) try(ctx context.Context, method, path, body string) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://manager"+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for _, h := range c.headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	got, err := c.client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	return reply{c.t, got.StatusCode, got.Header, string(text)}, err
}

// begun is a request that is under way.
type begun struct {
	t      *testing.T
	cancel context.CancelFunc
	done   chan struct{}
	reply  reply
	err    error
}

// begin sends a request and returns as soon as it is sent.
func (c caller) begin(method, path, body string) *begun {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	sent := make(chan struct{})
	tell := sync.OnceFunc(func() { close(sent) })
	b := &begun{t: c.t, cancel: cancel, done: make(chan struct{})}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { tell() }})
	c.t.Cleanup(func() {
		cancel()
		<-b.done
	})
	go func() {
		defer close(b.done)
		defer tell()
		b.reply, b.err = c.try(ctx, method, path, body)
	}()
	<-sent
	return b
}

// answer waits for the answer. What is cut off at the tests' patience has been waiting for too long.
func (b *begun) answer() reply {
	b.t.Helper()
	<-b.done
	require.NoError(b.t, b.err)
	return b.reply
}

func (c caller) do(method, path, body string) reply {
	c.t.Helper()
	got, err := c.try(c.t.Context(), method, path, body)
	require.NoError(c.t, err)
	return got
}

func (c caller) get(path string) reply {
	c.t.Helper()
	return c.do(http.MethodGet, path, "")
}

// ok is an answer of the given status that is no problem.
func (r reply) ok(status int) reply {
	r.t.Helper()
	require.Equal(r.t, status, r.status, r.body)
	require.NotEqual(r.t, "application/problem+json", r.header.Get("Content-Type"))
	return r
}

// problem is an answer that is a problem of the given status and type.
func (r reply) problem(status int, name string) api.Problem {
	r.t.Helper()
	require.Equal(r.t, status, r.status, r.body)
	require.Equal(r.t, "application/problem+json", r.header.Get("Content-Type"))
	p := as[api.Problem](r)
	require.Equal(r.t, name, p.Name())
	require.Equal(r.t, status, p.Status)
	require.NotEmpty(r.t, p.Title)
	return p
}

// as reads a JSON answer and tolerates nothing in it that T does not know.
func as[T any](r reply) (v T) {
	r.t.Helper()
	dec := json.NewDecoder(strings.NewReader(r.body))
	dec.DisallowUnknownFields()
	require.NoError(r.t, dec.Decode(&v), r.body)
	return v
}

// document is a valid spec; more are further members.
func document(name string, size int, more ...string) string {
	members := append([]string{
		fmt.Sprintf(`"name":%q,"size":%d`, name, size),
		`"drain":{"deregister_delay":"0s","grace":"1h"}`,
	}, more...)
	if !strings.Contains(strings.Join(more, ","), `"worker":`) {
		members = append(members, `"worker":{"command":["/bin/worker"]}`)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// create makes a pool and returns what was accepted.
func (s *stage) create(name string, size int) api.Accepted {
	s.t.Helper()
	return as[api.Accepted](s.local.with("If-None-Match: *").do("PUT", "/v1/pools/"+name, document(name, size)).ok(http.StatusAccepted))
}

// created makes a pool and waits until it is there.
func (s *stage) created(name string, size int) pool.View {
	s.t.Helper()
	s.succeeds(s.create(name, size).Operation)
	return as[pool.View](s.local.get("/v1/pools/" + name).ok(http.StatusOK))
}

func (s *stage) succeeds(o pool.Operation) {
	s.t.Helper()
	o = as[pool.Operation](s.local.get("/v1/operations/" + o.ID + "?wait=60s").ok(http.StatusOK))
	require.Equal(s.t, pool.OperationSucceeded, o.Phase, o.Reason)
}

// wait begins to wait for an operation at each of the callers, and returns when all of them wait.
func (s *stage) wait(o pool.Operation, callers ...caller) (waits []*begun) {
	s.t.Helper()
	before := s.disk.lookedUp(o.ID)
	for _, c := range callers {
		waits = append(waits, c.begin("GET", "/v1/operations/"+o.ID+"?wait=60s", ""))
	}
	require.Eventually(s.t, func() bool { return s.disk.lookedUp(o.ID) == before+len(callers) }, patience, time.Millisecond)
	return waits
}
