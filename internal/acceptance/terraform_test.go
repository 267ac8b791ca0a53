//go:build linux

package acceptance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// workspace is a directory that Terraform works in, with the provider of one version and a data directory.
type workspace struct {
	*keeper
	folder    string
	cliConfig string
	more      []string // variables of the environment
}

// workspace makes one whose provider is the built program, without an installation (dev_overrides).
func (k *keeper) workspace(version string) *workspace {
	k.t.Helper()
	return k.installed(fmt.Sprintf("dev_overrides {\n    %q = %q\n  }\n  direct {}", "registry.terraform.io/poolkeeper/poolkeeper",
		filepath.Dir(k.provider(version))))
}

// installed is a workspace whose provider comes from where the rules say.
func (k *keeper) installed(rules string) *workspace {
	k.t.Helper()
	folder, err := os.MkdirTemp(k.dir, "w")
	require.NoError(k.t, err)
	w := &workspace{keeper: k, folder: folder, cliConfig: folder + ".rc", more: []string{k.variable()}}
	require.NoError(k.t, os.WriteFile(w.cliConfig, []byte("provider_installation {\n  "+rules+"\n}\n"), 0o600))
	return w
}

// newWorld is a stage with one data directory and one workspace.
func newWorld(t *testing.T) *workspace {
	t.Helper()
	return newStage(t).keeper("d").workspace(older)
}

// started is a Terraform under way, in a process group of its own, as a shell would start it.
type started struct {
	w    *workspace
	cmd  *exec.Cmd
	args []string
	done chan struct{}
	err  error // valid once done is closed

	mu          sync.Mutex
	out, errOut bytes.Buffer
}

// begin starts Terraform.
func (w *workspace) begin(args ...string) *started {
	w.t.Helper()
	s := &started{w: w, args: args, done: make(chan struct{})}
	s.cmd = exec.Command(w.terraform, args...)
	s.cmd.Dir = w.folder
	s.cmd.Env = w.environment(append([]string{"TF_CLI_CONFIG_FILE=" + w.cliConfig}, w.more...)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.Stdout, s.cmd.Stderr = guarded{&s.mu, &s.out}, guarded{&s.mu, &s.errOut}
	require.NoError(w.t, s.cmd.Start())
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	w.t.Cleanup(func() {
		select {
		case <-s.done:
		default:
			_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
			<-s.done
		}
	})
	return s
}

// guarded is a buffer that is also read while it is written.
type guarded struct {
	mu  *sync.Mutex
	out *bytes.Buffer
}

func (g guarded) Write(data []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out.Write(data)
}

// said is what it has printed so far.
func (s *started) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String() + s.errOut.String()
}

// interrupt sends what Ctrl-C in its terminal would: SIGINT to the whole process group.
func (s *started) interrupt() {
	s.w.t.Helper()
	require.NoError(s.w.t, syscall.Kill(-s.cmd.Process.Pid, syscall.SIGINT))
}

// terminate tells Terraform alone to end, as what supervises it would.
func (s *started) terminate() {
	s.w.t.Helper()
	require.NoError(s.w.t, s.cmd.Process.Signal(syscall.SIGTERM))
}

// kill ends Terraform alone, so that its provider is an orphan.
func (s *started) kill() {
	s.w.t.Helper()
	require.NoError(s.w.t, s.cmd.Process.Kill())
}

// underway says that it has not ended.
func (s *started) underway() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// wait returns how it came out.
func (s *started) wait() outcome {
	s.w.t.Helper()
	await(s.w.t, fmt.Sprintf("the end of terraform %v", s.args), func() bool { return !s.underway() })
	var exit *exec.ExitError
	if s.err != nil && !errors.As(s.err, &exit) {
		require.NoError(s.w.t, s.err)
	}
	return outcome{s.w.t, append([]string{"terraform"}, s.args...), s.cmd.ProcessState.ExitCode(), s.out.String(), s.errOut.String()}
}

// tf runs Terraform to its end.
func (w *workspace) tf(args ...string) outcome {
	w.t.Helper()
	return w.begin(args...).wait()
}

func (w *workspace) beginApply(args ...string) *started {
	w.t.Helper()
	return w.begin(append([]string{"apply", "-auto-approve", "-input=false"}, args...)...)
}

func (w *workspace) beginDestroy() *started {
	w.t.Helper()
	return w.begin("destroy", "-auto-approve", "-input=false")
}

func (w *workspace) apply(args ...string) outcome {
	w.t.Helper()
	return w.beginApply(args...).wait()
}

func (w *workspace) destroy() outcome {
	w.t.Helper()
	return w.beginDestroy().wait()
}

// kept is what Terraform's state holds of the pool.
type kept struct {
	Status     string         `json:"status"` // "tainted", or empty
	Attributes map[string]any `json:"attributes"`
}

// state reads Terraform's state of the pool; there is none if ok is false.
func (w *workspace) state() (k kept, ok bool) {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.folder, "terraform.tfstate"))
	if errors.Is(err, os.ErrNotExist) || len(data) == 0 { // empty: a Terraform that was killed had locked it
		return k, false
	}
	require.NoError(w.t, err)
	var document struct {
		Resources []struct {
			Type      string `json:"type"`
			Instances []kept `json:"instances"`
		} `json:"resources"`
	}
	require.NoError(w.t, json.Unmarshal(data, &document))
	for _, r := range document.Resources {
		if r.Type == resourceType && len(r.Instances) > 0 { // a Terraform that is told to stop twice may write none
			require.Len(w.t, r.Instances, 1)
			return r.Instances[0], true
		}
	}
	return k, false
}

// shown is an attribute of the pool in Terraform's state.
func (w *workspace) shown(name string) any {
	w.t.Helper()
	k, ok := w.state()
	require.True(w.t, ok, "there is a pool in the state")
	require.Contains(w.t, k.Attributes, name)
	return k.Attributes[name]
}

// outcome is how a command came out.
type outcome struct {
	t              *testing.T
	command        []string
	code           int
	stdout, stderr string
}

func (o outcome) String() string {
	return fmt.Sprintf("%s: exit code %d\n%s%s", strings.Join(o.command, " "), o.code, o.stdout, o.stderr)
}

// text is everything that was printed, without the frames and line breaks of diagnostics.
func (o outcome) text() string {
	return strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(o.stdout+o.stderr)), " ")
}

func (o outcome) ended(code int) outcome {
	o.t.Helper()
	require.Equal(o.t, code, o.code, o.String())
	return o
}

func (o outcome) succeeded() outcome {
	o.t.Helper()
	return o.ended(0)
}

func (o outcome) failed() outcome {
	o.t.Helper()
	return o.ended(1)
}

// says requires all the given words in what was printed.
func (o outcome) says(words ...string) outcome {
	o.t.Helper()
	for _, w := range words {
		require.Contains(o.t, o.text(), strings.Join(strings.Fields(w), " "), o.String())
	}
	return o
}
