//go:build linux

package process

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

func TestTheOriginOfAProcessIsReadFromThePathOfItsOutput(t *testing.T) {
	for _, c := range []struct {
		path string
		want origin
	}{
		{"/data/logs/p1/w1.log", origin{"p1", "w1", true}},
		{"/data/logs/p1/w1.log (deleted)", origin{"p1", "w1", true}},
		{"/data2/logs/p1/w1.log", origin{"p1", "w1", false}},
		{"/data/logs/logs/p1/w1.log", origin{"p1", "w1", false}},
		{"/data2/logs/p1/w1.log (deleted)", origin{}},
		{"/data/logs/p1/w1.log.1", origin{}},
		{"/data/logs/w1.log", origin{}},
		{"/data/logs/p1/.log", origin{}},
		{"/data/logs2/p1/w1.log", origin{}},
		{"/dev/null", origin{}},
		{"pipe:[4711]", origin{}},
		{"", origin{}},
	} {
		t.Run(c.path, func(t *testing.T) {
			require.Equal(t, c.want, readOrigin(c.path, "/data/logs"))
		})
	}
}

func TestADataDirectoryOfTwoNamesIsOne(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	instance := launch(t, r, launchOf("w", "sleep", "1000"))
	require.Equal(t, origin{testPool, "w", true}, originOf(instance.PID, r.logs.dir))

	other := filepath.Join(t.TempDir(), logsName)
	require.Equal(t, origin{testPool, "w", false}, originOf(instance.PID, other))
	require.NoError(t, os.MkdirAll(filepath.Join(other, testPool), 0o700))
	require.NoError(t, os.Link(filepath.Join(r.logs.dir, testPool, "w.log"), filepath.Join(other, testPool, "w.log")))
	require.Equal(t, origin{testPool, "w", true}, originOf(instance.PID, other))
}

// openAs opens a Runtime of another directory or another manager than a test's own.
func openAs(t *testing.T, dir, managerID string) *Runtime {
	t.Helper()
	r, err := Open(Config{DataDir: dir, Identity: managerID + "/i1", ManagerID: managerID, Host: "here"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func TestWorkersOfALostStoreAreListedUnderTheIdentityTheyCarry(t *testing.T) {
	dir := t.TempDir()
	first := openRuntime(t, dir)
	ported := launchOf("w", "sleep", "1000")
	ported.Template.Ports = []pool.Port{{Name: "http"}}
	instance := launch(t, first, ported)
	launch(t, first, launchOf("silent", "sh", "-c", "exec sleep 1000 >/dev/null 2>&1"))

	afresh := openAs(t, dir, first.managerID+"-afresh")
	found, err := afresh.List(t.Context())
	require.NoError(t, err)
	require.Contains(t, found, runtime.Found{WorkerID: "w", PoolUID: testPool, PoolName: "fleet", Identity: first.identity, Instance: instance})
	eventually(t, "what has redirected its output cannot be told from any other manager's", func() bool {
		found, err := afresh.List(t.Context())
		require.NoError(t, err)
		return len(found) == 1
	})

	elsewhere := openAs(t, t.TempDir(), first.managerID+"-elsewhere")
	found, err = elsewhere.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestAManagerOnACopyOfTheDataDirectoryLeavesTheWorkersAlone(t *testing.T) {
	dir := t.TempDir()
	r := openRuntime(t, dir)
	instance := launch(t, r, launchOf("w", "sh", "-c",
		"sleep 1000 & echo $!; sleep 1000 >/dev/null 2>&1 & echo $!; env -i /bin/sleep 1000 >/dev/null 2>&1 & echo $!; echo done; wait"))
	family := append(pids(t, r, "w"), instance.PID)
	redirected := launch(t, r, launchOf("redirected", "sh", "-c", "exec sleep 1000 >/dev/null 2>&1"))
	eventually(t, "its output goes elsewhere", func() bool { return originOf(redirected.PID, r.logs.dir) == origin{} })

	elsewhere := t.TempDir()
	require.NoError(t, os.CopyFS(elsewhere, os.DirFS(dir)))
	onCopy := openAs(t, elsewhere, r.managerID)
	found, err := onCopy.List(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, redirected.PID, found[0].Instance.PID, "without a log the environment counts")

	require.ErrorIs(t, onCopy.Adopt(t.Context(), testPool, "w", instance), runtime.ErrGone)
	require.ErrorIs(t, onCopy.Signal(t.Context(), "w", instance, "KILL"), runtime.ErrGone)
	for _, i := range []pool.Instance{instance, {}} {
		require.NoError(t, onCopy.Kill(t.Context(), "w", i))
		n, err := onCopy.Sweep(t.Context(), "w", i)
		require.NoError(t, err)
		require.Zero(t, n)
	}
	for _, pid := range family {
		require.True(t, lives(pid))
	}

	own := launch(t, onCopy, launchOf("w", "sh", "-c", "env -i /bin/sleep 1000 & echo $!; echo done; wait"))
	require.NoError(t, onCopy.Kill(t.Context(), "w", own), "its own of the same id ends")
	require.False(t, lives(own.PID))
	for _, pid := range family {
		require.True(t, lives(pid))
	}
	require.NoError(t, r.Kill(t.Context(), "w", instance))
	for _, pid := range family {
		require.False(t, lives(pid))
	}
}

func TestAMovedDataDirectoryKeepsItsWorkers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "before")
	r := openRuntime(t, dir)
	instance := launch(t, r, launchOf("w", "sleep", "1000"))
	require.NoError(t, r.Close())
	moved := filepath.Join(t.TempDir(), "after")
	require.NoError(t, os.Rename(dir, moved))
	after := openAs(t, moved, r.managerID)
	found, err := after.List(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.NoError(t, after.Adopt(t.Context(), testPool, "w", instance))
	require.NoError(t, after.Kill(t.Context(), "w", instance))
	next(t, after)
}
