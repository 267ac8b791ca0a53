package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
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
	t.Cleanup(s.end)
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
