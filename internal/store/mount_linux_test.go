package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// inMount runs test in a process with a small tmpfs of its own, which only root may make. Everybody else
// has TestALimitOfFileSizeChangesNothingAndMends and TestAReadOnlyDirectoryIsUnwritable without mounting.
func inMount(t *testing.T, size string, test func(t *testing.T, dir string)) {
	t.Helper()
	if dir := os.Getenv(inChild); dir != "" {
		require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size))
		test(t, dir)
		return
	}
	cmd := child(t, t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestAFullDiskChangesNothingAndMends(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root can mount a small disk; TestALimitOfFileSizeChangesNothingAndMends stands for it")
		return
	}
	inMount(t, "1m", func(t *testing.T, dir string) {
		spare := filepath.Join(dir, "spare")
		require.NoError(t, os.WriteFile(spare, make([]byte, 256<<10), 0o600))
		path := filepath.Join(dir, "store.db")
		s := openSQLite(t, path)
		exhaust(t, s, path, func() {
			require.NoError(t, os.Remove(spare))
			require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=8m"))
		})
	})
}

func TestADiskThatIsFullFromTheStartIsUnwritable(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root can mount a small disk")
		return
	}
	inMount(t, "1m", func(t *testing.T, dir string) {
		spare := filepath.Join(dir, "spare")
		require.Error(t, os.WriteFile(spare, make([]byte, 2<<20), 0o600))
		path := filepath.Join(dir, "store.db")
		_, err := store.OpenSQLite(t.Context(), path)
		require.ErrorIs(t, err, store.ErrUnwritable)
		require.NoError(t, os.Remove(spare))
		appendEvent(t, openSQLite(t, path), "hello")
	})
}

func TestAReadOnlyDirectoryIsUnwritable(t *testing.T) {
	test := func(t *testing.T, dir string, lock, unlock func() error) {
		for _, name := range []string{"new.db", "old.db"} {
			path := filepath.Join(dir, name)
			if name == "old.db" {
				closeStore(t, openSQLite(t, path))
			}
			require.NoError(t, lock())
			_, err := store.OpenSQLite(t.Context(), path)
			require.ErrorIs(t, err, store.ErrUnwritable)
			require.ErrorContains(t, err, path)
			require.NoError(t, unlock())
		}
	}
	if os.Getuid() != 0 {
		dir := t.TempDir()
		test(t, dir, func() error { return os.Chmod(dir, 0o500) }, func() error { return os.Chmod(dir, 0o700) })
		return
	}
	inMount(t, "1m", func(t *testing.T, dir string) {
		remount := func(flags uintptr) func() error {
			return func() error { return syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, "size=1m") }
		}
		test(t, dir, remount(syscall.MS_RDONLY), remount(0))
	})
}

func TestAFullDiskOfPostgresChangesNothingAndMends(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root can mount a small disk")
		return
	}
	inMount(t, "24m", func(t *testing.T, dir string) {
		require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
		require.NoError(t, os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o755))
		location := postgres.DatabaseIn(t, dir)
		s := open(t, location)
		write := func(n int) error {
			return s.Update(context.Background(), func(w store.Writer) error {
				// Unlike a repeated one, such a text is not made small by the server.
				text := make([]byte, 0, 64<<10)
				for i := 0; len(text) < cap(text)-20; i++ {
					text = fmt.Appendf(text, "%x", uint64(i*n+1)*0x9e3779b97f4a7c15)
				}
				return w.AppendEvents(pool.Event{PoolUID: "p", Message: string(text)})
			})
		}
		fits := 0
		var err error
		for err == nil && fits < 10_000 {
			if err = write(fits); err == nil {
				fits++
			}
		}
		require.ErrorIs(t, err, store.ErrUnwritable)
		require.ErrorContains(t, err, "53100")
		require.Positive(t, fits)
		require.Len(t, messages(t, s), fits)
		require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=64m"))
		for n := range 20 {
			require.NoError(t, write(fits+n))
		}
		require.Len(t, messages(t, s), fits+20)
	})
}
