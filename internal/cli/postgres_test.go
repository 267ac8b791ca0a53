//go:build unix

package cli_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store/pgtest"
)

func TestAManagerOnPostgresThatIsKilledLosesNothing(t *testing.T) {
	var postgres pgtest.Server
	t.Cleanup(func() { require.NoError(t, postgres.Stop()) })
	p := newProgram(t)
	p.environment = append(p.environment, "POOLKEEPER_STORE="+postgres.Database(t))
	first := p.foreground(t)
	identity := p.manager(t).ID
	p.must(t, sleepers("web", 2), "pool", "apply", "-f", "-")
	workers := p.pids(t, "web")
	require.Len(t, workers, 2)
	t.Cleanup(func() {
		for _, pid := range workers {
			if t.Failed() && alive(pid) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	var lease api.LeaseView
	require.NoError(t, json.Unmarshal([]byte(p.must(t, "", "lease", "acquire", "web", "--holder", "job 1", "-o", "json")), &lease))
	require.Equal(t, pool.LeaseHeld, lease.State)

	elsewhere := p.run(t.Context(), "", "manager", "run", "--data-dir", p.data+"2")
	require.Equal(t, 1, elsewhere.code)
	require.Contains(t, elsewhere.err, "the store is in use by another manager")
	require.Contains(t, elsewhere.err, fmt.Sprintf("pid %d on ", first.Process.Pid))

	require.NoError(t, first.Process.Kill())
	require.Error(t, first.Wait())
	p.foreground(t)
	require.Equal(t, identity, p.manager(t).ID)
	require.Equal(t, workers, p.pids(t, "web"), "the workers do not notice")
	p.must(t, "", "lease", "renew", lease.ID)
	p.must(t, "", "lease", "release", lease.ID)
	p.must(t, "", "pool", "resize", "web", "3")
	require.Subset(t, p.pids(t, "web"), workers)

	p.must(t, "", "pool", "delete", "web")
	for _, pid := range workers {
		until(t, "the end of a worker", func() bool { return !alive(pid) })
	}
	require.NoFileExists(t, filepath.Join(p.data, "manager.db"), "the records are elsewhere")
}

func TestTheURLOfAStoreIsJudgedBeforeAnythingIsMade(t *testing.T) {
	p := newProgram(t)
	for location, says := range map[string]string{
		"mysql://root:hush@host/db": `the store's URL is "mysql://root:xxxxx@host/db"`,
		"postgres://u:hush@host:x/": `the store's URL is "postgres://…"`,
		"sqlite://relative.db":      `the store's URL is "sqlite://relative.db"`,
	} {
		refused := p.run(t.Context(), "", "manager", "run", "--store", location)
		require.Equal(t, 1, refused.code)
		require.Contains(t, refused.err, says)
		require.Contains(t, refused.err, "valid: sqlite:///path/to/file, postgres://user@host/database")
		require.NotContains(t, refused.err, "hush")
		require.NoDirExists(t, p.data)
	}
}
