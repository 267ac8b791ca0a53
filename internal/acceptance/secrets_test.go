//go:build linux

package acceptance

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// secretive gives workers a secret out of an input variable, as a pipeline would.
func secretive(version int) change {
	return func(o object) {
		set("worker.secret_env_wo", object{"TOKEN": "${var.token}"})(o)
		set("worker.secret_env_wo_version", version)(o)
	}
}

func withToken(config object) {
	config["variable"] = object{"token": object{"type": "string", "ephemeral": true}}
}

// given are what the workers of web have as TOKEN, each value once.
func (w *workspace) given() (tokens []string) {
	w.t.Helper()
	seen := map[string]bool{}
	crew := w.settled("web")
	running, err := processesOf(w.dir)
	require.NoError(w.t, err)
	for _, p := range running {
		if _, ours := crew[p.variable("POOLKEEPER_WORKER_ID")]; ours && p.leads() && !seen[p.variable("TOKEN")] {
			seen[p.variable("TOKEN")] = true
			tokens = append(tokens, p.variable("TOKEN"))
		}
	}
	return tokens
}

// holds lists the files of the stage in which a text is.
func (s *stage) holds(text string) (files []string) {
	s.t.Helper()
	require.NoError(s.t, filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			files = append(files, path)
		}
		return err
	}))
	return files
}

func TestASecretReachesTheWorkersAndNothingElse(t *testing.T) {
	w := newWorld(t)
	plain := len(w.more)
	token := func(value string) { w.more = append(w.more[:plain], "TF_VAR_token="+value) }

	token("swordfish-1")
	said := w.reaches(w.web(secretive(1)), withToken)
	require.Equal(t, []string{"swordfish-1"}, w.given())
	require.NotContains(t, said.String(), "swordfish")

	token("swordfish-2")
	w.plan().ended(planEmpty) // a value alone is not seen
	before := w.settled("web")
	w.reaches(w.web(secretive(1), set("description", "better")), withToken)
	require.Equal(t, before, w.settled("web"))

	w.declare(w.web(secretive(2), set("description", "better")), withToken)
	require.Equal(t, "rolling", w.planJSON().After["last_change"])
	w.tf("apply", "-input=false", "plan").succeeded()
	apart(t, before, w.settled("web"))
	require.Equal(t, []string{"swordfish-2"}, w.given())
	w.plan().ended(planEmpty)

	w.stop() // what the next manager starts has them too
	w.cli("", "pool", "resize", "web", "4").succeeded()
	require.Equal(t, []string{"swordfish-2"}, w.given())
	for _, told := range []outcome{
		w.cli("", "pool", "get", "web", "-o", "json"), w.cli("", "pool", "revisions", "web", "-o", "json"), w.cli("", "pool", "events", "web", "-o", "json"),
	} {
		require.NotContains(t, told.succeeded().String(), "swordfish")
	}
	w.cli("", "pool", "get", "web", "-o", "json").says(`"secret_names":`, "TOKEN")
	require.Empty(t, w.holds("swordfish"), "files in which the secret is")

	w.cli(strings.NewReplacer("env: {", "secret_env: {TOKEN: haddock}\n  secret_env_version: 2\n  env: {").Replace(w.document()), "pool", "apply", "-f", "-").
		failed().says("worker.secret_env_version", "stands for other values already")
	w.reaches(w.web(set("description", "better")), withToken)
	require.Equal(t, []string{""}, w.given())
}
