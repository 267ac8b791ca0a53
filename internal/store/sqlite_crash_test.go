//go:build unix

package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// inChild is set in the process that a test starts to run itself in, to the path of the store.
const inChild = "POOLKEEPER_STORE_TEST_CHILD"

// child is the running test in a process of its own.
func child(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inChild+"="+path)
	return cmd
}

func TestEveryAcknowledgedUpdateSurvivesKill9(t *testing.T) {
	const acknowledged = "\nacknowledged "
	if path := os.Getenv(inChild); path != "" {
		updateForEver(openSQLite(t, path), acknowledged)
	}
	path := filepath.Join(t.TempDir(), "store.db")
	promised := map[string]bool{}
	for round := range 4 {
		cmd := child(t, path)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		lines, seen := bufio.NewScanner(out), 0
		for lines.Scan() {
			if id, ok := strings.CutPrefix(lines.Text(), strings.TrimSpace(acknowledged)+" "); ok {
				promised[id] = true
				if seen++; seen == 100*(round+1) {
					require.NoError(t, cmd.Process.Kill())
				}
			}
		}
		require.Error(t, cmd.Wait())
		require.GreaterOrEqual(t, seen, 100*(round+1), "the child ended before it was killed")

		s := openSQLite(t, path)
		kept := map[string]int{}
		for _, m := range messages(t, s) {
			kept[m]++
		}
		require.NoError(t, s.View(t.Context(), func(r store.Reader) error {
			for id := range promised {
				require.Equal(t, 2, kept[id], "events of %s", id)
				_, err := r.IdempotentReply("child", id)
				require.NoError(t, err)
			}
			for id, n := range kept {
				require.Equal(t, 2, n, "%s was kept by half", id)
			}
			return nil
		}))
		closeStore(t, s)
	}
}

// updateForEver makes changes of several rows and says which are acknowledged, until the process is killed.
func updateForEver(s store.Store, acknowledged string) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%p-%d", os.Getpid(), &i, i)
				if err := s.Update(context.Background(), func(w store.Writer) error {
					e := pool.Event{PoolUID: "p", Message: id}
					if err := w.AppendEvents(e, e); err != nil {
						return err
					}
					return w.PutIdempotentReply(store.IdempotentReply{Author: "child", Key: id})
				}); err != nil {
					fmt.Println("\nupdate:", err)
					os.Exit(3)
				}
				fmt.Print(acknowledged + id + "\n")
			}
		})
	}
	wg.Wait()
}

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
