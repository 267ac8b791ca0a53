package manager

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func content(text string) func(context.Context, io.Writer) error {
	return func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func TestTheNewestBackupsStay(t *testing.T) {
	s := schedule{dir: t.TempDir(), every: time.Hour, keep: 2}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "mine.txt"), nil, 0o600))
	began := time.Date(2026, 3, 4, 23, 0, 0, 0, time.UTC)
	for i := range 4 {
		_, err := s.once(t.Context(), began.Add(time.Duration(i)*time.Hour), content("all"))
		require.NoError(t, err)
	}
	written, err := s.written()
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(s.dir, "poolkeeper-20260305T010000Z.backup"), filepath.Join(s.dir, "poolkeeper-20260305T020000Z.backup")}, written)
	require.Equal(t, began.Add(3*time.Hour), s.newest())
	require.FileExists(t, filepath.Join(s.dir, "mine.txt"))
}

func TestABackupThatFailsLeavesTheOthers(t *testing.T) {
	s := schedule{dir: t.TempDir(), every: time.Hour, keep: 1}
	first, err := s.once(t.Context(), time.Unix(0, 0), content("all"))
	require.NoError(t, err)
	_, err = s.once(t.Context(), time.Unix(3600, 0), func(context.Context, io.Writer) error { return errors.New("the disk is full") })
	require.ErrorContains(t, err, "the disk is full")
	entries, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, filepath.Base(first), entries[0].Name())
}

func TestBackupsAreWrittenWhenTheyAreDue(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := schedule{dir: dir, every: time.Hour, keep: 100}
		began := time.Now()
		var told []time.Duration
		fails := map[int]bool{1: true}
		run := func(until time.Duration) {
			ctx, end := context.WithTimeout(t.Context(), until)
			defer end()
			s.run(ctx, func(_ context.Context, w io.Writer) error {
				if fails[len(told)] {
					return errors.New("the disk is full")
				}
				_, err := io.WriteString(w, "all")
				return err
			}, func(string, error) { told = append(told, time.Since(began)) })
		}
		run(2*time.Hour + time.Minute)
		require.Equal(t, []time.Duration{0, time.Hour, time.Hour + 6*time.Minute}, told, "at once, after an hour, and soon after a failure")
		run(time.Hour)
		require.Len(t, told, 4, "a new start waits for the rest of the time")
		require.Equal(t, 2*time.Hour+6*time.Minute, told[3])
	})
}

func TestABackupOfATimeToComeHoldsUpNoOther(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := schedule{dir: dir, every: time.Hour, keep: 100}
		_, err := s.once(t.Context(), time.Now().Add(1000*time.Hour), content("all"))
		require.NoError(t, err)
		ctx, end := context.WithTimeout(t.Context(), time.Hour+time.Minute)
		defer end()
		written := 0
		s.run(ctx, content("all"), func(_ string, err error) {
			require.NoError(t, err)
			written++
		})
		require.Equal(t, 1, written)
	})
}
