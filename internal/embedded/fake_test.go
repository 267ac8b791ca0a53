//go:build unix

package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

// The test's program is three things: the tests, the manager that they start out of a copy of it, and a
// short-lived program that needs a manager, as a provider is.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 2 && os.Args[1] == "manager" && os.Args[2] == "run":
		os.Exit(fakeManager(os.Args[3:]))
	case len(os.Args) > 1 && os.Args[1] == "change":
		os.Exit(changeOnce(os.Args[2]))
	}
	os.Exit(m.Run())
}

// script tells a fake manager how to behave; it is a file in its data directory.
type script struct {
	Version  string
	Embedded bool
	Fail     string // its last words before it exits, instead of serving
}

const scriptFile = "script.json"

// report is what a fake manager finds about itself.
type report struct {
	Environment []string
	Descriptors []string
	Session     int
	Directory   string
	Program     string
	Input       string
}

func fakeManager(arguments []string) int {
	if len(arguments) != 3 || arguments[0] != "--data-dir" || arguments[2] != "--embedded" {
		fmt.Fprintln(os.Stderr, "unexpected arguments", arguments)
		return 2
	}
	dir := DataDir(arguments[1])
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s := script{Version: "0.1.0", Embedded: true}
	if data, err := os.ReadFile(dir.path(scriptFile)); err == nil {
		if err := json.Unmarshal(data, &s); err != nil {
			return fail(err)
		}
	}
	starts, err := os.OpenFile(dir.path("starts"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fail(err)
	}
	fmt.Fprintln(starts, os.Getpid())
	_ = starts.Close()
	if s.Fail != "" {
		return fail(errors.New(s.Fail))
	}
	lock := flock.New(dir.Lock(), flock.SetPermissions(0o600))
	patience, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := lock.TryLockContext(patience, time.Millisecond); err != nil {
		return fail(fmt.Errorf("another manager lives: %w", err))
	}
	if err := os.WriteFile(dir.Lock(), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return fail(err)
	}
	if err := os.WriteFile(dir.Store(), nil, 0o600); err != nil {
		return fail(err)
	}
	_ = os.Remove(dir.Socket())
	listener, err := net.Listen("unix", dir.Socket())
	if err != nil {
		return fail(err)
	}
	ended := make(chan struct{}, 1)
	server := &http.Server{Handler: fakeAPI(s, dir, ended), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	<-ended
	// An ending manager holds its lock and refuses requests for a while.
	<-time.After(200 * time.Millisecond)
	_ = server.Shutdown(context.Background())
	return 0
}

func fakeAPI(s script, dir DataDir, ended chan<- struct{}) http.Handler {
	var ending atomic.Bool
	say := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	api1 := http.NewServeMux()
	api1.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	api1.HandleFunc("GET /v1/manager", func(w http.ResponseWriter, _ *http.Request) {
		say(w, 200, api.Manager{Version: s.Version, PID: os.Getpid(), DataDir: string(dir), Embedded: s.Embedded})
	})
	api1.HandleFunc("POST /v1/manager:stop", func(w http.ResponseWriter, _ *http.Request) {
		ending.Store(true)
		say(w, 202, struct{}{})
		ended <- struct{}{}
	})
	api1.HandleFunc("GET /v1/pools", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, api.PoolList{}) })
	api1.HandleFunc("POST /v1/pools/web:restart", func(w http.ResponseWriter, _ *http.Request) {
		var accepted api.Accepted
		accepted.Operation.ID = strconv.Itoa(os.Getpid())
		say(w, 202, accepted)
	})
	api1.HandleFunc("GET /report", func(w http.ResponseWriter, _ *http.Request) {
		r := report{Environment: os.Environ()}
		r.Session, _ = unix.Getsid(0)
		r.Directory, _ = os.Getwd()
		r.Program, _ = os.Executable()
		r.Input, _ = os.Readlink("/dev/fd/0")
		open, _ := os.ReadDir("/dev/fd")
		for _, o := range open {
			target, _ := os.Readlink("/dev/fd/" + o.Name())
			r.Descriptors = append(r.Descriptors, target)
		}
		say(w, 200, r)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ending.Load() {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(api.Problem{Type: api.ProblemBase + api.ProblemStopping, Title: "Stopping", Status: 503})
			return
		}
		api1.ServeHTTP(w, r)
	})
}

// changeOnce makes one change in a data directory and prints the pid of the manager that accepted it.
func changeOnce(dir string) int {
	local, err := New(Options{DataDir: dir, Version: "0.1.0"})
	if err == nil {
		var pid int
		if pid, err = change(context.Background(), local); err == nil {
			fmt.Println(pid)
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// change asks for a change and returns the pid of the manager that accepted it.
func change(ctx context.Context, local *Local) (int, error) {
	c, err := local.Client()
	if err != nil {
		return 0, err
	}
	accepted, err := c.Restart(ctx, "web", client.Change{ETag: `"p_1.1"`})
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(accepted.Operation.ID)
}

// dataDir is a short path to a directory that does not exist yet. What manager lives there at the end of
// the test is ended.
func dataDir(t *testing.T) DataDir {
	t.Helper()
	parent, err := os.MkdirTemp("", "pk")
	require.NoError(t, err)
	dir := DataDir(filepath.Join(parent, "data"))
	t.Cleanup(func() {
		killManager(t, dir)
		require.NoError(t, os.RemoveAll(parent))
	})
	return dir
}

// killManager ends the manager as a crash would.
func killManager(t *testing.T, dir DataDir) {
	t.Helper()
	pid, running, err := dir.Running()
	require.NoError(t, err)
	if !running {
		return
	}
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	awaitEnd(t, dir)
}

func awaitEnd(t *testing.T, dir DataDir) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, dir.AwaitEnd(ctx))
}

// act writes the script of the managers that are started next.
func act(t *testing.T, dir DataDir, s script) {
	t.Helper()
	data, err := json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(string(dir), 0o700))
	require.NoError(t, os.WriteFile(dir.path(scriptFile), data, 0o600))
}

// at is the way to the data directory's manager for a program of the given version.
func at(t *testing.T, dir DataDir, version string) *Local {
	t.Helper()
	local, err := New(Options{DataDir: string(dir), Version: version})
	require.NoError(t, err)
	return local
}

func mustChange(t *testing.T, local *Local) (pid int) {
	t.Helper()
	pid, err := change(t.Context(), local)
	require.NoError(t, err)
	return pid
}

// starts lists the pids of all managers that were ever started in the directory.
func starts(t *testing.T, dir DataDir) []string {
	t.Helper()
	data, err := os.ReadFile(dir.path("starts"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	return slices.DeleteFunc(strings.Split(string(data), "\n"), func(line string) bool { return line == "" })
}

func reportOf(t *testing.T, local *Local) (r report) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://poolkeeper/report", nil)
	require.NoError(t, err)
	resp, err := local.socket.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&r))
	return r
}

// program is this test's program, run as something else.
func program(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return exec.CommandContext(t.Context(), self, arguments...)
}
