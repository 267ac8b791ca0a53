//go:build unix

package store_test

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

func TestASecondProcessIsToldThePidOfTheFirst(t *testing.T) {
	if path := os.Getenv(inChild); path != "" {
		_, err := store.OpenSQLite(t.Context(), path)
		require.ErrorIs(t, err, store.ErrInUse)
		require.ErrorContains(t, err, fmt.Sprintf("pid %d ", os.Getppid()))
		return
	}
	path := filepath.Join(t.TempDir(), "store.db")
	openSQLite(t, path)
	out, err := child(t, path).CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestAFullDatabaseChangesNothingAndMends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := openSQLite(t, path)
	require.NoError(t, store.LimitPages(t.Context(), s, 60))
	exhaust(t, s, path, func() { require.NoError(t, store.LimitPages(t.Context(), s, 1<<30)) })
}

func TestALimitOfFileSizeChangesNothingAndMends(t *testing.T) {
	path := os.Getenv(inChild)
	if path == "" {
		out, err := child(t, filepath.Join(t.TempDir(), "store.db")).CombinedOutput()
		require.NoError(t, err, string(out))
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	lifted := limit
	limit.Cur = 512 << 10
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	exhaust(t, openSQLite(t, path), path, func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &lifted)) })
}

// exhaust writes until nothing more fits, checks that what failed left no trace, and that the store works
// again once mend was called.
func exhaust(t *testing.T, s store.Store, path string, mend func()) {
	t.Helper()
	ballast := strings.Repeat("b", 4096)
	fits := 0
	var err error
	write := func(n int) error {
		return s.Update(t.Context(), func(w store.Writer) error {
			if err := w.AppendEvents(pool.Event{PoolUID: "p", Message: ballast}); err != nil {
				return err
			}
			return w.PutIdempotentReply(store.IdempotentReply{Author: "a", Key: fmt.Sprint(n)})
		})
	}
	for ; err == nil && fits < 10_000; fits++ {
		err = write(fits)
	}
	require.ErrorIs(t, err, store.ErrUnwritable)
	fits--
	require.Positive(t, fits)

	var wg sync.WaitGroup
	var mu sync.Mutex
	for n := range 16 {
		wg.Go(func() {
			err := write(100_000 + n)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				fits++ // a little room was left
			case !errors.Is(err, store.ErrUnwritable):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Len(t, messages(t, s), fits)
	require.NoError(t, s.View(t.Context(), func(r store.Reader) error {
		_, err := r.IdempotentReply("a", fmt.Sprint(fits+1))
		require.ErrorIs(t, err, store.ErrNotFound)
		return nil
	}))

	mend()
	for n := range 200 {
		require.NoError(t, write(200_000+n))
	}
	require.NoError(t, s.Close())
	require.Len(t, messages(t, openSQLite(t, path)), fits+200)
}
