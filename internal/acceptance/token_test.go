//go:build linux

package acceptance

import (
	"archive/zip"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

// tokens are those that the manager remembers, by their names.
func (k *keeper) tokens() map[string][]api.Token {
	k.t.Helper()
	all, err := k.client().Tokens(k.t.Context(), true)
	require.NoError(k.t, err)
	byName := map[string][]api.Token{}
	for _, one := range all {
		byName[one.Name] = append(byName[one.Name], one)
	}
	return byName
}

// gives makes a token by the command line and returns what its holder shows.
func (k *keeper) gives(name string, args ...string) string {
	k.t.Helper()
	var made api.NewToken
	require.NoError(k.t, json.Unmarshal([]byte(k.cli("", append([]string{"token", "create", name, "-o", "json"}, args...)...).succeeded().stdout), &made))
	return made.Secret
}

// answer is what the manager answers at a URL to one who shows a token.
func (k *keeper) answer(url, token string) (status int, body string) {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, url, nil)
	require.NoError(k.t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	got, err := http.DefaultClient.Do(r)
	require.NoError(k.t, err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	require.NoError(k.t, err)
	return got.StatusCode, string(text)
}

// unzipped is all that a saved plan holds.
func (w *workspace) unzipped(name string) (text string) {
	w.t.Helper()
	archive, err := zip.OpenReader(filepath.Join(w.folder, name))
	require.NoError(w.t, err)
	defer archive.Close()
	for _, f := range archive.File {
		r, err := f.Open()
		require.NoError(w.t, err)
		part, err := io.ReadAll(r)
		require.NoError(w.t, err)
		text += string(part)
	}
	return text
}

func TestATokenLivesAsLongAsTheRunThatNeedsIt(t *testing.T) {
	w := newWorld(t)
	url := w.serves(freePort(t))
	w.more = nil
	shared := set("provider.poolkeeper", object{"endpoint": url, "token": token})
	asks := set("ephemeral.poolkeeper_token.run", object{"name": "run", "role": "operator", "labels": object{"team": "core"}, "ttl": "10m"})
	handed := func(o object) {
		set("worker.secret_env_wo", object{"TOKEN": "${ephemeral.poolkeeper_token.run.token}"})(o)
		set("worker.secret_env_wo_version", 1)(o)
	}
	looks := set("resource.terraform_data.look.provisioner", object{"local-exec": object{
		"command":     w.provider(older) + " pool list --endpoint " + url + " -o json >looked",
		"environment": object{"POOLKEEPER_TOKEN": "${ephemeral.poolkeeper_token.run.token}"},
	}})
	w.declare(w.web(set("size", 1), set("labels", object{"team": "core"}), handed), shared, asks, looks, set("resource.terraform_data.look.depends_on", []string{resourceType + ".web"}))
	w.plan("-out=plan").ended(planChanges)
	require.Len(t, w.tokens()["run"], 1)
	said := w.tf("apply", "-input=false", "plan").succeeded()

	require.Contains(t, read(t, filepath.Join(w.folder, "looked")), `"name": "web"`, "what was seen with it during the apply")
	given := w.given()
	require.Len(t, given, 1)
	require.Regexp(t, `^pkt_[A-Za-z0-9_-]{43}$`, given[0], "what the worker got")
	made := w.tokens()["run"]
	require.Len(t, made, 2, "one for the plan and one for the apply")
	for _, one := range made {
		require.Equal(t, []any{"operator", "team=core", "token", "token"}, []any{string(one.Role), one.Labels.String(), one.Author, one.RevokedBy})
		require.WithinDuration(t, one.CreatedAt, one.RevokedAt, patience)
		require.NotContains(t, w.unzipped("plan")+said.String()+w.tf("show", "-json").stdout, one.ID)
	}
	status, body := w.answer(url+"/v1/pools", given[0])
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, body, "was revoked at")

	for where, text := range map[string]string{
		"the plan": w.unzipped("plan"), "the plan as JSON": w.tf("show", "-json", "plan").succeeded().stdout,
		"the state": w.tf("show", "-json").succeeded().stdout, "what was printed": said.String(),
	} {
		require.NotContains(t, text, "pkt_", where)
	}
	require.Empty(t, w.holds(given[0]), "files in which the token is")
	w.plan().ended(planEmpty)
	require.Len(t, w.tokens()["run"], 3)
	require.Empty(t, w.cli("", "token", "list", "-o", "json").succeeded().says(`"tokens": []`).stderr)

	w.declare(w.web(set("size", 1)), shared, set("ephemeral.poolkeeper_token.run", object{"name": "run", "role": "root", "ttl": "0s"}))
	w.tf("validate").failed().says("Invalid token", `role: is no role (got "root"); valid: viewer, operator, admin`, `ttl: is no time that a token may live (got "0s")`)
}

func TestEachRoleMayDoItsPartOfTerraform(t *testing.T) {
	w := newWorld(t)
	url := w.serves(freePort(t))
	w.more = nil
	as := func(name string, args ...string) change {
		return set("provider.poolkeeper", object{"endpoint": url, "token": w.gives(name, args...)})
	}
	pool := w.web(set("size", 1), set("labels", object{"team": "core"}))

	w.declare(pool, as("viewer"))
	w.plan().ended(planChanges)
	w.apply().failed().says("this needs the role admin, and token:viewer has the role viewer")
	w.declare(pool, as("operator", "--role", "operator"))
	w.apply().failed().says("this needs the role admin, and token:operator has the role operator")
	other := as("other", "--role", "admin", "--label", "team=other")
	w.declare(pool, other)
	w.apply().failed().says(`labels["team"]: is not the one that the caller's token is for (got "core"); valid: "other"`)
	require.Empty(t, w.pools())

	core := as("core", "--role", "admin", "--label", "team=core")
	w.declare(pool, core)
	w.apply().succeeded()
	require.Equal(t, "token:core", w.pool("web").Author)
	w.declare(pool, as("viewer"))
	w.plan().ended(planEmpty)
	w.declare(pool, as("viewer"), set("ephemeral.poolkeeper_token.more", object{"name": "more"}))
	w.plan().ended(planFailed).says(`Token "more" cannot be made`, "this needs the role admin, and token:viewer has the role viewer")
	w.declare(pool, core, set("ephemeral.poolkeeper_token.more", object{"name": "more", "labels": object{"team": "other"}}))
	w.plan().ended(planFailed).says(`labels["team"]: is not the one that the caller's token is for (got "other"); valid: "core"`)
	w.declare(pool, as("operator", "--role", "operator"))
	w.destroy().failed().says("this needs the role admin")
	require.Len(t, w.settled("web"), 1)
	w.declare(pool, core)
	w.destroy().succeeded()
	require.Equal(t, []string{"core", "operator", "other", "viewer"}, slices.Sorted(maps.Keys(w.tokens())))
}

func TestForATokenAloneNoManagerIsStarted(t *testing.T) {
	w := newWorld(t)
	w.declare(nil, set("ephemeral.poolkeeper_token.run", object{"name": "run"}))
	said := w.plan().ended(planFailed)
	require.Contains(t, said.text(), `Token "run" cannot be made`)
	entries := strings.Join(w.holds(""), " ")
	require.NotContains(t, entries, "manager.db")
	w.cli("", "token", "create", "ci").ended(3)
}
