package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// TestMain makes the acceptance tests run whenever the others do: they are never skipped, and without a
// Terraform they fail. Nothing of the caller's own Terraform or Poolkeeper configuration reaches them.
func TestMain(m *testing.M) {
	if os.Getenv(workerMode) != "" {
		must(work())
		return
	}
	for _, name := range []string{"CI", "TFC_RUN_ID", envEndpoint, envToken, envDataDir, envChangeReason} {
		must(os.Unsetenv(name))
	}
	must(os.Setenv("TF_ACC", "1"))
	must(os.Setenv("CHECKPOINT_DISABLE", "1"))
	must(os.Setenv("TF_CLI_CONFIG_FILE", os.DevNull))
	if os.Getenv("TF_ACC_TERRAFORM_PATH") == "" {
		program, host := findTerraform()
		must(os.Setenv("TF_ACC_TERRAFORM_PATH", program))
		must(os.Setenv("TF_ACC_PROVIDER_HOST", host))
	}
	code := m.Run()
	must(os.RemoveAll(built.dir))
	os.Exit(code)
}

// workerMode in its environment makes the test program a worker that serves HTTP on its port.
const workerMode = "TEST_WORKER"

func work() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go func() {
		<-ctx.Done()
		_ = server.Close() // which ends the program
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func findTerraform() (program, registry string) {
	for name, registry := range map[string]string{"terraform": "registry.terraform.io", "tofu": "registry.opentofu.org"} {
		if program, err := exec.LookPath(name); err == nil {
			return program, registry
		}
	}
	fmt.Fprintln(os.Stderr, "FAIL: the acceptance tests need terraform or tofu on the PATH, or TF_ACC_TERRAFORM_PATH")
	os.Exit(1)
	return "", ""
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		os.Exit(1)
	}
}

const resourceName = "poolkeeper_resource_pool.test"

// land is a manager and the provider that leads to it. The manager may be exchanged between steps.
type land struct {
	t       *testing.T
	mu      sync.Mutex
	manager client.Manager
}

func newLand(t *testing.T) *land {
	return &land{t: t, manager: newManager(t)}
}

func (l *land) current() client.Manager {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.manager
}

func (l *land) exchange(m client.Manager) (before client.Manager) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, l.manager = l.manager, m
	return before
}

// run runs a test case against the manager; at its end every pool has to be destroyed.
func (l *land) run(steps ...resource.TestStep) {
	l.t.Helper()
	dialed := func(context.Context, settings) (client.Manager, error) { return l.current(), nil }
	resource.Test(l.t, resource.TestCase{
		ProtoV6ProviderFactories: map[string]func() (tfprotov6.ProviderServer, error){
			"poolkeeper": providerserver.NewProtocol6WithError(newProvider("test", dialed, noEnvironment())()),
		},
		CheckDestroy: func(*terraform.State) error {
			pools, err := l.current().Pools(context.Background())
			if err == nil && len(pools) > 0 {
				err = fmt.Errorf("pool %q is left", pools[0].Name)
			}
			if errors.Is(err, embedded.ErrNoStore) {
				return nil // nothing was ever created
			}
			return err
		},
		Steps: steps,
	})
}

// fixture is the step's directory: testdata/<test>/<step>.
func fixture() config.TestStepConfigFunc { return config.TestStepDirectory() }

// view reads a pool behind Terraform's back.
func (l *land) view(name string) pool.View {
	l.t.Helper()
	v, err := l.current().Pool(l.t.Context(), name)
	require.NoError(l.t, err)
	return v
}

// patch changes a pool behind Terraform's back and waits until that is reached.
func (l *land) patch(name, patch string) func() {
	return func() {
		l.t.Helper()
		accepted, err := l.current().Patch(l.t.Context(), name, []byte(patch), client.Change{Reason: "drift"})
		require.NoError(l.t, err)
		l.reached(accepted.Operation)
	}
}

func (l *land) reached(op pool.Operation) {
	l.t.Helper()
	op, err := l.current().Wait(l.t.Context(), op.ID, nil)
	require.NoError(l.t, err)
	require.Equal(l.t, pool.OperationSucceeded, op.Phase, op.Reason)
}

// crew lists the ids of a pool's living workers.
func (l *land) crew(name string) []string {
	l.t.Helper()
	workers, err := l.current().Workers(l.t.Context(), name)
	require.NoError(l.t, err)
	var ids []string
	for _, w := range workers {
		if !w.State.Ended() && !w.State.Leaving() {
			ids = append(ids, w.ID)
		}
	}
	return ids
}
