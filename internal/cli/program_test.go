//go:build unix

package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// These tests run the real program: what it does with processes, signals, sockets and its environment.

// builds makes the program once for each version that is asked for, in a directory that lives as long as
// the tests.
type builds struct {
	dir string
	mu  sync.Mutex
}

var built builds

func TestMain(m *testing.M) {
	code := 1
	if dir, err := os.MkdirTemp("", "pkbin"); err == nil {
		built.dir = dir
		code = m.Run()
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func (b *builds) version(t *testing.T, version string) (path string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	path = filepath.Join(b.dir, "poolkeeper-"+version)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	output, err := exec.CommandContext(t.Context(), "go", "build", "-race", "-ldflags", "-X main.version="+version, "-o", path, "../..").CombinedOutput()
	require.NoError(t, err, string(output))
	return path
}

// program is the real program with a data directory of its own.
type program struct {
	path, data  string
	environment []string
}

func newProgram(t *testing.T) program {
	t.Helper()
	parent, err := os.MkdirTemp("", "pk")
	require.NoError(t, err)
	p := program{path: built.version(t, "0.1.0"), data: filepath.Join(parent, "data")}
	// The race detector makes every program linger for a second at its end, unless it is told not to.
	p.environment = []string{"GORACE=atexit_sleep_ms=0", "PATH=" + os.Getenv("PATH"), "HOME=" + parent, "POOLKEEPER_DATA_DIR=" + p.data}
	t.Cleanup(func() {
		p.clear(t)
		require.NoError(t, os.RemoveAll(parent))
	})
	return p
}

// clear destroys all pools and ends the manager.
func (p program) clear(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	list := p.run(ctx, "", "pool", "list", "-o", "json")
	if list.code != 0 {
		return // nothing was ever there
	}
	var pools api.PoolList
	require.NoError(t, json.Unmarshal([]byte(list.out), &pools))
	for _, v := range pools.Pools {
		gone := p.run(ctx, "", "pool", "delete", v.Name, "--force")
		require.Zero(t, gone.code, gone.err)
	}
	stopped := p.run(ctx, "", "manager", "stop")
	require.Zero(t, stopped.code, stopped.err)
}

type result struct {
	code     int
	out, err string
}

func (p program) command(ctx context.Context, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.path, arguments...)
	cmd.Env = p.environment
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func (p program) run(ctx context.Context, input string, arguments ...string) result {
	cmd := p.command(ctx, arguments...)
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result{-1, out.String(), err.Error()}
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// must runs a command that succeeds and returns what it prints.
func (p program) must(t *testing.T, input string, arguments ...string) string {
	t.Helper()
	r := p.run(t.Context(), input, arguments...)
	require.Zero(t, r.code, "%v: %s", arguments, r.err)
	return r.out
}

// pids lists the pids of a pool's living workers.
func (p program) pids(t *testing.T, name string) (pids []int) {
	t.Helper()
	var list api.WorkerList
	require.NoError(t, json.Unmarshal([]byte(p.must(t, "", "worker", "list", name, "-o", "json")), &list))
	for _, w := range list.Workers {
		if !w.State.Ended() {
			pids = append(pids, w.Instance.PID)
		}
	}
	slices.Sort(pids)
	return pids
}

func (p program) manager(t *testing.T) api.Manager {
	t.Helper()
	var standing struct{ Manager api.Manager }
	require.NoError(t, json.Unmarshal([]byte(p.must(t, "", "manager", "status", "-o", "json")), &standing))
	return standing.Manager
}

// until looks again and again until what is waited for is there.
func until(t *testing.T, what string, seen func() bool) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for deadline := time.After(time.Minute); !seen(); {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatal("never seen: " + what)
		}
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// sleepers is a pool of workers that end at once when they are told to.
func sleepers(name string, size int) string {
	return fmt.Sprintf("name: %s\nsize: %d\nworker:\n  command: [sleep, \"1000\"]\ndrain:\n  deregister_delay: 0s\n", name, size)
}

func TestThePoolsWholeLifeByCommands(t *testing.T) {
	p := newProgram(t)
	absent := p.run(t.Context(), "", "manager", "status")
	require.Equal(t, 3, absent.code)
	require.Contains(t, absent.err, "no manager runs")
	empty := p.run(t.Context(), "", "pool", "list")
	require.Equal(t, 3, empty.code)
	require.NoDirExists(t, p.data, "looking makes nothing")

	spec := "name: web\nsize: 2\nworker:\n  command: [sh, -c, \"env; exec sleep 1000\"]\ndrain:\n  deregister_delay: 0s\n"
	p.environment = append(p.environment, "TF_VAR_password=hush", "POOLKEEPER_TOKEN=hush")
	require.Contains(t, p.must(t, spec, "pool", "apply", "-f", "-", "--reason", "first"), "active")
	before := p.pids(t, "web")
	require.Len(t, before, 2)
	var workers api.WorkerList
	require.NoError(t, json.Unmarshal([]byte(p.must(t, "", "worker", "list", "web", "-o", "json")), &workers))
	log := p.must(t, "", "worker", "logs", "web", workers.Workers[0].ID)
	require.Contains(t, log, "POOLKEEPER_WORKER_ID="+workers.Workers[0].ID)
	require.NotContains(t, log, "hush")

	p.must(t, "", "pool", "resize", "web", "3")
	require.Subset(t, p.pids(t, "web"), before)
	p.must(t, "size: 1\n", "pool", "patch", "web", "-f", "-")
	require.Len(t, p.pids(t, "web"), 1)
	again := p.must(t, strings.Replace(spec, "size: 2", "size: 1", 1), "pool", "apply", "-f", "-")
	require.Contains(t, again, "active")
	old := p.pids(t, "web")
	p.must(t, "", "pool", "restart", "web")
	require.NotEqual(t, old, p.pids(t, "web"))
	require.Contains(t, p.must(t, "", "pool", "revisions", "web"), "first")
	require.Contains(t, p.must(t, "", "pool", "events", "web"), "pool.created")

	last := p.pids(t, "web")
	var tombstone pool.View
	require.NoError(t, json.Unmarshal([]byte(p.must(t, "", "pool", "delete", "web", "-o", "json")), &tombstone))
	require.Equal(t, pool.PhaseDestroyed, tombstone.Phase)
	require.Contains(t, p.must(t, "", "pool", "get", tombstone.UID), "destroyed")
	require.Equal(t, 3, p.run(t.Context(), "", "pool", "get", "web").code)
	for _, pid := range append(before, last...) {
		until(t, "the end of a worker", func() bool { return !alive(pid) })
	}
	running := p.manager(t)
	require.Contains(t, p.must(t, "", "manager", "stop"), "It had no pools.")
	until(t, "the end of the manager", func() bool { return !alive(running.PID) })
	require.Contains(t, p.must(t, "", "manager", "stop"), "No manager runs")
}

func TestWorkersOutliveTheirManagerHoweverItEnds(t *testing.T) {
	for name, end := range map[string]func(*testing.T, program, int){
		"stopped":    func(t *testing.T, p program, _ int) { p.must(t, "", "manager", "stop") },
		"terminated": func(t *testing.T, _ program, pid int) { require.NoError(t, syscall.Kill(pid, syscall.SIGTERM)) },
		"killed":     func(t *testing.T, _ program, pid int) { require.NoError(t, syscall.Kill(pid, syscall.SIGKILL)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newProgram(t)
			p.must(t, sleepers("web", 2), "pool", "apply", "-f", "-")
			workers, first := p.pids(t, "web"), p.manager(t)
			end(t, p, first.PID)
			until(t, "the end of the manager", func() bool { return p.run(t.Context(), "", "manager", "status").code == 3 })
			for _, pid := range workers {
				require.True(t, alive(pid))
			}
			require.Equal(t, workers, p.pids(t, "web"), "reading starts a manager that adopts them")
			second := p.manager(t)
			require.NotEqual(t, first.PID, second.PID)
			require.Equal(t, first.ID, second.ID)
		})
	}
}

func TestManyCommandsAtOnceStartOneManager(t *testing.T) {
	p := newProgram(t)
	results := make([]result, 10)
	var commands sync.WaitGroup
	for i := range results {
		commands.Go(func() {
			results[i] = p.run(t.Context(), sleepers(fmt.Sprintf("pool-%d", i), 1), "pool", "apply", "-f", "-", "--no-wait")
		})
	}
	commands.Wait()
	for _, r := range results {
		require.Zero(t, r.code, r.err)
	}
	require.Equal(t, len(results), p.manager(t).Pools)
	log, err := os.ReadFile(filepath.Join(p.data, "manager.log"))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(log), "the manager is ready"), string(log))
}

func TestANewerProgramReplacesTheManagerAndNoWorker(t *testing.T) {
	old := newProgram(t)
	old.must(t, sleepers("web", 2), "pool", "apply", "-f", "-")
	workers := old.pids(t, "web")
	newer := old
	newer.path = built.version(t, "0.2.0")
	require.Equal(t, workers, newer.pids(t, "web"))
	require.Equal(t, "0.1.0", newer.manager(t).Version, "reading replaces nothing")
	newer.must(t, "", "pool", "resize", "web", "3")
	require.Equal(t, "0.2.0", newer.manager(t).Version)
	require.Subset(t, newer.pids(t, "web"), workers)
	old.must(t, "", "pool", "resize", "web", "2")
	require.Equal(t, "0.2.0", old.manager(t).Version, "an older program never downgrades")
}

// foreground runs a manager until the test ends and returns once it answers.
func (p program) foreground(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	cmd := p.command(t.Context(), append([]string{"manager", "run"}, arguments...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	var log bytes.Buffer
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	until(t, "a manager", func() bool { return p.run(t.Context(), "", "manager", "status").code == 0 })
	return cmd
}

func TestOneDataDirectoryHasOneManager(t *testing.T) {
	p := newProgram(t)
	first := p.foreground(t)
	second := p.run(t.Context(), "", "manager", "run")
	require.Equal(t, 1, second.code)
	require.Contains(t, second.err, fmt.Sprintf("a manager with pid %d runs in data directory %q already", first.Process.Pid, p.data))
	require.Equal(t, first.Process.Pid, p.manager(t).PID)
	require.False(t, p.manager(t).Embedded)
	require.NoError(t, first.Process.Signal(syscall.SIGTERM))
	require.NoError(t, first.Wait(), "told to end is no failure")
}

func TestTCPNeedsAToken(t *testing.T) {
	p := newProgram(t)
	refused := p.run(t.Context(), "", "manager", "run", "--listen", "tcp://127.0.0.1:0")
	require.Equal(t, 1, refused.code)
	require.Contains(t, refused.err, "--listen tcp://127.0.0.1:0 needs a token")
	require.NoDirExists(t, p.data)

	port := freePort(t)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("s3cret\n"), 0o600))
	p.foreground(t, "--listen", "tcp://"+port, "--token-file", token)
	list := []string{"pool", "list", "--endpoint", "http://" + port}
	wrong := p.run(t.Context(), "", append(list, "--token", "wrong")...)
	require.Equal(t, 1, wrong.code)
	require.Contains(t, wrong.err, "token")
	p.must(t, "", append(list, "--token", "s3cret")...)
	p.must(t, "", "pool", "list") // the socket needs none
}

// freePort is an address that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestAPortInUseLeavesNothingHalfDone(t *testing.T) {
	p := newProgram(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	r := p.run(t.Context(), "", "manager", "run", "--token", "x", "--listen", "tcp://"+taken.Addr().String())
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "address already in use")
	require.NoFileExists(t, filepath.Join(p.data, "manager.db"))
	require.NoFileExists(t, filepath.Join(p.data, "manager.sock"))
}

func TestAManagerThatNobodyNeedsEndsByItself(t *testing.T) {
	p := newProgram(t)
	r := p.run(t.Context(), "", "manager", "run", "--embedded", "--idle-exit", "100ms")
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.err, "nobody needs it")
	require.NoFileExists(t, filepath.Join(p.data, "manager.sock"))
}

func TestABadDataDirectoryIsNamed(t *testing.T) {
	p := newProgram(t)
	for data, want := range map[string]string{
		"/proc/poolkeeper":                "/proc/poolkeeper",
		"/" + strings.Repeat("long/", 40): "choose a shorter data_dir",
	} {
		for _, line := range []string{"manager run", "pool apply -f -"} {
			r := p.run(t.Context(), sleepers("web", 1), append(strings.Fields(line), "--data-dir", data)...)
			require.Equal(t, 1, r.code)
			require.Contains(t, r.err, want)
		}
	}
}

func TestWithoutACommandTheProgramHelps(t *testing.T) {
	p := newProgram(t)
	require.Contains(t, p.must(t, ""), "Exit codes:")
	require.Equal(t, "poolkeeper 0.1.0", strings.Join(strings.Fields(p.must(t, "", "version"))[:2], " "))
	r := p.run(t.Context(), "", "bogus")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, `unknown command "bogus"`)
	require.Contains(t, p.must(t, "", "completion", "bash"), "bash completion")
}

// cookie is what Terraform starts its plugins with.
const cookie = "TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"

func TestAProviderEndsWhenItsTerraformWasKilled(t *testing.T) {
	p := newProgram(t)
	terraform := exec.CommandContext(t.Context(), "sh", "-c", `"$0" & wait`, p.path)
	terraform.Env = slices.Concat(p.environment, []string{cookie, "TMPDIR=" + t.TempDir()})
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	terraform.Stdout = write
	require.NoError(t, terraform.Start())
	require.NoError(t, write.Close())
	require.NoError(t, read.SetReadDeadline(time.Now().Add(2*time.Minute)))
	handshake := make([]byte, 4)
	_, err = io.ReadFull(read, handshake)
	require.NoError(t, err)
	require.Equal(t, "1|6|", string(handshake), "the provider serves protocol 6")
	require.NoError(t, terraform.Process.Kill())
	require.Error(t, terraform.Wait())
	_, err = io.ReadAll(read) // ends when the last process that can write to it has ended
	require.NoError(t, err)
}

func TestAProviderUnderDebugSaysHowToReachIt(t *testing.T) {
	p := newProgram(t)
	cmd := p.command(t.Context(), "-debug")
	cmd.Env = append(cmd.Env, "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var said strings.Builder
	buffer := make([]byte, 4096)
	for !strings.Contains(said.String(), "TF_REATTACH_PROVIDERS") {
		n, err := out.Read(buffer)
		require.NoError(t, err, said.String())
		said.Write(buffer[:n])
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	rest, err := io.ReadAll(out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	require.Contains(t, said.String()+string(rest), "registry.terraform.io/poolkeeper/poolkeeper")
}
