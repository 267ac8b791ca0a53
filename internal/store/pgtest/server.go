//go:build unix

// Package pgtest gives tests a real PostgreSQL server of their own, from the programs that the machine has.
// Nothing is skipped: where there are none, the test that needs one fails and says what to install.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Server is a PostgreSQL server with durable commits, as a user has it. The zero value is ready: it starts when
// it is first needed. It goes with the process that started it, at the latest.
type Server struct {
	// Settings are those that differ from what a new server has.
	Settings map[string]string

	start     sync.Once
	failed    error
	dir       string
	port      int
	postgres  *exec.Cmd
	exited    chan struct{} // closed once the program is gone
	databases atomic.Int64
}

const (
	superuser = "postgres"
	// patience bounds how long a server may take to start or to end.
	patience  = time.Minute
	lookEvery = 20 * time.Millisecond
)

// Database makes an empty database, which goes when the test ends, and returns its URL: a unix socket.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return s.database(t, "")
}

// DatabaseIn makes an empty database whose tables, unlike the server's log, are in an empty directory.
func (s *Server) DatabaseIn(t testing.TB, dir string) string {
	t.Helper()
	s.Start(t)
	owner, err := credential()
	require.NoError(t, err)
	if owner != nil {
		require.NoError(t, os.Chown(dir, int(owner.Uid), int(owner.Gid)))
	}
	const tablespace = "elsewhere"
	s.Execute(t, s.url(superuser), "CREATE TABLESPACE "+tablespace+" LOCATION '"+dir+"'")
	t.Cleanup(func() { s.Execute(t, s.url(superuser), "DROP TABLESPACE "+tablespace) })
	return s.database(t, " TABLESPACE "+tablespace)
}

func (s *Server) database(t testing.TB, where string) string {
	t.Helper()
	s.Start(t)
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), s.databases.Add(1))
	s.Execute(t, s.url(superuser), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+where)
	t.Cleanup(func() {
		s.Execute(t, s.url(superuser), "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
	})
	return s.url(name)
}

// url is a database's, over the server's unix socket.
func (s *Server) url(database string) string {
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: url.Values{
		"host": {s.dir}, "port": {strconv.Itoa(s.port)}, "user": {superuser},
	}.Encode()}).String()
}

// Address is where the server answers on the loopback.
func (s *Server) Address(t testing.TB) string {
	t.Helper()
	s.Start(t)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
}

// Through is the URL of the same database by another address, such as a proxy's.
func Through(t testing.TB, database, address string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	u, err := url.Parse(database)
	require.NoError(t, err)
	query := u.Query()
	query.Set("host", host)
	query.Set("port", port)
	u.RawQuery = query.Encode()
	return u.String()
}

// Set is what the connections to a database that are made from now on are set to.
func (s *Server) Set(t testing.TB, database, name, value string) {
	t.Helper()
	u, err := url.Parse(database)
	require.NoError(t, err)
	s.Execute(t, s.url(superuser), fmt.Sprintf("ALTER DATABASE %s SET %s = %s",
		pgx.Identifier{strings.TrimPrefix(u.Path, "/")}.Sanitize(), pgx.Identifier{name}.Sanitize(), pgx.Identifier{value}.Sanitize()))
}

// Execute runs one statement in a database.
func (s *Server) Execute(t testing.TB, database, statement string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, database)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, statement, args...)
	require.NoError(t, err, statement)
}

// Start starts the server, unless it has been started before.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.start.Do(func() { s.failed = s.create() })
	require.NoError(t, s.failed)
}

// Stop ends the server if it was started, and removes it.
func (s *Server) Stop() error {
	s.start.Do(func() { s.failed = errors.New("the server was stopped before it was started") })
	if s.postgres == nil {
		return nil
	}
	return errors.Join(s.end(syscall.SIGINT), os.RemoveAll(s.dir))
}

// Crash ends the server at once, as `pg_ctl stop -m immediate` does: what is committed is in its log only.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	require.NoError(t, s.end(syscall.SIGQUIT))
}

// Resume starts a server that has crashed.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	require.NoError(t, s.launch())
}

// create makes a new cluster and starts it.
func (s *Server) create() (err error) {
	initdb, err := program("initdb")
	if err != nil {
		return err
	}
	owner, err := credential()
	if err != nil {
		return err
	}
	// Not t.TempDir, which is named for the test: a socket's path must be short.
	if s.dir, err = os.MkdirTemp("", "pg"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(s.dir))
		}
	}()
	if owner != nil {
		if err := os.Chown(s.dir, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// Only the empty cluster is not synced; what the server writes later is.
	cmd := exec.CommandContext(ctx, initdb, "--pgdata", s.data(), "--username", superuser, "--auth", "trust",
		"--encoding", "UTF8", "--no-locale", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: owner}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a PostgreSQL cluster: %w\n%s", err, out)
	}
	return s.launch()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// launch starts the program and waits until it answers.
func (s *Server) launch() error {
	path, err := program("postgres")
	if err != nil {
		return err
	}
	owner, err := credential()
	if err != nil {
		return err
	}
	args := []string{
		"-D", s.data(), "-k", s.dir, "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=16MB",
	}
	for name, value := range s.Settings {
		args = append(args, "-c", name+"="+value)
	}
	log := &bytes.Buffer{}
	cmd := exec.Command(path, args...) //nolint:noctx // Stop and Crash end it, by signals of PostgreSQL's own
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	cmd.SysProcAttr = attributes(owner)
	s.postgres, s.exited = cmd, make(chan struct{})
	started := make(chan error, 1)
	go func() {
		// A child that dies with its parent does so when the thread that started it ends.
		runtime.LockOSThread()
		defer close(s.exited)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	return s.answers(log)
}

// answers waits until the server takes connections.
func (s *Server) answers(log fmt.Stringer) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.url(superuser))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-look.C:
		case <-s.exited:
			return fmt.Errorf("PostgreSQL ended: %s", log)
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w", err)
		}
	}
}

// end signals the server and waits for its end.
func (s *Server) end(signal syscall.Signal) error {
	if err := s.postgres.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("PostgreSQL (pid %d) did not end upon %s", s.postgres.Process.Pid, signal)
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
