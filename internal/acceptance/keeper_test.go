//go:build linux

package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// keeper is a data directory and the manager that lives in it, if one does.
type keeper struct {
	*stage
	data embedded.DataDir
}

// keeper names a data directory; a manager comes when somebody needs it.
func (s *stage) keeper(name string) *keeper {
	s.t.Helper()
	k := &keeper{stage: s, data: embedded.DataDir(s.at(name))}
	s.t.Cleanup(k.close)
	return k
}

// variable names the data directory to programs.
func (k *keeper) variable() string { return "POOLKEEPER_DATA_DIR=" + string(k.data) }

// client reaches the manager that runs; it starts none.
func (k *keeper) client() *client.Client {
	k.t.Helper()
	c, err := client.New(client.Config{Endpoint: k.data.Endpoint(), Program: "test"})
	require.NoError(k.t, err)
	return c
}

// cli runs the command line, with standard input.
func (k *keeper) cli(input string, args ...string) outcome {
	return k.command(k.t.Context(), input, args...)
}

func (k *keeper) command(ctx context.Context, input string, args ...string) outcome {
	cmd := exec.CommandContext(ctx, k.provider(older), args...)
	cmd.Env = k.environment(k.variable())
	cmd.Stdin = bytes.NewReader([]byte(input))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return outcome{t: k.t, command: args, code: -1, stderr: err.Error()}
	}
	return outcome{k.t, args, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// pid is the living manager's, 0 if there is none.
func (k *keeper) pid() int {
	pid, running, err := k.data.Running()
	if err != nil || !running {
		return 0
	}
	return pid
}

// manager is what the running manager says of itself.
func (k *keeper) manager() api.Manager {
	k.t.Helper()
	m, err := k.client().Manager(k.t.Context())
	require.NoError(k.t, err)
	return m
}

// stop ends the manager as its user does.
func (k *keeper) stop() {
	k.t.Helper()
	k.cli("", "manager", "stop").succeeded()
	await(k.t, "the end of its process", func() bool { return len(k.managers()) == 0 })
}

// wake starts a manager if none runs.
func (k *keeper) wake() {
	k.t.Helper()
	k.cli("", "pool", "list").succeeded()
}

// pool is a living pool by its name. It does not claim the pool, as asking by the uid would.
func (k *keeper) pool(name string) pool.View {
	k.t.Helper()
	view, err := k.client().Pool(k.t.Context(), name)
	require.NoError(k.t, err)
	return view
}

// poolIf is pool, if the manager runs and has it.
func (k *keeper) poolIf(name string) (pool.View, bool) {
	if k.pid() == 0 {
		return pool.View{}, false
	}
	view, err := k.client().Pool(k.t.Context(), name)
	return view, err == nil
}

func (k *keeper) pools() []pool.View {
	k.t.Helper()
	pools, err := k.client().Pools(k.t.Context())
	require.NoError(k.t, err)
	return pools
}

// crew is what a pool's workers are: pids by the ids of those that live and are not leaving.
type crew map[string]int

func (k *keeper) crew(name string) crew {
	k.t.Helper()
	workers, err := k.client().Workers(k.t.Context(), name)
	require.NoError(k.t, err)
	c := crew{}
	for _, w := range workers {
		if !w.State.Ended() && !w.State.Leaving() {
			c[w.ID] = w.Instance.PID
		}
	}
	return c
}

// running is what /proc says of a pool's workers: pids by ids, whatever a manager knows of them.
func (k *keeper) running(poolName string) crew {
	k.t.Helper()
	c := k.allRunning()[poolName]
	if c == nil {
		c = crew{}
	}
	return c
}

// allRunning is what /proc says of the workers of all pools, by the pools' names.
func (k *keeper) allRunning() map[string]crew {
	k.t.Helper()
	all, err := processesOf(k.dir)
	require.NoError(k.t, err)
	crews := map[string]crew{}
	for _, p := range all {
		id, name := p.variable("POOLKEEPER_WORKER_ID"), p.variable("POOLKEEPER_POOL")
		if id == "" || !p.leads() {
			continue
		}
		if crews[name] == nil {
			crews[name] = crew{}
		}
		crews[name][id] = p.pid
	}
	return crews
}

// settled is the crew of a pool that has reached what was asked for, after a look that its processes are
// just those.
func (k *keeper) settled(name string) crew {
	k.t.Helper()
	c := k.crew(name)
	require.Equal(k.t, c, k.running(name), "the processes are the workers that the manager knows")
	return c
}

// apart requires that two crews have no worker in common.
func apart(t *testing.T, before, after crew) {
	t.Helper()
	for id := range before {
		require.NotContains(t, after, id)
	}
}

// close destroys all pools by force and ends the manager, also one that has to be started for that.
func (k *keeper) close() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := os.Stat(k.data.Store()); err == nil {
		if k.t.Failed() {
			k.t.Log(lastLines(k.data.Log()))
		}
		k.destroyAll(ctx)
		if stopped := k.command(ctx, "", "manager", "stop"); stopped.code != 0 {
			k.t.Errorf("after the test: %s", stopped)
		}
	}
	log, err := os.ReadFile(k.data.Log())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		k.t.Error(err)
	}
	for _, bad := range []string{"DATA RACE", "panic"} {
		if at := bytes.Index(log, []byte(bad)); at >= 0 {
			k.t.Errorf("the manager's log tells of a %s:\n%s", bad, log[at:min(at+4<<10, len(log))])
		}
	}
}

func (k *keeper) destroyAll(ctx context.Context) {
	listed := k.command(ctx, "", "pool", "list", "-o", "json")
	var list api.PoolList
	if err := json.Unmarshal([]byte(listed.stdout), &list); listed.code != 0 || err != nil {
		k.t.Errorf("after the test: %s", listed)
	}
	for _, p := range list.Pools {
		if p.Spec.DeletionProtection {
			k.command(ctx, `{"deletion_protection": false}`, "pool", "patch", p.UID, "-f", "-")
		}
		if deleted := k.command(ctx, "", "pool", "delete", "--force", p.UID); deleted.code != 0 {
			k.t.Errorf("after the test: %s", deleted)
		}
	}
}

// endpointOf is where a worker of the pool "web" answers.
func endpointOf(w pool.Worker) endpoint {
	return endpoint{w.ID, fmt.Sprintf("http://127.0.0.1:%d/", w.Instance.Ports["http"])}
}

// revisionReason is why the newest revision of a pool was made.
func (k *keeper) revisionReason(name string) string {
	k.t.Helper()
	revisions, err := k.client().Revisions(k.t.Context(), name)
	require.NoError(k.t, err)
	require.NotEmpty(k.t, revisions)
	return revisions[0].Reason
}

// keys are the ids of a crew.
func keys(c crew) []string { return slices.Collect(maps.Keys(c)) }
