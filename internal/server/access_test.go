package server_test

import (
	"net/http"
	"os/user"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/server"
)

func TestOverTCPOnlyTheTokenOpensTheAPI(t *testing.T) {
	t.Parallel()
	s := open(t)
	stranger := s.remote.without()
	for name, header := range map[string]string{
		"no token":         "Accept: */*",
		"an empty header":  "Authorization: ",
		"an empty token":   "Authorization: Bearer ",
		"another token":    "Authorization: Bearer " + token + "!",
		"a part of it":     "Authorization: Bearer " + token[:len(token)-1],
		"another scheme":   "Authorization: Basic " + token,
		"no scheme":        "Authorization: " + token,
		"a scheme in caps": "Authorization: BEARER" + token,
	} {
		for _, path := range []string{"/v1/manager", "/v1/pools", "/v1/pools/web", "/openapi.json", "/nothing", "/v1/manager:stop"} {
			got := stranger.with(header).get(path)
			got.problem(http.StatusUnauthorized, api.ProblemUnauthorized)
			require.Equal(t, "Bearer", got.header.Get("WWW-Authenticate"), name)
			require.NotContains(t, got.body, token)
			require.Contains(t, got.body, "--token", "the hint")
		}
		p := stranger.with(header, "If-None-Match: *").do("PUT", "/v1/pools/web", document("web", 1))
		p.problem(http.StatusUnauthorized, api.ProblemUnauthorized)
	}
	require.JSONEq(t, `{"pools":[]}`, s.remote.get("/v1/pools").ok(http.StatusOK).body, "with it all is open, and nothing was made without it")

	for _, path := range []string{"/healthz", "/readyz"} {
		stranger.get(path).ok(http.StatusOK)
		stranger.do("HEAD", path, "").ok(http.StatusOK)
		stranger.with("Authorization: Bearer wrong").get(path).ok(http.StatusOK)
	}
}

func TestATokenThatIsMissingIsToldFromOneThatIsWrong(t *testing.T) {
	t.Parallel()
	s := open(t)
	for header, says := range map[string]string{
		"Accept: */*":                 "no token was shown",
		"Authorization: Bearer wrong": "the token that was shown is not this manager's",
		"Authorization: " + token:     "the token that was shown is not this manager's",
	} {
		p := s.remote.without().with(header).get("/v1/pools").problem(http.StatusUnauthorized, api.ProblemUnauthorized)
		require.Contains(t, p.Detail, says, header)
		for _, way := range []string{"the provider's token", "POOLKEEPER_TOKEN", "--token", "Authorization: Bearer"} {
			require.Contains(t, p.Detail, way)
		}
	}
}

func TestWithoutAConfiguredTokenNobodyEntersOverTCP(t *testing.T) {
	t.Parallel()
	s := open(t, func(_ *stage, c *server.Config) { c.Token = "" })
	for _, header := range []string{"Accept: */*", "Authorization: Bearer ", "Authorization: Bearer " + token} {
		s.remote.without().with(header).get("/v1/pools").problem(http.StatusUnauthorized, api.ProblemUnauthorized)
		s.direct("GET", "/v1/pools", "", header).problem(http.StatusUnauthorized, api.ProblemUnauthorized)
	}
	s.local.get("/v1/pools").ok(http.StatusOK)
}

func TestEveryChangeHasTheAuthorThatTheConnectionTells(t *testing.T) {
	t.Parallel()
	s := open(t)
	me, err := user.Current()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		caller caller
		author string
	}{
		"by-socket": {s.local, "user:" + me.Username},
		"by-token":  {s.remote, "token"},
	} {
		who := c.caller.with("Poolkeeper-Reason: because of " + name)
		done := as[api.Accepted](who.with("If-None-Match: *").do("PUT", "/v1/pools/"+name, document(name, 0)).ok(http.StatusAccepted))
		require.Equal(t, c.author, done.Pool.Author)
		require.Equal(t, c.author, done.Operation.Author)
		require.Equal(t, "because of "+name, done.Operation.Comment)
		s.succeeds(done.Operation)

		change := who.with("If-Match: *")
		change.do("PATCH", "/v1/pools/"+name, `{"description":"x"}`).ok(http.StatusAccepted)
		change.do("POST", "/v1/pools/"+name+":resize", `{"size":1}`).ok(http.StatusAccepted)
		change.do("POST", "/v1/pools/"+name+":restart", "").ok(http.StatusAccepted)
		change.do("DELETE", "/v1/pools/"+name, "").ok(http.StatusAccepted)

		log := as[api.EventList](s.local.get("/v1/pools/" + done.Pool.UID + "/events").ok(http.StatusOK))
		asked := map[string]bool{}
		for _, e := range log.Events {
			if e.Comment != "" {
				require.Equal(t, c.author, e.Author, e.Type)
				require.Equal(t, "because of "+name, e.Comment, e.Type)
				asked[string(e.Type)] = true
			} else {
				require.Regexp(t, "^system:", e.Author, "nobody asked for %s", e.Type)
			}
		}
		require.Equal(t, map[string]bool{
			"pool.created": true, "pool.updated": true, "pool.resized": true, "pool.restarted": true, "pool.draining": true,
		}, asked)
		revisions := as[api.RevisionList](s.local.get("/v1/pools/" + done.Pool.UID + "/revisions")).Revisions
		for _, r := range revisions {
			require.Equal(t, []string{c.author, "because of " + name}, []string{r.Author, r.Reason})
		}
	}
}

func TestATokenAtTheUnixSocketMakesNobodyElse(t *testing.T) {
	t.Parallel()
	s := open(t)
	me, err := user.Current()
	require.NoError(t, err)
	done := as[api.Accepted](s.local.with("Authorization: Bearer wrong", "If-None-Match: *").do("PUT", "/v1/pools/web", document("web", 0)).ok(http.StatusAccepted))
	require.Equal(t, "user:"+me.Username, done.Pool.Author)
}

func TestARequestForAnotherManagerIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, c := range []caller{s.local, s.remote} {
		other := c.with(api.HeaderExpectManager + ": m_other")
		p := other.get("/v1/pools").problem(http.StatusMisdirectedRequest, api.ProblemOtherManager)
		require.Contains(t, p.Detail, "m_other", "the one that was meant")
		require.Contains(t, p.Detail, s.id, "and this one")
		other.with("If-None-Match: *").do("PUT", "/v1/pools/web", document("web", 1)).problem(http.StatusMisdirectedRequest, api.ProblemOtherManager)

		same := c.with(api.HeaderExpectManager + ": " + s.id).get("/v1/pools").ok(http.StatusOK)
		require.JSONEq(t, `{"pools":[]}`, same.body)
	}
}

func TestEveryAnswerNamesTheManager(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, got := range []reply{
		s.local.get("/healthz"), s.local.get("/v1/pools"), s.local.get("/nothing"), s.local.do("POST", "/v1/pools", ""),
		s.remote.without().get("/v1/pools"), s.local.with(api.HeaderExpectManager + ": m_other").get("/v1/pools"),
	} {
		require.Equal(t, s.id, got.header.Get(api.HeaderManager), got.body)
	}
}
