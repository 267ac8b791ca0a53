//go:build linux

package process

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func newTestLogs(t *testing.T) (*logs, string) {
	t.Helper()
	l := newLogs(t.TempDir(), hclog.NewNullLogger())
	dir := filepath.Join(l.dir, testPool)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	return l, filepath.Join(dir, "w.log")
}

func write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

func TestTheTailOfALogIsWholeLines(t *testing.T) {
	for _, c := range []struct {
		name    string
		current string
		rotated []string // newest first
		max     int64
		want    string
	}{
		{"all of it", "one\ntwo\n", nil, 100, "one\ntwo\n"},
		{"exactly all of it", "one\ntwo\n", nil, 8, "one\ntwo\n"},
		{"one byte less", "one\ntwo\n", nil, 7, "two\n"},
		{"from the beginning of a line", "one\ntwo\n", nil, 4, "two\n"},
		{"a last line without its end", "one\ntwo", nil, 5, "two"},
		{"a line that does not fit is cut", "a long line\n", nil, 6, " line\n"},
		{"rotated lines before", "three\n", []string{"two\n", "one\n"}, 100, "one\ntwo\nthree\n"},
		{"as many rotated lines as fit", "three\n", []string{"two\n", "one\n"}, 11, "two\nthree\n"},
		{"a line over two files", "ree\n", []string{"two\nth", "one\n"}, 6, "three\n"},
		{"right after a rotation", "", []string{"two\n"}, 100, "two\n"},
		{"nothing asked for", "one\n", nil, 0, ""},
		{"nothing written", "", nil, 100, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, path := newTestLogs(t)
			write(t, path, c.current)
			for i, content := range c.rotated {
				write(t, rotated(path, i+1), content)
			}
			got, err := l.tail(testPool, "w", c.max)
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
		})
	}
	t.Run("no log at all", func(t *testing.T) {
		l, _ := newTestLogs(t)
		got, err := l.tail("p9", "w9", 100)
		require.NoError(t, err)
		require.Empty(t, got)
	})
	t.Run("a path out of the logs", func(t *testing.T) {
		l, _ := newTestLogs(t)
		_, err := l.tail(testPool, "../../secret", 100)
		require.ErrorContains(t, err, "cannot be the name of a log")
	})
}

func TestALogPastItsBoundIsRotated(t *testing.T) {
	for _, c := range []struct {
		name   string
		bounds pool.Logs
		before []string // contents from the log to the oldest rotated one
		after  []string
	}{
		{"not yet", pool.Logs{MaxSize: 8, Keep: 1}, []string{"12345678"}, []string{"12345678"}},
		{"the first time", pool.Logs{MaxSize: 8, Keep: 2}, []string{"123456789"}, []string{"", "23456789"}},
		{"the second time", pool.Logs{MaxSize: 8, Keep: 2}, []string{"123456789", "old"}, []string{"", "23456789", "old"}},
		{"the oldest goes", pool.Logs{MaxSize: 8, Keep: 2}, []string{"123456789", "old", "older"}, []string{"", "23456789", "old"}},
		{"fewer are kept now", pool.Logs{MaxSize: 8, Keep: 1}, []string{"123456789", "a", "b", "c"}, []string{"", "23456789"}},
		{"none is kept", pool.Logs{MaxSize: 8, Keep: 0}, []string{"123456789", "a"}, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, path := newTestLogs(t)
			l.keep(testPool, c.bounds)
			for i, content := range c.before {
				write(t, rotated(path, i), content)
			}
			require.NoError(t, l.bound(testPool, "w"))
			var after []string
			for i := range c.after {
				after = append(after, read(t, rotated(path, i)))
			}
			require.Equal(t, c.after, after)
			entries, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			require.Len(t, entries, len(c.after), "nothing else is left")
		})
	}
}

func TestTheLogOfALivingWorkerIsRotatedUnderIt(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	r.KeepLogs(testPool, pool.Logs{MaxSize: 4096, Keep: 1})
	launch(t, r, launchOf("w", "sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; done"))
	path := filepath.Join(r.logs.dir, testPool, "w.log")
	eventually(t, "it is rotated", func() bool {
		_, err := os.Stat(path + ".1")
		return err == nil
	})
	eventually(t, "the worker writes on into the emptied file", func() bool {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return strings.HasPrefix(string(text), "line ") || strings.Contains(string(text), "\nline ")
	})
	require.NotContains(t, read(t, path), "\x00", "the file has a hole")
	text, err := r.Logs(context.Background(), testPool, "w", 2000)
	require.NoError(t, err)
	require.Regexp(t, `^(line \d+\n)+`, string(text))
	require.NotContains(t, read(t, path+".1"), "\x00")
}

func TestRemovedLogsAreGoneAndOthersStay(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	dir := filepath.Join(r.logs.dir, testPool)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for _, name := range []string{"w1.log", "w1.log.1", "w1.log.3", "w1.log.moving", "w2.log", "w2.log.1", "w11.log", "w3.log"} {
		write(t, filepath.Join(dir, name), name)
	}
	names := func() (names []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	require.NoError(t, r.RemoveLogs(t.Context(), testPool, "w1", "w2", "never-was"))
	require.Equal(t, []string{"w11.log", "w3.log"}, names())
	require.ErrorContains(t, r.RemoveLogs(t.Context(), testPool, ".."), "cannot be the name of a log")
	require.ErrorContains(t, r.RemoveLogs(t.Context(), ".."), "cannot be the name of a log")
	require.NoError(t, r.RemoveLogs(t.Context(), testPool))
	require.NoDirExists(t, dir)
	require.NoError(t, r.RemoveLogs(t.Context(), testPool), "again")
	launch(t, r, launchOf("w", "sh", "-c", "echo done"))
	output(t, r, "w")
}
