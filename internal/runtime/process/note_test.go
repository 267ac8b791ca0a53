//go:build linux

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

func TestAnUnrecordedWorkerThatHasEndedIsNotMistakenForWhatItStarted(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"in a session of its own", "setsid sh -c 'echo $$; echo done; exec sleep 1000' & exit 1"},
		{"in the worker's session", "sleep 1000 & echo $!; echo done; exit 1"},
		{"without the variables", "env -i /bin/sleep 1000 & echo $!; echo done; exit 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			manager, instances := startManager(t, dir, roleManager, nil, 1, "sh", "-c", c.script)
			crash(t, manager)

			r := openRuntime(t, dir)
			left := pids(t, r, "w0")[0]
			eventually(t, "the worker is gone", func() bool { return gone(instances[0].PID) })
			found, err := r.List(t.Context())
			require.NoError(t, err)
			require.Len(t, found, 1)
			require.Equal(t, instances[0], found[0].Instance, "the worker's, not the child's")
			require.ErrorIs(t, r.Adopt(t.Context(), testPool, "w0", found[0].Instance), runtime.ErrGone)
			n, err := r.Sweep(t.Context(), "w0", found[0].Instance)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.False(t, lives(left))
		})
	}
}

func TestWithoutALegibleNoteOfThisBootTheWorkerIsKnownByItsInput(t *testing.T) {
	for name, note := range map[string]string{
		"none":            "",
		"cut short":       "\n{\"worker\":\"w\",\"boot_id\":\"",
		"of another boot": `{"worker":"w","boot_id":"another","pid":1,"start_time":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			first := openRuntime(t, dir)
			instance := launch(t, first, launchOf("w", "sh", "-c", "setsid sleep 1000 & echo done; exec env sleep 1000"))
			output(t, first, "w")
			require.NoError(t, first.Close())
			require.NoError(t, os.WriteFile(first.notes.path, []byte(note), 0o600))
			found, err := openRuntime(t, dir).List(t.Context())
			require.NoError(t, err)
			require.Len(t, found, 1)
			require.Equal(t, instance, found[0].Instance)
		})
	}
}

// A manager that is killed between fork and note leaves neither a record nor a note.
func TestWhatAnUnknownWorkerLeftIsNotMistakenForItAndIsEnded(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"in a session of its own", "setsid sh -c 'echo $$; echo done; exec sleep 1000' & exit 1"},
		{"in the worker's session", "sleep 1000 & echo $!; echo done; exit 1"},
		{"without the variables", "env -i /bin/sleep 1000 & echo $!; echo done; exit 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			first := openRuntime(t, dir)
			launch(t, first, launchOf("w", "sh", "-c", c.script))
			bystander := launch(t, first, launchOf("bystander", "sleep", "1000"))
			left := pids(t, first, "w")[0]
			next(t, first)
			require.NoError(t, first.Close())
			require.NoError(t, os.Remove(first.notes.path))

			r := openRuntime(t, dir)
			found, err := r.List(t.Context())
			require.NoError(t, err)
			i := slices.IndexFunc(found, func(f runtime.Found) bool { return f.WorkerID == "w" })
			require.Zero(t, found[i].Instance.PID)
			n, err := r.Sweep(t.Context(), "w", found[i].Instance)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.False(t, lives(left))
			require.True(t, lives(bystander.PID))
		})
	}
}

func TestTheNewestNotesAreKeptAndLegibleAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), notesName)
	open := func() *notes {
		n, err := openNotes(path)
		require.NoError(t, err)
		n.most = 1000
		return n
	}
	n := open()
	for i := range 100 {
		if i%10 == 5 { // a manager was killed while it wrote
			_, err := n.file.WriteString("\n{\"worker\":\"w")
			require.NoError(t, err)
			require.NoError(t, n.close())
			n = open()
		}
		require.NoError(t, n.add(fmt.Sprint("w", i), pool.Instance{BootID: "b", PID: i + 1, Ports: map[string]int{"http": 80}}))
		require.NoError(t, n.add("again", pool.Instance{BootID: "b", PID: i + 1}))
		noted, err := n.read("b")
		require.NoError(t, err)
		require.Equal(t, i+1, noted["again"].PID, "the newest counts")
		for back := range min(i+1, 5) {
			require.Equal(t, pool.Instance{BootID: "b", PID: i - back + 1, Ports: map[string]int{"http": 80}}, noted[fmt.Sprint("w", i-back)])
		}
	}
	require.NoError(t, n.close())
	for _, name := range []string{path, path + earlierSuffix} {
		stat, err := os.Stat(name)
		require.NoError(t, err)
		require.Less(t, stat.Size(), int64(1200))
	}
	noted, err := open().read("another")
	require.NoError(t, err)
	require.Empty(t, noted)
}
