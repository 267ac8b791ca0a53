//go:build linux

package process

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// checking is a command of a check.
func checking(words ...string) pool.Command {
	return pool.Command{Path: "health.exec.command", Words: words}
}

// beside runs a shell script beside a worker.
func beside(t *testing.T, r *Runtime, l runtime.Launch, instance pool.Instance, within time.Duration, script string) (runtime.Executed, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	return r.Exec(ctx, l, instance, checking("sh", "-c", script))
}

// errands are the living processes that carry an errand's id.
func errands(t *testing.T, managerID string) (pids []int) {
	t.Helper()
	for _, p := range carriers(t, managerID) {
		if p.marks.errand != "" && !p.zombie {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

func TestACommandBesideAWorkerHasItsSurroundingsAndNothingOfTheManagers(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
	t.Setenv("PATH", "/usr/bin:/bin")
	t.Setenv("HOME", "/home/somebody")
	r := openRuntime(t, t.TempDir())
	dir := t.TempDir()
	l := launchOf("w", "sleep", "1000")
	l.Template.WorkingDir, l.Template.Ports = dir, []pool.Port{{Name: "http"}, {Name: "admin"}}
	l.Template.Env = map[string]string{"MODE": "fast", "URL": "http://127.0.0.1:${PORT}"}
	instance := launch(t, r, l)
	port, admin := strconv.Itoa(instance.Ports["http"]), strconv.Itoa(instance.Ports["admin"])

	ran, err := beside(t, r, l, instance, patience, `cat /proc/self/environ > environ; cat > stdin; pwd; ps -o sid= -o pgid= -p $$ > session; echo $$; echo ${PORT} ${POOLKEEPER_PORT_ADMIN} ${POOLKEEPER_WORKER_ID} >&2`)
	require.NoError(t, err)
	require.Equal(t, pool.Exit{}, ran.Exit)
	words := strings.Fields(string(ran.Output))
	require.Equal(t, []string{dir, words[1], port, admin, "w"}, words)

	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return string(text)
	}
	require.Equal(t, []string{words[1], words[1]}, strings.Fields(read("session")), "it leads a session and a group of its own")
	require.Empty(t, read("stdin"))
	ran, err = r.Exec(t.Context(), l, instance, checking("ls", "-l", "/proc/self/fd"))
	require.NoError(t, err)
	var links []string
	for line := range strings.Lines(string(ran.Output)) {
		if _, link, ok := strings.Cut(strings.TrimSpace(line), " -> "); ok {
			links = append(links, strings.TrimRight(link, "0123456789[]"))
		}
	}
	require.Equal(t, []string{"/dev/null", "pipe:", "pipe:"}, links[:3])
	require.Len(t, links, 4, "it holds nothing else but what it lists")
	var environ []string
	for variable := range strings.SplitSeq(strings.TrimSuffix(read("environ"), "\x00"), "\x00") {
		if !strings.HasPrefix(variable, "PWD=") && !strings.HasPrefix(variable, "POOLKEEPER_ERRAND="+r.run+"-") { // the first is the shell's
			environ = append(environ, variable)
		}
	}
	require.ElementsMatch(t, []string{
		"PATH=/usr/bin:/bin", "HOME=/home/somebody", "MODE=fast", "URL=http://127.0.0.1:" + port,
		"PORT=" + port, "POOLKEEPER_PORT_HTTP=" + port, "POOLKEEPER_PORT_ADMIN=" + admin,
		"POOLKEEPER_POOL=fleet", "POOLKEEPER_POOL_UID=p1", "POOLKEEPER_WORKER_ID=w", "POOLKEEPER_MANAGER=" + r.identity,
	}, environ)
}

func TestHowACommandBesideAWorkerEndedIsTold(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	l := launchOf("w", "sleep", "1000")
	instance := launch(t, r, l)
	for behaviour, c := range map[string]struct {
		script string
		within time.Duration
		want   runtime.Executed
	}{
		"it passes":         {"echo fine", patience, runtime.Executed{Output: []byte("fine\n")}},
		"it fails":          {"echo sick >&2; exit 7", patience, runtime.Executed{Exit: pool.Exit{Code: 7}, Output: []byte("sick\n")}},
		"it kills itself":   {"kill -QUIT $$", patience, runtime.Executed{Exit: pool.Exit{Signal: "QUIT"}}},
		"it hangs":          {"echo waiting; sleep 1000", 200 * time.Millisecond, runtime.Executed{CutShort: true, Exit: pool.Exit{Signal: "KILL"}, Output: []byte("waiting\n")}},
		"it ignores TERM":   {"trap '' TERM INT HUP; while :; do sleep 0.1; done", 200 * time.Millisecond, runtime.Executed{CutShort: true, Exit: pool.Exit{Signal: "KILL"}}},
		"it prints 100 MiB": {"head -c 104857600 /dev/zero; echo end", patience, runtime.Executed{Output: append(make([]byte, runtime.MaxOutput-4), "end\n"...)}},
		"it prints forever": {"yes", 300 * time.Millisecond, runtime.Executed{CutShort: true, Exit: pool.Exit{Signal: "KILL"}, Output: []byte(strings.Repeat("y\n", runtime.MaxOutput/2))}},
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			got, err := beside(t, r, l, instance, c.within, c.script)
			require.NoError(t, err)
			if behaviour == "it prints forever" { // where it is cut is chance
				require.Len(t, got.Output, runtime.MaxOutput)
				got.Output = c.want.Output
			}
			require.Equal(t, string(c.want.Output), string(got.Output))
			got.Output, c.want.Output = nil, nil
			require.Equal(t, c.want, got)
			if got.CutShort {
				require.Less(t, time.Since(began), c.within+5*time.Second)
			}
		})
	}
}

func TestACommandThatCannotRunSaysWhy(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	l := launchOf("w", "sleep", "1000")
	instance := launch(t, r, l)
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("no program"), 0o700))
	for name, c := range map[string]struct {
		command []string
		says    string
	}{
		"no such file":    {[]string{"/no/such/check"}, "health.exec.command[0]: does not exist"},
		"no such program": {[]string{"no-such-check"}, "health.exec.command[0]: is not in the worker's PATH"},
		"a text":          {[]string{text}, "not in a format that the operating system can execute"},
		"nothing":         {nil, "health.exec.command: is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Exec(t.Context(), l, instance, checking(c.command...))
			var spec *runtime.SpecError
			require.ErrorAs(t, err, &spec)
			require.ErrorContains(t, err, c.says)
		})
	}

	require.NoError(t, r.Kill(t.Context(), "w", instance))
	next(t, r)
	_, err := r.Exec(t.Context(), l, instance, checking("true"))
	require.ErrorIs(t, err, runtime.ErrGone)
}

func TestWhatACommandHasStartedEndsWithIt(t *testing.T) {
	const (
		bare   = "env -i /bin/sleep 1000 >/dev/null 2>&1 & echo $! > bare; "
		family = "sleep 1000 & (trap '' TERM HUP; exec sleep 1000) & setsid sleep 1000 & (setsid sleep 1000 &) ; (setsid env -u POOLKEEPER_POOL sleep 1000 &); sleep 0.1; "
	)
	for behaviour, c := range map[string]struct {
		within time.Duration
		script string
	}{
		"it is cut short":             {300 * time.Millisecond, bare + family + "sleep 1000"},
		"it ends before":              {patience, bare + family + "exit 0"},
		"it is killed":                {patience, bare + family + "kill -KILL $$"},
		"nobody holds on to its pipe": {patience, bare + "exit 0"},
		"one has left without a word": {300 * time.Millisecond, bare + "setsid sleep 1000 >/dev/null 2>&1 & sleep 1000"},
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			r := openRuntime(t, t.TempDir())
			l := launchOf("w", "sleep", "1000")
			l.Template.WorkingDir = t.TempDir()
			instance := launch(t, r, l)
			_, err := beside(t, r, l, instance, c.within, c.script)
			require.NoError(t, err)
			eventually(t, "nothing of the command is left", func() bool { return len(errands(t, r.managerID)) == 0 })
			text, err := os.ReadFile(filepath.Join(l.Template.WorkingDir, "bare"))
			require.NoError(t, err)
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			require.NoError(t, err)
			removeAtEnd(t, pid)
			eventually(t, "what has dropped its variables has ended", func() bool { return !lives(pid) })
			require.True(t, lives(instance.PID))
		})
	}
}

func TestACommandBesideAWorkerIsNeverTakenForIt(t *testing.T) {
	dir := t.TempDir()
	cmd, instances := startManager(t, dir, roleErrand, nil, 1, "sh", "-c", "setsid sleep 1000 & exec sleep 1000")
	id := testConfig(dir).ManagerID
	eventually(t, "the command runs", func() bool { return len(errands(t, id)) == 2 })
	for _, pid := range errands(t, id) {
		removeAtEnd(t, pid)
	}
	crash(t, cmd)
	require.NoError(t, unix.Kill(instances[0].PID, unix.SIGKILL))
	eventually(t, "the worker has ended", func() bool { return !lives(instances[0].PID) })
	require.Len(t, errands(t, id), 2, "the command outlives the manager and the worker")

	r := openRuntime(t, dir)
	found, err := r.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, found)
	require.ErrorIs(t, r.Adopt(t.Context(), testPool, "w0", instances[0]), runtime.ErrGone)
	eventually(t, "the next manager ends the command", func() bool { return len(errands(t, id)) == 0 })
}

func TestTheNextManagerEndsACommandAndSparesTheWorker(t *testing.T) {
	dir := t.TempDir()
	cmd, instances := startManager(t, dir, roleErrand, nil, 1, "sh", "-c", "trap '' TERM; sleep 1000; exit 3")
	id := testConfig(dir).ManagerID
	eventually(t, "the command runs", func() bool { return len(errands(t, id)) == 2 })
	crash(t, cmd)

	r := openRuntime(t, dir)
	found, err := r.List(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.True(t, same(instances[0], found[0].Instance), "%+v", found[0])
	require.NoError(t, r.Adopt(t.Context(), testPool, "w0", instances[0]))
	eventually(t, "it ends the command", func() bool { return len(errands(t, id)) == 0 })
	require.True(t, lives(instances[0].PID))
	ran, err := beside(t, r, launchOf("w0", "sleep", "1000"), instances[0], patience, "exit 4")
	require.NoError(t, err, "an adopted worker is checked as well")
	require.Equal(t, pool.Exit{Code: 4}, ran.Exit)
}

func TestACommandEndsWithItsWorkerAndWithTheManager(t *testing.T) {
	for behaviour, end := range map[string]func(*Runtime, pool.Instance) error{
		"the worker is killed":      func(r *Runtime, instance pool.Instance) error { return r.Kill(t.Context(), "w", instance) },
		"the manager ends in peace": func(r *Runtime, _ pool.Instance) error { return r.Close() },
	} {
		t.Run(behaviour, func(t *testing.T) {
			r := openRuntime(t, t.TempDir())
			l := launchOf("w", "sleep", "1000")
			instance := launch(t, r, l)
			var running sync.WaitGroup
			running.Go(func() { _, _ = r.Exec(context.Background(), l, instance, checking("sleep", "1000")) })
			eventually(t, "the command runs", func() bool { return len(errands(t, r.managerID)) == 1 })
			require.NoError(t, end(r, instance))
			running.Wait()
			require.Empty(t, errands(t, r.managerID))
		})
	}
}

func TestCommandsLeaveNoDescriptorAndNoZombie(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	l := launchOf("w", "sleep", "1000")
	instance := launch(t, r, l)
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	_, err := beside(t, r, l, instance, patience, "true")
	require.NoError(t, err)
	before, began := count(), clock()
	var running sync.WaitGroup
	for i := range 60 {
		script := []string{"true", "exit 1", "sleep 1000"}[i%3]
		running.Go(func() { _, _ = beside(t, r, l, instance, time.Second, script) })
	}
	running.Wait()
	eventually(t, "every descriptor is closed", func() bool { return count() <= before })
	eventually(t, "every command is reaped", func() bool {
		ids, err := processIDs()
		require.NoError(t, err)
		for _, id := range ids {
			if p, err := look(id); err == nil && p.parent == os.Getpid() && p.zombie && p.start >= began {
				return false
			}
		}
		return true
	})
}

// BenchmarkExec is the cost of one passing check, beside that of a bare start and wait: BenchmarkLaunchBare.
func BenchmarkExec(b *testing.B) {
	r := openRuntime(b, b.TempDir())
	l := launchOf("w", "sleep", "1000")
	instance := launch(b, r, l)
	for b.Loop() {
		ran, err := r.Exec(b.Context(), l, instance, checking("/bin/true"))
		require.NoError(b, err)
		require.True(b, ran.Exit.Clean())
	}
}

func TestAManagerOnACopyOfTheDataDirectorySparesTheCommandsOfTheOther(t *testing.T) {
	r := openRuntime(t, t.TempDir())
	l := launchOf("w", "sleep", "1000")
	instance := launch(t, r, l)
	var running sync.WaitGroup
	running.Go(func() { _, _ = r.Exec(context.Background(), l, instance, checking("sleep", "1000")) })
	defer running.Wait()
	defer func() { require.NoError(t, r.Kill(t.Context(), "w", instance)) }()
	eventually(t, "the command runs", func() bool { return len(errands(t, r.managerID)) == 1 })

	onCopy := openAs(t, t.TempDir(), r.managerID)
	found, err := onCopy.census.take(t.Context())
	require.NoError(t, err)
	require.Empty(t, onCopy.strayErrands(found))
}
