//go:build linux

package acceptance

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

// badDocuments are pools' files with something wrong in them, and what is said of it.
func (p parts) badDocuments() map[string]struct {
	document string
	command  []string // words of the command line's error
	problem  []string // words of the API's
} {
	return map[string]struct {
		document string
		command  []string
		problem  []string
	}{
		"broken YAML": {"name: web\nsize: 2\nworker: {command: [a\n",
			[]string{"standard input:4:1:"}, []string{`"line":`, `"column":`}},
		"an unknown field": {p.document("size: 2", "size: 2\nreplicas: 2"),
			[]string{"standard input:4:1", "replicas"}, []string{`"path":"replicas"`, `"line":4`, `"column":1`}},
		"a text for a number": {p.document("size: 2", "size: many"),
			[]string{"standard input:3:7", "size", "many", "whole number"}, []string{`"path":"size"`}},
		"several faults": {p.document("size: 2", "size: -2", "100%", "300%"),
			[]string{"2 faults", "standard input:3:7", "size", "update.max_surge", "300%"}, []string{`"path":"size"`, `"path":"update.max_surge"`}},
		"a program that is not there": {p.document(p.worker, "/nonexistent/program"),
			[]string{"worker.command[0]", "/nonexistent/program"}, []string{`"path":"worker.command[0]"`, "/nonexistent/program"}},
		"10 MB": {p.document("size: 2", "size: 2\ndescription: "+strings.Repeat("x", 10<<20)),
			[]string{"too large"}, []string{api.ProblemTooLarge}},
	}
}

func TestABadDocumentIsRefusedAndChangesNothing(t *testing.T) {
	k := newStage(t).keeper("d")
	k.cli(k.document("name: web", "name: other", "size: 2", "size: 0"), "pool", "apply", "-f", "-").succeeded()
	socket := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", k.data.Socket())
	}}}
	defer socket.CloseIdleConnections()
	for name, row := range k.badDocuments() {
		k.cli(row.document, "pool", "apply", "-f", "-").failed().says(row.command...)

		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://poolkeeper/v1/pools/web", strings.NewReader(row.document))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/yaml")
		request.Header.Set("If-None-Match", "*")
		answer, err := socket.Do(request)
		require.NoError(t, err, name)
		var problem json.RawMessage
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&problem), name)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, "application/problem+json", answer.Header.Get("Content-Type"), name)
		require.GreaterOrEqual(t, answer.StatusCode, 400, name)
		require.Less(t, answer.StatusCode, 500, name)
		for _, words := range row.problem {
			require.Contains(t, string(problem), words, name)
		}
	}
	require.Len(t, k.pools(), 1)
	require.Empty(t, k.running("web"))

	k.cli(k.document(), "pool", "apply", "-f", "-").succeeded()
	require.Len(t, k.settled("web"), 2)
}

func TestABadDocumentNeedsNoManagerToBeSeen(t *testing.T) {
	k := newStage(t).keeper("d")
	for name, row := range k.badDocuments() {
		if name != "a program that is not there" { // only the host can tell
			k.cli(row.document, "validate", "-f", "-").failed().says(row.command...)
		}
	}
	require.NoDirExists(t, string(k.data))
}

func TestADataDirectoryThatCannotBeOneIsNamed(t *testing.T) {
	w := newWorld(t)
	w.declare(w.web(set("size", 1)))

	long := w.at(strings.Repeat("long", 30))
	w.more = []string{"POOLKEEPER_DATA_DIR=" + long}
	w.plan().ended(planFailed).says("is too long", "107", "choose a shorter data_dir")
	w.apply().failed().says("is too long")
	require.NoDirExists(t, long)

	w.more = []string{w.variable()}
	require.NoError(t, os.WriteFile(string(w.data), []byte("a file"), 0o600))
	w.apply().failed().says(string(w.data), "not a directory")
	content, err := os.ReadFile(string(w.data))
	require.NoError(t, err)
	require.Equal(t, "a file", string(content))
	_, kept := w.state()
	require.False(t, kept)

	require.NoError(t, os.Remove(string(w.data)))
	require.NoError(t, os.MkdirAll(filepath.Dir(string(w.data)), 0o700))
	w.apply().succeeded()
	require.Len(t, w.settled("web"), 1)
}
