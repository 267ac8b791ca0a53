//go:build linux

package acceptance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFleetingMachineIsAskedForAnEndpoint(t *testing.T) {
	for _, variable := range []string{"CI", "TFC_RUN_ID"} {
		t.Run(variable, func(t *testing.T) {
			w := newWorld(t)
			w.more = []string{variable + "=1"}
			w.declare(w.web())
			w.plan().ended(planFailed).says("No manager is named", variable+" is set", "POOLKEEPER_ENDPOINT", "POOLKEEPER_DATA_DIR")
			entries, err := os.ReadDir(w.at("home"))
			require.NoError(t, err)
			require.Empty(t, entries)

			w.more = []string{variable + "=1", w.variable()}
			w.apply().succeeded()
		})
	}
}

const token = "correct horse battery staple"

// serves runs a manager by hand that also answers on a TCP port, and returns its URL.
func (k *keeper) serves(port int) string {
	k.t.Helper()
	require.NoError(k.t, os.WriteFile(k.at("token"), []byte(token+"\n"), 0o600))
	cmd := exec.Command(k.provider(older), "manager", "run", "--listen", fmt.Sprintf("tcp://127.0.0.1:%d", port), "--token-file", k.at("token"))
	cmd.Env = k.environment(k.variable())
	var log bytes.Buffer
	cmd.Stderr = &log
	require.NoError(k.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	k.t.Cleanup(func() {
		k.close() // which stops it
		if err := <-ended; err != nil || k.t.Failed() {
			k.t.Errorf("the manager: %v\n%s", err, log.String())
		}
	})
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	await(k.t, "the manager's readiness", func() bool {
		answer, err := http.Get(url + "/readyz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return url
}

// freePort is a TCP port that nobody listens on just now.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func TestATCPEndpointWantsItsToken(t *testing.T) {
	w := newWorld(t)
	url := w.serves(freePort(t))
	w.more = nil
	pool := w.web(set("size", 1))
	for _, wrong := range []object{{"endpoint": url}, {"endpoint": url, "token": "guessed"}} {
		w.declare(pool, set("provider.poolkeeper", wrong))
		says := "no token was shown"
		if wrong["token"] != nil {
			says = "the token that was shown is not this manager's"
		}
		w.apply().failed().says(says)
	}
	for _, authorization := range []string{"", "Bearer guessed", "Basic " + token, token} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/pools", nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", authorization)
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, errors.Join(err, answer.Body.Close()))
		require.Equal(t, http.StatusUnauthorized, answer.StatusCode, authorization)
		require.Equal(t, "application/problem+json", answer.Header.Get("Content-Type"))
		require.NotContains(t, string(body), token)
	}
	require.Empty(t, w.pools())

	w.declare(pool, set("provider.poolkeeper", object{"endpoint": url, "token": token}))
	w.apply().succeeded()
	require.Equal(t, "token", w.pool("web").Author)
	w.plan().ended(planEmpty)
	w.declare(pool) // and the same out of the environment
	w.more = []string{"POOLKEEPER_ENDPOINT=" + url, "POOLKEEPER_TOKEN=" + token, "CI=1"}
	w.plan().ended(planEmpty)
	w.destroy().succeeded()
	require.NotContains(t, w.tf("show").stdout, token)
}

func TestAnEndpointThatIsNotKnownYetIsNotTheLocalManager(t *testing.T) {
	w := newWorld(t)
	w.cli(w.document("name: web", "name: other", "size: 2", "size: 0"), "pool", "apply", "-f", "-").succeeded()
	w.more = nil
	w.declare(w.web(set("size", 1)), set("provider.poolkeeper.endpoint", "${terraform_data.late.output}"),
		set("resource.terraform_data.late.input", w.data.Endpoint()))
	w.plan().ended(planChanges)
	w.apply().succeeded()
	require.Len(t, w.settled("web"), 1)
	entries, err := os.ReadDir(w.at("home"))
	require.NoError(t, err)
	require.Empty(t, entries, "no other manager was started")
	w.destroy().succeeded()
}

func TestAManagerOnATakenPortMakesNothing(t *testing.T) {
	k := newStage(t).keeper("d")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := taken.Addr().(*net.TCPAddr).Port
	run := []string{"manager", "run", "--token", token, "--listen", fmt.Sprintf("tcp://127.0.0.1:%d", port)}
	k.cli("", run...).failed().says(fmt.Sprintf("answer at tcp://127.0.0.1:%d", port), "address already in use")
	require.NoFileExists(t, k.data.Store())
	require.NoFileExists(t, k.data.Socket())

	require.NoError(t, taken.Close())
	k.serves(port)
	k.cli(k.document(), "pool", "apply", "-f", "-").succeeded()
	require.Len(t, k.settled("web"), 2)
}
