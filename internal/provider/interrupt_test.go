//go:build unix

package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// workspace is a directory in which the real Terraform runs with the real program as its provider.
type workspace struct {
	t       *testing.T
	dir     string
	manager client.Manager
}

func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	manager, data := managerIn(t)
	w := &workspace{t: t, dir: t.TempDir(), manager: manager}
	w.write("cli.rc", fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"registry.terraform.io/poolkeeper/poolkeeper\" = %q\n  }\n}\n", filepath.Dir(program(t))))
	w.write("provider.tf", fmt.Sprintf("terraform {\n  required_providers {\n    poolkeeper = { source = \"registry.terraform.io/poolkeeper/poolkeeper\" }\n  }\n}\n\nprovider \"poolkeeper\" {\n  data_dir = %q\n}\n", string(data)))
	return w
}

func (w *workspace) write(name, text string) {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600))
}

// run is one call of Terraform, in a process group of its own.
type run struct {
	*exec.Cmd
	output bytes.Buffer
}

func (w *workspace) start(arguments ...string) *run {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	w.t.Cleanup(cancel)
	r := &run{Cmd: exec.CommandContext(ctx, os.Getenv("TF_ACC_TERRAFORM_PATH"), arguments...)}
	r.Dir = w.dir
	r.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(w.dir, "cli.rc"), "TF_IN_AUTOMATION=1")
	r.Stdout, r.Stderr = &r.output, &r.output
	r.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(w.t, r.Start())
	return r
}

// end waits for the call's end and returns its exit code and output.
func (w *workspace) end(r *run) (int, string) {
	w.t.Helper()
	err := r.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(w.t, err)
	}
	return r.ProcessState.ExitCode(), r.output.String()
}

func (w *workspace) runs(arguments ...string) string {
	w.t.Helper()
	code, output := w.end(w.start(arguments...))
	require.Zero(w.t, code, output)
	return output
}

// interrupted sends Ctrl-C to everything that the call started, as a terminal does, once an operation of
// the kind runs, and returns what the call said.
func (w *workspace) interrupted(r *run, name string, kind pool.OperationKind) (int, string) {
	w.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		v, err := w.manager.Pool(w.t.Context(), name)
		if err == nil && v.Status.Operation.Kind == kind && v.Status.Operation.Phase == pool.OperationRunning {
			break
		}
		select {
		case <-w.t.Context().Done():
			w.t.Fatal("the operation never ran")
		case <-look.C:
		}
	}
	require.NoError(w.t, syscall.Kill(-r.Process.Pid, syscall.SIGINT))
	return w.end(r)
}

// state says what Terraform holds of the pool.
func (w *workspace) state() (id string, tainted bool) {
	w.t.Helper()
	var state struct {
		Values struct {
			RootModule struct {
				Resources []struct {
					Tainted bool
					Values  struct{ ID string }
				}
			} `json:"root_module"`
		}
	}
	require.NoError(w.t, json.Unmarshal([]byte(w.runs("show", "-json")), &state))
	require.Len(w.t, state.Values.RootModule.Resources, 1)
	r := state.Values.RootModule.Resources[0]
	return r.Values.ID, r.Tainted
}

// slow takes three seconds until a new worker counts as available.
func slow(color string) string {
	return resourceText("test", object{
		"name": "slow", "size": 2, "worker": object{"command": list{"sleep", "1000"}, "env": object{"COLOR": color}},
		"update": object{"min_ready": "3s", "max_surge": "100%"}, "drain": object{"deregister_delay": "0s", "grace": "1s"},
	})
}

func TestAccCtrlCToTheWholeProcessGroupTaintsNothingAndMakesNoSecondPool(t *testing.T) {
	w := newWorkspace(t)
	w.write("main.tf", slow("blue"))
	_, output := w.interrupted(w.start("apply", "-auto-approve", "-no-color"), "slow", pool.OperationCreate)
	require.Contains(t, output, `Pool "slow" is still being created`)
	uid, tainted := w.state()
	require.False(t, tainted)

	output = w.runs("apply", "-auto-approve", "-no-color")
	require.Contains(t, output, "0 added, 1 changed, 0 destroyed")
	w.only(uid, 1)

	w.write("main.tf", slow("green"))
	code, output := w.interrupted(w.start("apply", "-auto-approve", "-no-color"), "slow", pool.OperationUpdate)
	require.NotZero(t, code)
	require.Contains(t, output, `Pool "slow" is still being updated`)
	_, tainted = w.state()
	require.False(t, tainted)

	output = w.runs("apply", "-auto-approve", "-no-color")
	require.Contains(t, output, "0 added, 1 changed, 0 destroyed")
	w.only(uid, 2)
	require.Contains(t, w.runs("plan", "-no-color"), "No changes")
	w.runs("destroy", "-auto-approve", "-no-color")
}

// only requires that there is one pool, the one with the uid, converged on its revision.
func (w *workspace) only(uid string, revision int64) {
	w.t.Helper()
	pools, err := w.manager.Pools(w.t.Context())
	require.NoError(w.t, err)
	require.Len(w.t, pools, 1)
	require.Equal(w.t, uid, pools[0].UID)
	require.Equal(w.t, revision, pools[0].Revision)
	require.Equal(w.t, pool.StateActive, pools[0].Status.State)
	require.Equal(w.t, 2, pools[0].Status.Available)
}
