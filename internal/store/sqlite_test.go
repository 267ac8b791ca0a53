package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store/storetest"
)

func TestSQLiteDoesWhatAStoreMust(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Database {
		path := filepath.Join(t.TempDir(), "with space? #1%", "store.db")
		require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
		return func(ctx context.Context) (store.Store, error) { return store.OpenSQLite(ctx, path) }
	})
}

func TestTheFilesOfASQLiteStoreAreItsOwnersOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	require.NoError(t, os.WriteFile(path, nil, 0o644), "a file that was too open is closed to others")
	s := openSQLite(t, path)
	appendEvent(t, s, "hello")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 4, "the database, its log, its index and the lock")
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), e.Name())
	}
}

func TestACommitIsOnDiskBeforeItIsAcknowledged(t *testing.T) {
	s := openSQLite(t, filepath.Join(t.TempDir(), "store.db"))
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		got, err := store.Setting(t.Context(), s, pragma)
		require.NoError(t, err)
		require.Equal(t, want, got, pragma)
	}
}

func TestNoQueryReadsMoreThanItAnswers(t *testing.T) {
	s := openSQLite(t, filepath.Join(t.TempDir(), "store.db"))
	for _, query := range store.Reads {
		plan, err := store.QueryPlan(t.Context(), s, query)
		require.NoError(t, err)
		for _, step := range plan {
			if step == "SCAN selectors" || step == "SCAN oldest" {
				continue // which the query itself makes, a row for each answer
			}
			require.NotContains(t, step, "SCAN", query)
			require.NotContains(t, step, "TEMP B-TREE", query)
		}
	}
}

func TestASecondManagerIsToldThePidOfTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	openSQLite(t, path)
	_, err := store.OpenSQLite(t.Context(), path)
	require.ErrorIs(t, err, store.ErrInUse)
	require.ErrorContains(t, err, "pid "+strconv.Itoa(os.Getpid()))
	require.ErrorContains(t, err, path)
}

func TestALeftOverLockFileKeepsNobodyOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	require.NoError(t, os.WriteFile(path+".lock", []byte("4194304999\nfrom a longer line\n"), 0o600))
	openSQLite(t, path)
	pid, err := os.ReadFile(path + ".lock")
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(os.Getpid())+"\n", string(pid))
}

func TestTwoStoresAreTwoManagers(t *testing.T) {
	a := openSQLite(t, filepath.Join(t.TempDir(), "store.db")).Identity()
	b := openSQLite(t, filepath.Join(t.TempDir(), "store.db")).Identity()
	require.NotEqual(t, a.ManagerID, b.ManagerID)
	require.NotEqual(t, a.Incarnation, b.Incarnation)
}

func TestAStoreOfANewerPoolkeeperIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	closeStore(t, openSQLite(t, path))
	execSQL(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	_, err := store.OpenSQLite(t.Context(), path)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "9999")
	require.ErrorContains(t, err, "version 5 at most")

	execSQL(t, path, `DELETE FROM goose_db_version WHERE version_id = 9999`)
	openSQLite(t, path)
}

func TestAFieldYoungerThanAStoredSpecHasItsDefault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := openSQLite(t, path)
	old := pool.Pool{UID: "u1", Name: "web", Phase: pool.PhaseLive, Spec: pool.Default()}
	require.NoError(t, s.Update(t.Context(), func(w store.Writer) error {
		require.NoError(t, w.InsertPool(old))
		return w.InsertRevision(pool.Revision{PoolUID: "u1", Number: 1, Spec: pool.Default()})
	}))
	closeStore(t, s)
	execSQL(t, path, `UPDATE pools SET record = json_remove(record, '$.spec.drain', '$.spec.update.max_surge')`)
	execSQL(t, path, `UPDATE revisions SET record = json_remove(record, '$.spec.drain', '$.spec.update.max_surge')`)
	require.NoError(t, openSQLite(t, path).View(t.Context(), func(r store.Reader) error {
		p, err := r.Pool("u1")
		require.NoError(t, err)
		require.Equal(t, pool.Default(), p.Spec)
		revision, err := r.Revision("u1", 1)
		require.Equal(t, pool.Default(), revision.Spec)
		return err
	}))
}

func TestAFileThatIsNoSoundStoreIsRefusedAndLeftAsItIs(t *testing.T) {
	sound := func(t *testing.T, path string) []byte {
		s := openSQLite(t, path)
		for range 100 {
			appendEvent(t, s, string(bytes.Repeat([]byte("x"), 1000)))
		}
		closeStore(t, s)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return data
	}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, path string)
		says    string
	}{
		"text": {func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("not a database\n"), 1000), 0o600))
		}, "damaged or is no SQLite database"},
		"a damaged header": {func(t *testing.T, path string) {
			data := sound(t, path)
			copy(data[16:], bytes.Repeat([]byte{0xff}, 84))
			require.NoError(t, os.WriteFile(path, data, 0o600))
		}, "damaged or is no SQLite database"},
		"a damaged page": {func(t *testing.T, path string) {
			data := sound(t, path)
			at := len(data) / 2 / 4096 * 4096
			copy(data[at:], bytes.Repeat([]byte{0xa5}, 4096))
			require.NoError(t, os.WriteFile(path, data, 0o600))
		}, "damaged or is no SQLite database"},
		"a truncated file": {func(t *testing.T, path string) {
			data := sound(t, path)
			require.NoError(t, os.WriteFile(path, data[:len(data)/2], 0o600))
		}, "damaged or is no SQLite database"},
		"a database of another program": {func(t *testing.T, path string) {
			execSQL(t, path, `CREATE TABLE songs (title TEXT)`)
		}, "another program"},
		"a marked database of another program": {func(t *testing.T, path string) {
			execSQL(t, path, `PRAGMA application_id = 4711`)
		}, "another program"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			c.prepare(t, path)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			_, err = store.OpenSQLite(t.Context(), path)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, path)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(before, after), "the file was changed")
		})
	}
}

func TestAPlaceWhereNoStoreCanBeIsAnError(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{
		"a directory that is not there": filepath.Join(dir, "none", "store.db"),
		"a directory itself":            dir,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.OpenSQLite(t.Context(), path)
			require.ErrorIs(t, err, store.ErrUnwritable)
			require.ErrorContains(t, err, path)
		})
	}
}

func TestAStoreWorksInABubbleOfFakeTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	synctest.Test(t, func(t *testing.T) {
		s, err := store.OpenSQLite(t.Context(), path)
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		begun := time.Now()
		for range 3 {
			appendEvent(t, s, "tick")
			time.Sleep(time.Hour) //nolint:forbidigo // of the bubble's clock, which takes no time
		}
		synctest.Wait()
		require.Equal(t, 3*time.Hour, time.Since(begun))
		require.Equal(t, []string{"tick", "tick", "tick"}, messages(t, s))
	})
}

func openSQLite(t testing.TB, path string) store.Store {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func closeStore(t *testing.T, s store.Store) {
	t.Helper()
	require.NoError(t, s.Close())
}

func execSQL(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), query)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

func appendEvent(t testing.TB, s store.Store, message string) {
	t.Helper()
	require.NoError(t, s.Update(context.Background(), func(w store.Writer) error {
		return w.AppendEvents(pool.Event{PoolUID: "p", Message: message})
	}))
}

// messages are those of all events, which must be numbered without gaps.
func messages(t testing.TB, s store.Store) (messages []string) {
	t.Helper()
	require.NoError(t, s.View(context.Background(), func(r store.Reader) error {
		events, err := r.Events("p", 0, 0)
		for i, e := range events {
			require.EqualValues(t, i+1, e.Sequence)
			messages = append(messages, e.Message)
		}
		return err
	}))
	return messages
}

func TestAStoreWhoseFileIsNotInPlaceAcceptsNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, path string)
		says   string
	}{
		{"removed", func(t *testing.T, path string) {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				require.NoError(t, os.Rename(path+suffix, path+".away"+suffix))
			}
		}, "store.db was removed while the manager ran: put the file back, or restart the manager"},
		{"replaced", func(t *testing.T, path string) {
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.Rename(path, path+".away"))
			require.NoError(t, os.WriteFile(path, content, 0o600))
		}, "store.db was replaced while the manager ran"},
		{"without its log", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(path+"-wal", path+".away-wal"))
		}, "store.db-wal was removed while the manager ran"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			s := openSQLite(t, path)
			appendEvent(t, s, "before")
			c.change(t, path)
			for range 2 {
				err := s.Update(t.Context(), func(w store.Writer) error {
					return w.AppendEvents(pool.Event{PoolUID: "p", Message: "lost"})
				})
				require.ErrorIs(t, err, store.ErrUnwritable)
				require.ErrorContains(t, err, c.says)
			}
			for range 20 { // on connections that are open already, and on new ones
				err := s.View(t.Context(), func(r store.Reader) error {
					events, err := r.Events("p", 0, 0)
					require.Len(t, events, 1)
					return err
				})
				if err != nil {
					require.ErrorContains(t, err, c.says)
				}
			}

			for _, suffix := range []string{"", "-wal", "-shm"} {
				if _, err := os.Stat(path + ".away" + suffix); err == nil {
					require.NoError(t, os.Rename(path+".away"+suffix, path+suffix))
				}
			}
			appendEvent(t, s, "after")
			closeStore(t, s)
			require.Equal(t, []string{"before", "after"}, messages(t, openSQLite(t, path)))
		})
	}
}
