package client_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/backup"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestEachCallIsOneRequestOfTheProtocol(t *testing.T) {
	ctx := t.Context()
	based := client.Change{Reason: "more\r\nload ", ETag: `"p_1.4"`}
	mutation := map[string]string{"If-Match": `"p_1.4"`, api.HeaderReason: "more  load"}
	kept := backup.Pool{Pool: pool.Pool{Name: "web"}}
	line, err := json.Marshal(kept)
	require.NoError(t, err)
	for name, row := range map[string]struct {
		call         func(*client.Client) error
		method, path string
		query, body  string
		header       map[string]string
	}{
		"manager": {call: func(c *client.Client) error { _, err := c.Manager(ctx); return err }, method: "GET", path: "/v1/manager"},
		"stop":    {call: func(c *client.Client) error { return c.Stop(ctx) }, method: "POST", path: "/v1/manager:stop"},
		"validate YAML": {call: func(c *client.Client) error { _, err := c.Validate(ctx, []byte("name: web")); return err },
			method: "POST", path: "/v1/pools:validate", body: "name: web", header: map[string]string{"Content-Type": "application/yaml"}},
		"validate YAML in braces": {call: func(c *client.Client) error { _, err := c.Validate(ctx, []byte("{name: web}")); return err },
			method: "POST", path: "/v1/pools:validate", body: "{name: web}", header: map[string]string{"Content-Type": "application/yaml"}},
		"validate JSON": {call: func(c *client.Client) error { _, err := c.Validate(ctx, []byte(` {"name":"web"}`)); return err },
			method: "POST", path: "/v1/pools:validate", body: ` {"name":"web"}`, header: map[string]string{"Content-Type": "application/json"}},
		"plan a patch": {call: func(c *client.Client) error { _, err := c.PlanPatch(ctx, "web", []byte(`{"size":4}`)); return err },
			method: "POST", path: "/v1/pools/web:plan", body: `{"size":4}`},
		"restore": {call: func(c *client.Client) error {
			_, err := c.Restore(ctx, kept, true, based)
			return err
		}, method: "POST", path: "/v1/pools:restore", query: "dry_run=true", body: string(line), header: map[string]string{api.HeaderReason: "more  load"}},
		"pool":   {call: func(c *client.Client) error { _, err := c.Pool(ctx, "web"); return err }, method: "GET", path: "/v1/pools/web"},
		"by uid": {call: func(c *client.Client) error { _, err := c.PoolByUID(ctx, "p_1"); return err }, method: "GET", path: "/v1/pools/p_1"},
		"a name that is none": {call: func(c *client.Client) error { _, err := c.Pool(ctx, "a/b?c"); return err },
			method: "GET", path: "/v1/pools/a%2Fb%3Fc"},
		"patch": {call: func(c *client.Client) error { _, err := c.Patch(ctx, "web", []byte(`{"size":4}`), based); return err },
			method: "PATCH", path: "/v1/pools/web", body: `{"size":4}`, header: mutation},
		"resize": {call: func(c *client.Client) error { _, err := c.Resize(ctx, "web", 7, based); return err },
			method: "POST", path: "/v1/pools/web:resize", body: `{"size":7}`, header: mutation},
		"restart": {call: func(c *client.Client) error { _, err := c.Restart(ctx, "web", based); return err },
			method: "POST", path: "/v1/pools/web:restart", header: mutation},
		"delete": {call: func(c *client.Client) error { _, err := c.Delete(ctx, "p_1", false, based); return err },
			method: "DELETE", path: "/v1/pools/p_1", header: mutation},
		"delete by force": {call: func(c *client.Client) error { _, err := c.Delete(ctx, "web", true, based); return err },
			method: "DELETE", path: "/v1/pools/web", query: "force=true", header: mutation},
		"operation": {call: func(c *client.Client) error { _, err := c.Operation(ctx, "op1"); return err }, method: "GET", path: "/v1/operations/op1"},
		"workers":   {call: func(c *client.Client) error { _, err := c.Workers(ctx, "web"); return err }, method: "GET", path: "/v1/pools/web/workers"},
		"logs": {call: func(c *client.Client) error { _, err := c.Logs(ctx, "web", "w_1", 100); return err },
			method: "GET", path: "/v1/pools/web/workers/w_1/logs", query: "max=100"},
		"revisions": {call: func(c *client.Client) error { _, err := c.Revisions(ctx, "web"); return err }, method: "GET", path: "/v1/pools/web/revisions"},
		"events": {call: func(c *client.Client) error { _, err := c.Events(ctx, "web", 41); return err },
			method: "GET", path: "/v1/pools/web/events", query: "after=41"},
		"make a token": {call: func(c *client.Client) error {
			_, err := c.MakeToken(ctx, api.TokenRequest{Name: "ci", Role: "viewer", Labels: map[string]string{"team": "core"}, TTL: "1h"})
			return err
		}, method: "POST", path: "/v1/tokens", body: `{"name":"ci","role":"viewer","labels":{"team":"core"},"ttl":"1h"}`},
		"tokens":       {call: func(c *client.Client) error { _, err := c.Tokens(ctx, false); return err }, method: "GET", path: "/v1/tokens"},
		"ended tokens": {call: func(c *client.Client) error { _, err := c.Tokens(ctx, true); return err }, method: "GET", path: "/v1/tokens", query: "ended=true"},
		"revoke a token": {call: func(c *client.Client) error { _, err := c.RevokeToken(ctx, "tok_1"); return err },
			method: "DELETE", path: "/v1/tokens/tok_1"},
	} {
		t.Run(name, func(t *testing.T) {
			c, manager := manager(t, client.Config{}, answer(200, map[string]any{}))
			require.NoError(t, row.call(c))
			r := manager.requests()
			require.Len(t, r, 1)
			require.Equal(t, []string{row.method, row.path, row.query, row.body}, []string{r[0].method, r[0].path, r[0].query, r[0].body})
			for k, v := range row.header {
				require.Equal(t, v, r[0].header.Get(k), k)
			}
		})
	}
}

func TestASpecTravelsWholeAndOnItsBase(t *testing.T) {
	c, manager := manager(t, client.Config{}, answer(202, accepted(1)))
	_, err := c.Create(t.Context(), spec("web"), client.Change{})
	require.NoError(t, err)
	_, err = c.Update(t.Context(), spec("web"), client.Change{ETag: `"p_1.1"`})
	require.NoError(t, err)
	create, update := manager.requests()[0], manager.requests()[1]
	for _, r := range []seen{create, update} {
		require.Equal(t, "PUT", r.method)
		require.Equal(t, "/v1/pools/web", r.path)
		var got pool.Spec
		decodeTo(t, r.body, &got)
		require.Equal(t, spec("web"), got)
	}
	require.Equal(t, "*", create.header.Get("If-None-Match"))
	require.Empty(t, create.header.Get("If-Match"))
	require.Equal(t, `"p_1.1"`, update.header.Get("If-Match"))
	require.Empty(t, update.header.Get("If-None-Match"))
}

func TestAChangeWithoutABaseGoesOnTheNewest(t *testing.T) {
	stale := problem(412, api.ProblemStale, "the pool has changed")
	c, manager := manager(t, client.Config{}, answer(200, view(4)), stale, answer(200, view(5)), answer(202, accepted(6)))
	_, err := c.Resize(t.Context(), "web", 7, client.Change{})
	require.NoError(t, err)
	r := manager.requests()
	require.Len(t, r, 4)
	require.Equal(t, []string{"GET", "POST", "GET", "POST"}, []string{r[0].method, r[1].method, r[2].method, r[3].method})
	require.Equal(t, `"p_1.4"`, r[1].header.Get("If-Match"))
	require.Equal(t, `"p_1.5"`, r[3].header.Get("If-Match"))
	require.Equal(t, r[1].header.Get(api.HeaderIdempotencyKey), r[3].header.Get(api.HeaderIdempotencyKey))
}

func TestAChangeOnAnOldBaseIsRefused(t *testing.T) {
	c, manager := manager(t, client.Config{}, problem(412, api.ProblemStale, "the pool has changed"))
	_, err := c.Update(t.Context(), spec("web"), client.Change{ETag: `"p_1.3"`})
	var p *client.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, api.ProblemStale, p.Name())
	require.EqualError(t, err, `update pool "web": the pool has changed`)
	require.Len(t, manager.requests(), 1)
}

func TestFaultsOfASpecArriveWithTheirFields(t *testing.T) {
	faults := pool.Faults{{Path: "size", Value: "-1", Reason: "is out of range", Valid: "a whole number from 0"}}
	c, _ := manager(t, client.Config{}, answer(422, api.Problem{Type: api.ProblemBase + api.ProblemInvalid, Title: "Invalid", Status: 422, Detail: "the spec is invalid", Errors: faults}))
	_, err := c.Create(t.Context(), spec("web"), client.Change{})
	var p *client.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, faults, p.Errors)
	require.EqualError(t, err, "create pool \"web\": the spec is invalid\n"+faults.Error())
}

func TestAllPagesOfPoolsAreRead(t *testing.T) {
	c, manager := manager(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
		after := r.URL.Query().Get("after")
		next := map[string]string{"": "b", "b": "d", "d": ""}[after]
		answer(200, api.PoolList{Pools: []pool.View{{Pool: pool.Pool{Name: after + "+"}}}, Next: next})(w, r)
	})
	pools, err := c.Pools(t.Context())
	require.NoError(t, err)
	require.Len(t, pools, 3)
	for i, after := range []string{"", "b", "d"} {
		query, err := url.ParseQuery(manager.requests()[i].query)
		require.NoError(t, err)
		require.Equal(t, after, query.Get("after"))
		require.Equal(t, after+"+", pools[i].Name)
	}
}

func TestStopOfAnEndingManagerIsNoErrorAndNoStopIsRepeated(t *testing.T) {
	c, _ := manager(t, client.Config{}, problem(503, api.ProblemStopping, "ending"))
	require.NoError(t, c.Stop(t.Context()))
	c, gone := manager(t, client.Config{}, lost)
	require.ErrorIs(t, c.Stop(t.Context()), client.ErrUnreachable)
	require.Len(t, gone.requests(), 1)
}

func TestLogsAreBytesAsTheyWereWritten(t *testing.T) {
	c, _ := manager(t, client.Config{}, text(200, "text/plain", "one\ntwo\xff\n"))
	log, err := c.Logs(t.Context(), "web", "w_1", 0)
	require.NoError(t, err)
	require.Equal(t, "one\ntwo\xff\n", string(log))
	c, _ = manager(t, client.Config{}, problem(404, api.ProblemNotFound, "no such worker"))
	_, err = c.Logs(t.Context(), "web", "w_2", 0)
	require.EqualError(t, err, fmt.Sprintf("read the log of worker %q of pool %q: no such worker", "w_2", "web"))
}
