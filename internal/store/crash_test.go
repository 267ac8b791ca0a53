//go:build unix

package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// inChild is set in the process that a test starts to run itself in, to where the store is.
const inChild = "POOLKEEPER_STORE_TEST_CHILD"

// child is the running test in a process of its own.
func child(t *testing.T, location string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inChild+"="+location)
	return cmd
}

func TestEveryAcknowledgedUpdateSurvivesKill9(t *testing.T) {
	const acknowledged = "\nacknowledged "
	if location := os.Getenv(inChild); location != "" {
		updateForEver(open(t, location), acknowledged)
	}
	for engine, location := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return store.SQLiteURL(filepath.Join(t.TempDir(), "store.db")) },
		"PostgreSQL": func(t *testing.T) string { return postgres.Database(t) },
	} {
		t.Run(engine, func(t *testing.T) { survivesKill9(t, location(t), acknowledged) })
	}
}

// survivesKill9 kills one process after the other that updates a store, and opens the store at once.
func survivesKill9(t *testing.T, location, acknowledged string) {
	t.Helper()
	promised := map[string]bool{}
	for round := range 4 {
		cmd := child(t, location)
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

		s := open(t, location)
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

func TestManyWhoMakeTheSameStoreAtOnceMakeOne(t *testing.T) {
	const opened = "\nopened as "
	if location := os.Getenv(inChild); location != "" {
		s, err := store.Open(t.Context(), location)
		for ; errors.Is(err, store.ErrInUse); s, err = store.Open(t.Context(), location) {
			fmt.Println("\nin use")
		}
		require.NoError(t, err)
		appendEvent(t, s, "hello")
		fmt.Print(opened + s.Identity().String() + "\n")
		require.NoError(t, s.Close())
		return
	}
	const processes = 6
	location := postgres.Database(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	identities := map[string]int{}
	for range processes {
		wg.Go(func() {
			out, err := child(t, location).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
				return
			}
			_, identity, _ := strings.Cut(string(out), opened)
			identity, _, _ = strings.Cut(identity, "\n")
			mu.Lock()
			defer mu.Unlock()
			identities[identity]++
		})
	}
	wg.Wait()
	require.Len(t, identities, 1, "all of them are the same manager")
	s := open(t, location)
	require.Equal(t, map[string]int{s.Identity().String(): processes}, identities)
	require.Len(t, messages(t, s), processes)
}
