//go:build unix

package embedded

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

func TestReadingWhereNothingWasWrittenStartsNothing(t *testing.T) {
	for name, read := range map[string]func(context.Context, client.Manager) error{
		"pools":    func(ctx context.Context, m client.Manager) error { _, err := m.Pools(ctx); return err },
		"manager":  func(ctx context.Context, m client.Manager) error { _, err := m.Manager(ctx); return err },
		"validate": func(ctx context.Context, m client.Manager) error { _, err := m.Validate(ctx, []byte("{}")); return err },
		"a change of a pool on its newest base": func(ctx context.Context, m client.Manager) error {
			_, err := m.Delete(ctx, "web", false, client.Change{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := dataDir(t)
			m, err := Connect(Options{DataDir: string(dir)})
			require.NoError(t, err)
			err = read(t.Context(), m)
			require.ErrorIs(t, err, ErrNoStore)
			require.ErrorIs(t, err, client.ErrUnreachable)
			require.ErrorContains(t, err, string(dir))
			require.NoDirExists(t, string(dir))
		})
	}
}

func TestAChangeStartsTheManagerAndLaterCallsFindIt(t *testing.T) {
	dir := dataDir(t)
	pid := mustChange(t, at(t, dir, "0.1.0"))
	other := at(t, dir, "0.1.0")
	c, err := other.Client()
	require.NoError(t, err)
	m, err := c.Manager(t.Context())
	require.NoError(t, err)
	require.Equal(t, pid, m.PID)
	require.Equal(t, pid, mustChange(t, other))
	require.Len(t, starts(t, dir), 1)
	running, alive, err := dir.Running()
	require.NoError(t, err)
	require.True(t, alive)
	require.Equal(t, pid, running)
}

func TestStartStartsWhatAChangeWould(t *testing.T) {
	dir := dataDir(t)
	local := at(t, dir, "0.1.0")
	require.NoError(t, local.Start(t.Context()))
	require.NoError(t, local.Start(t.Context()))
	require.Len(t, starts(t, dir), 1)
}

func TestAReadStartsTheManagerOfAStore(t *testing.T) {
	dir := dataDir(t)
	require.NoError(t, os.MkdirAll(string(dir), 0o700))
	require.NoError(t, os.WriteFile(dir.Store(), nil, 0o600))
	m, err := Connect(Options{DataDir: string(dir)})
	require.NoError(t, err)
	pools, err := m.Pools(t.Context())
	require.NoError(t, err)
	require.Empty(t, pools)
	require.Len(t, starts(t, dir), 1)
}

func TestStopStartsNothing(t *testing.T) {
	dir := dataDir(t)
	m, err := Connect(Options{DataDir: string(dir)})
	require.NoError(t, err)
	require.ErrorIs(t, m.Stop(t.Context()), client.ErrUnreachable)
	require.NoDirExists(t, string(dir))
}

func TestManyProgramsAtOnceStartOneManager(t *testing.T) {
	dir := dataDir(t)
	const programs = 10
	outputs := make([]bytes.Buffer, programs)
	var running sync.WaitGroup
	for i := range programs {
		cmd := program(t, "change", string(dir))
		cmd.Stdout, cmd.Stderr = &outputs[i], &outputs[i]
		require.NoError(t, cmd.Start())
		running.Go(func() { _ = cmd.Wait() })
	}
	running.Wait()
	started := starts(t, dir)
	require.Len(t, started, 1)
	for i := range outputs {
		require.Equal(t, started[0], strings.TrimSpace(outputs[i].String()))
	}
}

func TestManyCallsAtOnceStartOneManager(t *testing.T) {
	dir := dataDir(t)
	local := at(t, dir, "0.1.0")
	var calls sync.WaitGroup
	faults := make(chan error, 20)
	for range cap(faults) {
		calls.Go(func() {
			_, err := change(t.Context(), local)
			faults <- err
		})
	}
	calls.Wait()
	close(faults)
	for err := range faults {
		require.NoError(t, err)
	}
	require.Len(t, starts(t, dir), 1)
}

func TestAManagerHasNothingOfTheProgramThatStartedIt(t *testing.T) {
	dir := dataDir(t)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	secret, err := os.Create(filepath.Join(t.TempDir(), "open-in-the-shell"))
	require.NoError(t, err)
	defer secret.Close()

	starter := program(t, "change", string(dir))
	starter.ExtraFiles = []*os.File{write, secret}
	starter.Env = append(os.Environ(), "AWS_SECRET_ACCESS_KEY=hush", "TF_VAR_token=hush", "POOLKEEPER_TOKEN=hush", "LC_TIME=C", "XDG_DATA_HOME=/data")
	output, err := starter.CombinedOutput()
	require.NoError(t, err, string(output))
	require.NoError(t, write.Close())
	pid, err := strconv.Atoi(strings.TrimSpace(string(output)))
	require.NoError(t, err)

	// The pipe is at its end only if the manager, which still lives, does not hold it.
	require.NoError(t, read.SetReadDeadline(time.Now().Add(time.Minute)))
	rest, err := io.ReadAll(read)
	require.NoError(t, err)
	require.Empty(t, rest)
	got := reportOf(t, at(t, dir, "0.1.0"))
	require.NotContains(t, strings.Join(got.Environment, "\n"), "hush")
	require.Subset(t, got.Environment, []string{"LC_TIME=C", "XDG_DATA_HOME=/data", "PATH=" + os.Getenv("PATH")})
	require.Equal(t, pid, got.Session, "the manager leads a session of its own")
	require.Equal(t, "/", got.Directory)
	require.NotContains(t, got.Descriptors, secret.Name())
	for path, mode := range map[string]os.FileMode{string(dir): 0o700, dir.Log(): 0o600, dir.starting(): 0o600, dir.programs(): 0o700, got.Program: 0o700} {
		found, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, found.Mode().Perm(), path)
	}
}

func TestTheManagerOutlivesTheFileThatStartedIt(t *testing.T) {
	dir := dataDir(t)
	provider := filepath.Join(t.TempDir(), "terraform-provider-poolkeeper")
	self, err := os.ReadFile(programPath(t))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(provider, self, 0o700))
	local, err := New(Options{DataDir: string(dir), Executable: provider, Version: "0.1.0"})
	require.NoError(t, err)
	pid := mustChange(t, local)
	require.NoError(t, os.Remove(provider))
	require.Equal(t, pid, mustChange(t, local))
	require.Equal(t, dir.programs(), filepath.Dir(reportOf(t, local).Program))
}

func programPath(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return self
}

func TestAManagerThatIsGoneIsStartedAnew(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *Local){
		"killed": func(t *testing.T, l *Local) { killManager(t, l.dir) },
		"ending, and still refusing": func(t *testing.T, l *Local) {
			direct, err := l.direct()
			require.NoError(t, err)
			require.NoError(t, direct.Stop(t.Context()))
		},
		"ended": func(t *testing.T, l *Local) {
			direct, err := l.direct()
			require.NoError(t, err)
			require.NoError(t, direct.Stop(t.Context()))
			awaitEnd(t, l.dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			local := at(t, dataDir(t), "0.1.0")
			first := mustChange(t, local)
			end(t, local)
			c, err := local.Client()
			require.NoError(t, err)
			m, err := c.Manager(t.Context())
			require.NoError(t, err)
			require.NotEqual(t, first, m.PID)
			require.Equal(t, m.PID, mustChange(t, local))
			require.Len(t, starts(t, local.dir), 2)
		})
	}
}

func TestTheRefusalOfAnEndingManagerIsNotPassedOn(t *testing.T) {
	local := at(t, dataDir(t), "0.1.0")
	first := mustChange(t, local)
	direct, err := local.direct()
	require.NoError(t, err)
	require.NoError(t, direct.Stop(t.Context()))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://poolkeeper/v1/pools/web:restart", strings.NewReader("{}"))
	require.NoError(t, err)
	resp, err := local.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusAccepted, resp.StatusCode)
	pid, running, err := local.dir.Running()
	require.NoError(t, err)
	require.True(t, running)
	require.NotEqual(t, first, pid)
}

func TestAManagerThatFailsAtItsStartSaysWhy(t *testing.T) {
	dir := dataDir(t)
	act(t, dir, script{Fail: "the disk is full"})
	require.NoError(t, os.WriteFile(dir.Log(), []byte("words of an earlier one\n"), 0o600))
	_, err := change(t.Context(), at(t, dir, "0.1.0"))
	require.ErrorIs(t, err, client.ErrUnreachable)
	require.ErrorContains(t, err, `restart pool "web": the manager ended at its start: exit status 1; the end of `+dir.Log()+":\nthe disk is full")
	require.NotContains(t, err.Error(), "earlier")
	require.Len(t, starts(t, dir), 1, "what fails for good is not tried again and again")
}

func TestAManagerThatNobodyReachesIsNamedWithTheWayOut(t *testing.T) {
	for name, row := range map[string]struct {
		holder string // what the lock tells
		hide   func(t *testing.T, dir DataDir)
		says   []string
	}{
		"its socket was removed": {"4711\n", func(*testing.T, DataDir) {}, []string{"manager.sock is not there", "End pid 4711 (kill 4711, "}},
		"it does not answer": {"4711\n", func(t *testing.T, dir DataDir) {
			listener, err := net.Listen("unix", dir.Socket())
			require.NoError(t, err)
			t.Cleanup(func() { _ = listener.Close() })
		}, []string{"does not answer on", "End pid 4711 (kill 4711, "}},
		"it does not say who it is": {"", func(*testing.T, DataDir) {}, []string{"End the process that holds", "manager.lock"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := dataDir(t)
			require.NoError(t, os.MkdirAll(string(dir), 0o700))
			lock := flock.New(dir.Lock())
			taken, err := lock.TryLock()
			require.NoError(t, err)
			require.True(t, taken)
			require.NoError(t, os.WriteFile(dir.Lock(), []byte(row.holder), 0o600))
			defer func() { require.NoError(t, lock.Unlock()) }()
			row.hide(t, dir)
			local := at(t, dir, "0.1.0")
			local.patience = 200 * time.Millisecond
			_, err = change(t.Context(), local)
			require.ErrorIs(t, err, ErrUnanswering)
			require.ErrorIs(t, err, client.ErrUnreachable)
			for _, says := range append(row.says, string(dir), "its workers live on, and the next call starts a manager anew") {
				require.ErrorContains(t, err, says)
			}
			require.Empty(t, starts(t, dir), "there must never be two")
		})
	}
}

func TestAManagerWhoseSocketWasRemovedIsStartedAnewOnceItWasEnded(t *testing.T) {
	dir := dataDir(t)
	first := mustChange(t, at(t, dir, "0.1.0"))
	require.NoError(t, os.Remove(dir.Socket()))
	local := at(t, dir, "0.1.0")
	local.patience = 200 * time.Millisecond
	_, err := change(t.Context(), local)
	require.ErrorContains(t, err, fmt.Sprintf("End pid %d", first))
	killManager(t, dir)
	require.NotEqual(t, first, mustChange(t, at(t, dir, "0.1.0")))
}

func TestACallerWhoGivesUpIsNotToldThatThereIsNoManager(t *testing.T) {
	dir := dataDir(t)
	require.NoError(t, os.MkdirAll(string(dir), 0o700))
	starting := flock.New(dir.starting())
	taken, err := starting.TryLock()
	require.NoError(t, err)
	require.True(t, taken)
	defer func() { require.NoError(t, starting.Unlock()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = change(ctx, at(t, dir, "0.1.0"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, client.ErrUnreachable)
}

func TestANewerProgramReplacesTheManagerAtItsFirstChange(t *testing.T) {
	for name, row := range map[string]struct {
		running   script
		ours      string
		isReplace bool
	}{
		"older":                    {script{Version: "0.1.0", Embedded: true}, "0.2.0", true},
		"a release after its test": {script{Version: "0.2.0-rc1", Embedded: true}, "0.2.0", true},
		"the same":                 {script{Version: "0.2.0", Embedded: true}, "0.2.0", false},
		"newer":                    {script{Version: "0.10.0", Embedded: true}, "0.9.0", false},
		"a build without version":  {script{Version: "dev", Embedded: true}, "0.9.0", false},
		"ours without version":     {script{Version: "0.1.0", Embedded: true}, "dev", false},
		"kept running by others":   {script{Version: "0.1.0"}, "0.2.0", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := dataDir(t)
			act(t, dir, row.running)
			first := mustChange(t, at(t, dir, row.running.Version))
			act(t, dir, script{Version: row.ours, Embedded: true})
			local := at(t, dir, row.ours)
			c, err := local.Client()
			require.NoError(t, err)
			m, err := c.Manager(t.Context())
			require.NoError(t, err)
			require.Equal(t, first, m.PID, "a read replaces nothing")

			second := mustChange(t, local)
			require.Equal(t, row.isReplace, first != second)
			require.Equal(t, second, mustChange(t, local))
		})
	}
}

func TestManyNewerProgramsReplaceTheManagerOnce(t *testing.T) {
	dir := dataDir(t)
	first := mustChange(t, at(t, dir, "0.1.0"))
	act(t, dir, script{Version: "0.2.0", Embedded: true})
	pids := make(chan int, 10)
	var programs sync.WaitGroup
	for range cap(pids) {
		local := at(t, dir, "0.2.0")
		programs.Go(func() {
			pid, err := change(t.Context(), local)
			if err != nil {
				t.Error(err)
			}
			pids <- pid
		})
	}
	programs.Wait()
	close(pids)
	for pid := range pids {
		require.NotEqual(t, first, pid)
	}
	require.Len(t, starts(t, dir), 2)
}

func TestAnOlderProgramStartsTheNewerManagerThatRanLast(t *testing.T) {
	dir := dataDir(t)
	newer := filepath.Join(t.TempDir(), "newer")
	self, err := os.ReadFile(programPath(t))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(newer, append(self, "newer"...), 0o700))
	local, err := New(Options{DataDir: string(dir), Executable: newer, Version: "0.2.0"})
	require.NoError(t, err)
	mustChange(t, local)
	ran := reportOf(t, local).Program
	killManager(t, dir)

	old := at(t, dir, "0.1.0")
	mustChange(t, old)
	require.Equal(t, ran, reportOf(t, old).Program)
	killManager(t, dir)

	same := at(t, dir, "0.2.0")
	mustChange(t, same)
	require.NotEqual(t, ran, reportOf(t, same).Program, "of the same version the caller's own is started")
	copies, err := filepath.Glob(filepath.Join(dir.programs(), programPrefix+"*"))
	require.NoError(t, err)
	require.Len(t, copies, 1, "copies that are not in use are removed")
}

func TestTheManagerIsNoChildLeftBehind(t *testing.T) {
	dir := dataDir(t)
	pid := mustChange(t, at(t, dir, "0.1.0"))
	killManager(t, dir)
	gone := time.NewTicker(lookEvery)
	defer gone.Stop()
	for deadline := time.After(time.Minute); syscall.Kill(pid, 0) == nil; {
		select {
		case <-gone.C:
		case <-deadline:
			t.Fatal("the ended manager stays a zombie")
		}
	}
}

func TestAServiceTakesThePlaceOfAnEmbeddedManager(t *testing.T) {
	for name, row := range map[string]struct {
		running script
		ends    bool
		fault   string
	}{
		"of its age":      {script{Version: "0.2.0", Embedded: true}, true, ""},
		"an older one":    {script{Version: "0.1.0", Embedded: true}, true, ""},
		"not a newer one": {script{Version: "0.3.0", Embedded: true}, false, "newer than this program of version 0.2.0"},
		"nor another's":   {script{Version: "0.1.0"}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := dataDir(t)
			act(t, dir, row.running)
			pid := mustChange(t, at(t, dir, row.running.Version))
			taken := false
			err := at(t, dir, "0.2.0").TakeOver(t.Context(), func(context.Context) error {
				taken = true
				held, err := flock.New(dir.starting()).TryLock()
				require.NoError(t, err)
				require.False(t, held, "nobody else can start one meanwhile")
				return nil
			})
			now, running, lookErr := dir.Running()
			require.NoError(t, lookErr)
			if row.ends {
				require.False(t, running, "pid %d", now)
			} else {
				require.Equal(t, pid, now)
			}
			if row.fault != "" {
				require.ErrorContains(t, err, row.fault)
				require.False(t, taken)
				return
			}
			require.NoError(t, err)
			require.True(t, taken)
		})
	}
}
