package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
)

// built is the real program, built when a test first needs it; TestMain removes it.
var built struct {
	once sync.Once
	dir  string
	err  error
}

const builtVersion = "0.1.0"

// program is the path of the real program.
func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "poolkeeper-test"); built.err != nil {
			return
		}
		build := exec.Command("go", "build", "-ldflags", "-X main.version="+builtVersion, "-o", filepath.Join(built.dir, programName),
			"github.com/poolkeeper/terraform-provider-poolkeeper")
		if output, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build the program: %w\n%s", err, output)
		}
	})
	require.NoError(t, built.err)
	return filepath.Join(built.dir, programName)
}

const programName = "terraform-provider-poolkeeper"

// newManager is the manager that an acceptance test works with: the real one, with real workers, in a data
// directory of the test's own. Nothing of it is left behind.
func newManager(t *testing.T) client.Manager {
	t.Helper()
	manager, _ := managerIn(t)
	return manager
}

func managerIn(t *testing.T) (client.Manager, embedded.DataDir) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pk") // short, because a socket is in it
	require.NoError(t, err)
	local, err := embedded.New(embedded.Options{DataDir: dir, Executable: program(t), Version: builtVersion})
	require.NoError(t, err)
	manager, err := local.Client()
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		require.NoError(t, clear(ctx, manager))
		_, running, err := local.DataDir().Running()
		require.NoError(t, err)
		if running {
			require.NoError(t, manager.Stop(ctx))
		}
		require.NoError(t, local.DataDir().AwaitEnd(ctx))
		require.NoError(t, os.RemoveAll(dir))
	})
	return manager, local.DataDir()
}

// clear destroys every pool, as a failed test may leave some.
func clear(ctx context.Context, manager client.Manager) error {
	pools, err := manager.Pools(ctx)
	if errors.Is(err, embedded.ErrNoStore) {
		return nil
	}
	for _, p := range pools {
		if p.Spec.DeletionProtection {
			if _, err := manager.Patch(ctx, p.Name, []byte(`{"deletion_protection": false}`), client.Change{}); err != nil {
				return err
			}
		}
		accepted, err := manager.Delete(ctx, p.UID, true, client.Change{})
		if err != nil {
			return err
		}
		if _, err := manager.Wait(ctx, accepted.Operation.ID, nil); err != nil {
			return err
		}
	}
	return err
}
