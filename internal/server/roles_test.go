package server_test

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/server"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// ask is a request of one route. It has a body where the route wants one.
type ask struct {
	least access.Role // empty: whoever asks is answered
	body  string
	// elsewhere is what one is answered who may do it with other pools only; 0: that there is no such thing.
	elsewhere int
}

// asks are the routes by their operation. A route that is not here fails the test.
var asks = map[string]ask{
	"health":          {elsewhere: 200},
	"readiness":       {elsewhere: 200},
	"describeManager": {least: access.Viewer, elsewhere: 200},
	"listPools":       {least: access.Viewer, elsewhere: 200},
	"readPool":        {least: access.Viewer},
	"validateSpec":    {least: access.Viewer, body: document("web", 1), elsewhere: 403},
	"planPool":        {least: access.Viewer, body: document("web", 1), elsewhere: 403},
	"planPatch":       {least: access.Viewer, body: `{"size":5}`},
	"listWorkers":     {least: access.Viewer},
	"readLogs":        {least: access.Viewer},
	"listRevisions":   {least: access.Viewer},
	"listEvents":      {least: access.Viewer},
	"listLeases":      {least: access.Viewer},
	"readOperation":   {least: access.Viewer},
	"readRegistry":    {least: access.Viewer, elsewhere: 200},
	"watchRegistry":   {least: access.Viewer, elsewhere: 200},
	"readTargets":     {least: access.Viewer, elsewhere: 200},
	"resizePool":      {least: access.Operator, body: `{"size":2}`},
	"restartPool":     {least: access.Operator},
	"pausePool":       {least: access.Operator},
	"resumePool":      {least: access.Operator},
	"promoteRollout":  {least: access.Operator},
	"abortRollout":    {least: access.Operator},
	"revertPool":      {least: access.Operator, body: `{"revision":1}`},
	"cordonWorker":    {least: access.Operator},
	"uncordonWorker":  {least: access.Operator},
	"extendDrain":     {least: access.Operator, body: `{"by":"1m"}`},
	"drainWorker":     {least: access.Operator, body: `{}`},
	"acquireLease":    {least: access.Operator, body: `{"pool":"POOL"}`},
	"readLease":       {least: access.Operator},
	"renewLease":      {least: access.Operator},
	"releaseLease":    {least: access.Operator},
	"putPool":         {least: access.Admin, body: document("POOL", 2)},
	"patchPool":       {least: access.Admin, body: `{"size":2}`},
	"deletePool":      {least: access.Admin},
	"stopManager":     {least: access.Admin, elsewhere: 403},
	"backup":          {least: access.Admin, elsewhere: 403},
	"restorePool":     {least: access.Admin, body: `{"pool":{"name":"web"}}`, elsewhere: 403},
	"makeToken":       {least: access.Admin, body: `{"name":"x","role":"viewer","ttl":"1h"}`, elsewhere: 403},
	"listTokens":      {least: access.Admin, elsewhere: 200},
	"revokeToken":     {least: access.Admin},
}

// makes makes a token through the API and returns it; labels are pairs, as in JSON.
func (s *stage) makes(name string, role access.Role, labels string) api.NewToken {
	s.t.Helper()
	body := `{"name":"` + name + `","role":"` + string(role) + `","labels":{` + labels + `},"ttl":"1h"}`
	return as[api.NewToken](s.local.do("POST", "/v1/tokens", body).ok(http.StatusCreated))
}

// altered changes a token's record behind the manager's back.
func (s *stage) altered(made api.NewToken, change func(*store.Token)) string {
	s.t.Helper()
	require.NoError(s.t, s.disk.Update(s.t.Context(), func(tx store.Writer) error {
		t, err := tx.Token(made.ID)
		if err != nil {
			return err
		}
		change(&t)
		return tx.PutToken(t)
	}))
	return made.Secret
}

// TestEveryRouteIsForThoseWhoHaveItsRole goes over all routes that the API describes, and all that a caller can show.
func TestEveryRouteIsForThoseWhoHaveItsRole(t *testing.T) {
	t.Parallel()
	stopped := make(chan struct{}, 100)
	s := open(t, func(_ *stage, c *server.Config) { c.Stop = func() { stopped <- struct{}{} } })
	made := s.create("web", 1)
	s.succeeds(made.Operation)
	worker := as[api.WorkerList](s.local.get("/v1/pools/web/workers")).Workers[0].ID
	lease := as[api.LeaseView](s.local.do("POST", "/v1/leases", `{"pool":"web"}`).ok(http.StatusOK))

	holders := map[access.Role]api.NewToken{}
	for _, role := range access.Roles {
		holders[role] = s.makes("a-"+string(role), role, "")
	}
	elsewhere := s.makes("elsewhere", access.Admin, `"team":"other"`)
	refused := map[string]string{
		"none":    "",
		"wrong":   "pkt_" + strings.Repeat("A", 43),
		"expired": s.altered(s.makes("expired", access.Admin, ""), func(t *store.Token) { t.ExpiresAt = time.Now().Add(-time.Second) }),
		"revoked": s.altered(s.makes("revoked", access.Admin, ""), func(t *store.Token) { t.RevokedAt = time.Now() }),
	}
	real := strings.NewReplacer("POOL", "web", "{pool}", "web", "{worker}", worker, "{lease}", lease.ID, "{operation}", made.Operation.ID, "{token}", holders[access.Viewer].ID)
	nothing := strings.NewReplacer("POOL", "none", "{pool}", "none", "{worker}", "w_none", "{lease}", "l_none", "{operation}", "op_none", "{token}", "tok_none")
	state := func() []string {
		return []string{
			s.local.get("/v1/pools/web").body, s.local.get("/v1/pools/web/events").body, s.local.get("/v1/pools/web/leases").body,
		}
	}
	before := state()
	secrets := []string{token, refused["wrong"], refused["expired"], refused["revoked"], elsewhere.Secret}
	for _, made := range holders {
		secrets = append(secrets, made.Secret)
	}

	for _, o := range described(s) {
		a, known := asks[o.ID]
		require.True(t, known, "nothing is said of who may do %s", o.ID)
		require.Equal(t, a.least, o.LeastRole, "as %s is described", o.ID)
		require.Equal(t, a.least != "", len(o.Security) > 0, "as %s is described", o.ID)
		do := func(secret string, names *strings.Replacer) reply {
			t.Helper()
			c := s.remote.without().with("If-Match: *")
			if secret != "" {
				c = c.with("Authorization: Bearer " + secret)
			}
			if o.ID == "watchRegistry" {
				return c.begins(o.Path, "{")
			}
			got := c.do(o.Method, names.Replace(o.Path), strings.ReplaceAll(a.body, "POOL", names.Replace("POOL")))
			for _, secret := range secrets {
				require.NotContains(t, got.body, secret, o.ID)
			}
			return got
		}
		for kind, secret := range refused {
			got := do(secret, real)
			if a.least == "" {
				got.ok(http.StatusOK)
				continue
			}
			p := got.problem(http.StatusUnauthorized, api.ProblemUnauthorized)
			require.Equal(t, "Bearer", got.header.Get("WWW-Authenticate"), "%s with %s", o.ID, kind)
			require.Contains(t, p.Detail, map[string]string{"none": "no token was shown", "wrong": "is not this manager's", "expired": "has expired at", "revoked": "was revoked at"}[kind], o.ID)
		}
		for _, role := range access.Roles {
			if a.least == "" || slices.Index(access.Roles, role) >= slices.Index(access.Roles, a.least) {
				got := do(holders[role].Secret, nothing) // so that the next finds all as it was
				require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, got.status, "%s by a %s: %s", o.ID, role, got.body)
				continue
			}
			p := do(holders[role].Secret, real).problem(http.StatusForbidden, api.ProblemForbidden)
			require.Equal(t, "this needs the role "+string(a.least)+", and token:a-"+string(role)+" has the role "+string(role), p.Detail, o.ID)
		}
		got := do(elsewhere.Secret, real)
		require.Equal(t, cmp.Or(a.elsewhere, http.StatusNotFound), got.status, "%s by an admin of other pools: %s", o.ID, got.body)
		require.NotContains(t, got.body, `"web"`, o.ID)
		if o.ID == "makeToken" || o.ID == "validateSpec" || o.ID == "planPool" {
			p := got.problem(http.StatusForbidden, api.ProblemForbidden)
			require.Equal(t, []string{`labels["team"]`, `"other"`}, []string{p.Errors[0].Path, p.Errors[0].Valid})
		}
	}
	require.Len(t, stopped, 1, "by the admin")
	require.Equal(t, before, state(), "what was refused has changed nothing")

	log := s.log.String()
	require.Contains(t, log, "a request was refused: caller=token:a-viewer from=127.0.0.1:")
	require.Contains(t, log, `method=DELETE path=/v1/pools/web why="this needs the role admin, and token:a-operator has the role operator"`)
	require.Contains(t, log, `caller="nobody known"`)
	for _, secret := range secrets {
		require.NotContains(t, log, secret)
	}
}
