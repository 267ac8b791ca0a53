//go:build unix

package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestPoolsComeBackFromABackupAfterTheLossOfTheStore(t *testing.T) {
	p := newProgram(t)
	file := filepath.Join(filepath.Dir(p.data), "pools.backup")
	web := strings.Replace(sleepers("web", 2), "worker:\n", "worker:\n  secret_env: {TOKEN: swordfish}\n  secret_env_version: 1\n", 1)
	p.must(t, web, "pool", "apply", "-f", "-")
	p.must(t, sleepers("ci", 1), "pool", "apply", "-f", "-")
	var before pool.View
	require.NoError(t, json.Unmarshal([]byte(p.must(t, "", "pool", "get", "web", "-o", "json")), &before))
	p.must(t, "", "backup", file, "--events")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(text), "swordfish")
	stat, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), stat.Mode().Perm())
	require.Equal(t, string(text[:40]), p.must(t, "", "backup", "-", "--events")[:40])

	running := p.manager(t)
	left := append(p.pids(t, "web"), p.pids(t, "ci")...)
	p.must(t, "", "manager", "stop")
	until(t, "the end of the manager", func() bool { return !alive(running.PID) })
	for _, name := range []string{"manager.db", "manager.db-wal", "manager.db-shm"} {
		_ = os.Remove(filepath.Join(p.data, name)) // the last two go with a clean end
	}

	require.NoError(t, os.WriteFile(file+".cut", text[:len(text)-2], 0o600))
	cut := p.run(t.Context(), "", "restore", file+".cut")
	require.NotZero(t, cut.code)
	require.Contains(t, cut.err, "the backup is damaged: it ends early")
	none := p.run(t.Context(), "", "restore", file, "--pool", "nobody")
	require.Contains(t, none.err, "has no pool nobody")

	var wouldBe, restored []api.Restored
	require.NoError(t, json.Unmarshal([]byte(p.must(t, "", "restore", file, "--dry-run", "-o", "json")), &wouldBe))
	require.Len(t, wouldBe, 2)
	require.Contains(t, p.must(t, "", "pool", "list", "-o", "json"), `"pools": []`, "a dry run makes nothing")
	require.NoError(t, json.Unmarshal([]byte(p.must(t, "", "restore", file, "-o", "json", "--reason", "the disk died")), &restored))
	for _, r := range restored {
		require.Equal(t, []any{api.PlanCreate, pool.OperationSucceeded}, []any{r.Action, r.Operation.Phase}, r.Name)
	}
	var after pool.View
	require.NoError(t, json.Unmarshal([]byte(p.must(t, "", "pool", "get", "web", "-o", "json")), &after))
	require.Equal(t, []any{before.UID, before.Spec}, []any{after.UID, after.Spec})
	require.Contains(t, p.must(t, "", "pool", "events", "web"), "the disk died")

	// What ran before is nobody's now: it is told of, and lives on until a person ends it.
	crew := append(p.pids(t, "web"), p.pids(t, "ci")...)
	require.Len(t, p.manager(t).Foreign, len(left))
	for _, pid := range left {
		require.True(t, alive(pid))
		require.NotContains(t, crew, pid)
	}
	for _, pid := range left {
		process, err := os.FindProcess(pid)
		require.NoError(t, err)
		require.NoError(t, process.Kill())
	}
	require.Contains(t, p.must(t, "", "restore", file, "--pool", "ci"), "none", "again, it is as it was")
}
