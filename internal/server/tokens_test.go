package server_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/server"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// shows is a caller over TCP who shows a token.
func (s *stage) shows(made api.NewToken) caller {
	return s.remote.without().with("Authorization: Bearer " + made.Secret)
}

func TestWhatIsDoneWithATokenHasItsName(t *testing.T) {
	t.Parallel()
	s := open(t)
	made := s.makes("ci", access.Admin, "")
	require.WithinDuration(t, time.Now().Add(time.Hour), made.ExpiresAt, time.Minute)
	ci := s.shows(made)
	done := as[api.Accepted](ci.with("If-None-Match: *").do("PUT", "/v1/pools/web", document("web", 1)).ok(http.StatusAccepted))
	require.Equal(t, []string{"token:ci", "token:ci"}, []string{done.Pool.Author, done.Operation.Author})
	s.succeeds(done.Operation)
	lease := as[api.LeaseView](ci.do("POST", "/v1/leases", `{"pool":"web"}`).ok(http.StatusOK))
	require.Equal(t, "token:ci", lease.Author)
	require.Equal(t, "token:ci", as[api.NewToken](ci.do("POST", "/v1/tokens", `{"name":"next","role":"viewer","ttl":"1h"}`).ok(http.StatusCreated)).Author)
	require.Equal(t, "token", as[api.NewToken](s.remote.do("POST", "/v1/tokens", `{"name":"last","role":"viewer","ttl":"1h"}`).ok(http.StatusCreated)).Author)
	require.Equal(t, "token:ci", as[api.Token](ci.do("DELETE", "/v1/tokens/"+made.ID, "").ok(http.StatusOK)).RevokedBy)
	ci.get("/v1/pools").problem(http.StatusUnauthorized, api.ProblemUnauthorized)
}

func TestATokenIsToldOnceAndKeptNowhere(t *testing.T) {
	t.Parallel()
	s := open(t)
	made := s.makes("ci", access.Viewer, "")
	s.shows(made).get("/v1/pools").ok(http.StatusOK)
	s.shows(made).do("DELETE", "/v1/pools/web", "").problem(http.StatusForbidden, api.ProblemForbidden)
	var kept store.Token
	require.NoError(t, s.disk.View(t.Context(), func(r store.Reader) (err error) {
		kept, err = r.Token(made.ID)
		return err
	}))
	record, err := json.Marshal(kept)
	require.NoError(t, err)
	secret, _ := strings.CutPrefix(made.Secret, "pkt_")
	require.NotContains(t, string(record), secret)
	for where, text := range map[string]string{
		"the list": s.local.get("/v1/tokens?ended=true").body, "the log": s.log.String(),
		"the answer to its end": s.local.do("DELETE", "/v1/tokens/"+made.ID, "").ok(http.StatusOK).body,
	} {
		require.NotContains(t, text, secret, where)
		require.NotContains(t, text, kept.Hash, where)
	}
	require.Contains(t, s.log.String(), "a token was made: id="+made.ID+" name=ci role=viewer labels=\"\" expires=")
}

func TestARequestForATokenThatIsNotValidNamesTheFaults(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, c := range []struct{ body, path, value, valid string }{
		{`{"role":"viewer","ttl":"1h"}`, "name", `""`, "1 to 63 of"},
		{`{"name":"a b","role":"viewer","ttl":"1h"}`, "name", `"a b"`, "1 to 63 of"},
		{`{"name":"-a","role":"viewer","ttl":"1h"}`, "name", `"-a"`, "1 to 63 of"},
		{`{"name":"` + strings.Repeat("a", 64) + `","role":"viewer","ttl":"1h"}`, "name", `"aaaa`, "1 to 63 of"},
		{`{"name":"ci","ttl":"1h"}`, "role", `""`, "viewer, operator, admin"},
		{`{"name":"ci","role":"root","ttl":"1h"}`, "role", `"root"`, "viewer, operator, admin"},
		{`{"name":"ci","role":"viewer"}`, "ttl", `""`, `from 1s to 2160h`},
		{`{"name":"ci","role":"viewer","ttl":"0s"}`, "ttl", `"0s"`, `from 1s to 2160h`},
		{`{"name":"ci","role":"viewer","ttl":"-1h"}`, "ttl", `"-1h"`, `from 1s to 2160h`},
		{`{"name":"ci","role":"viewer","ttl":"2160h1s"}`, "ttl", `"2160h1s"`, `from 1s to 2160h`},
		{`{"name":"ci","role":"viewer","ttl":"a day"}`, "ttl", `"a day"`, `from 1s to 2160h`},
		{`{"name":"ci","role":"viewer","ttl":"1h","labels":{"-":"x"}}`, `labels["-"]`, `"-"`, "a key of 1 to 253"},
	} {
		p := s.local.do("POST", "/v1/tokens", c.body).problem(http.StatusUnprocessableEntity, api.ProblemInvalidToken)
		require.Len(t, p.Errors, 1, c.body)
		require.Equal(t, c.path, p.Errors[0].Path, c.body)
		require.Contains(t, p.Errors[0].Value, c.value, c.body)
		require.Contains(t, p.Errors[0].Valid, c.valid, c.body)
		require.NotEmpty(t, p.Errors[0].Reason)
	}
	p := s.local.do("POST", "/v1/tokens", `{}`).problem(http.StatusUnprocessableEntity, api.ProblemInvalidToken)
	require.Len(t, p.Errors, 3, "all are told at once")
	for _, body := range []string{`{"name":"ci","role":"viewer","ttl":"1h","scope":"x"}`, `{"name":1}`, `[]`} {
		s.local.do("POST", "/v1/tokens", body).problem(http.StatusUnprocessableEntity, "about:blank")
	}
	s.local.do("DELETE", "/v1/tokens/tok_none", "").problem(http.StatusNotFound, api.ProblemNotFound)
	s.local.do("POST", "/v1/tokens", `{"name":"ci","role":"viewer","ttl":"2160h"}`).ok(http.StatusCreated)
	require.Len(t, as[api.TokenList](s.local.get("/v1/tokens")).Tokens, 1)
}

func TestNobodyMakesATokenThatReachesFurther(t *testing.T) {
	t.Parallel()
	s := open(t)
	all := s.makes("all", access.Admin, "")
	core := s.shows(s.makes("core", access.Admin, `"team":"core"`))
	for body, fault := range map[string]pool.Fault{
		`{"name":"x","role":"viewer","ttl":"1h"}`:                           {Path: `labels["team"]`, Reason: "is missing, and the caller's token is for pools with team=core only", Valid: `"core"`},
		`{"name":"x","role":"viewer","ttl":"1h","labels":{"team":"other"}}`: {Path: `labels["team"]`, Value: `"other"`, Reason: "is not the one that the caller's token is for", Valid: `"core"`},
	} {
		p := core.do("POST", "/v1/tokens", body).problem(http.StatusForbidden, api.ProblemForbidden)
		require.Equal(t, pool.Faults{fault}, p.Errors)
	}
	narrower := as[api.NewToken](core.do("POST", "/v1/tokens", `{"name":"x","role":"admin","ttl":"1h","labels":{"team":"core","os":"linux"}}`).ok(http.StatusCreated))
	var seen []string
	for _, t := range as[api.TokenList](core.get("/v1/tokens").ok(http.StatusOK)).Tokens {
		seen = append(seen, t.Name)
	}
	require.Equal(t, []string{"x", "core"}, seen, "those that reach no further")
	core.do("DELETE", "/v1/tokens/"+all.ID, "").problem(http.StatusNotFound, api.ProblemNotFound)
	s.shows(all).get("/v1/pools").ok(http.StatusOK)
	core.do("DELETE", "/v1/tokens/"+narrower.ID, "").ok(http.StatusOK)
}

func TestANameIsOneMakersOrItsHolders(t *testing.T) {
	t.Parallel()
	s := open(t)
	ask := func(c caller) reply {
		return c.do("POST", "/v1/tokens", `{"name":"ci","role":"admin","ttl":"1h"}`)
	}
	first := as[api.NewToken](ask(s.local).ok(http.StatusCreated))
	second := as[api.NewToken](ask(s.local).ok(http.StatusCreated))
	require.NotEqual(t, first.Secret, second.Secret, "so that one can take over from another")
	other := s.shows(s.makes("other", access.Admin, ""))
	p := ask(other).problem(http.StatusConflict, api.ProblemExists)
	require.Contains(t, p.Detail, `has the name "ci"`)
	third := as[api.NewToken](ask(s.shows(first)).ok(http.StatusCreated))
	for _, made := range []api.NewToken{first, second, third} {
		s.local.do("DELETE", "/v1/tokens/"+made.ID, "").ok(http.StatusOK)
	}
	ask(other).ok(http.StatusCreated)
}

// labelled makes a pool with labels and waits until it is there.
func (s *stage) labelled(name, labels string) pool.View {
	s.t.Helper()
	made := s.local.with("If-None-Match: *").do("PUT", "/v1/pools/"+name, document(name, 1, `"labels":{`+labels+`}`)).ok(http.StatusAccepted)
	s.succeeds(as[api.Accepted](made).Operation)
	return as[pool.View](s.local.get("/v1/pools/" + name).ok(http.StatusOK))
}

func TestATokenForSomePoolsSeesNoOthers(t *testing.T) {
	t.Parallel()
	s := open(t, func(s *stage, _ *server.Config) {
		s.host.foreign = []runtime.Found{{WorkerID: "w_lost", PoolUID: "p_lost", PoolName: "lost", Identity: "m_other/i_other"}}
	})
	mine, theirs := map[string]string{}, map[string]string{}
	for name, into := range map[string]map[string]string{"a": mine, "b": theirs, "c": mine, "d": theirs, "e": mine} {
		team := `"team":"core"`
		if name == "b" || name == "d" {
			team = `"team":"other"`
		}
		into[name] = s.labelled(name, team).UID
	}
	core := s.shows(s.makes("ci", access.Admin, `"team":"core"`))

	for _, limit := range []string{"1", "2", "1000"} {
		var got []string
		for path := "/v1/pools?limit=" + limit; path != ""; {
			page := as[api.PoolList](core.get(path).ok(http.StatusOK))
			path = ""
			for _, v := range page.Pools {
				got = append(got, v.Name)
			}
			if page.Next != "" {
				path = "/v1/pools?limit=" + limit + "&after=" + page.Next
			}
		}
		require.Equal(t, []string{"a", "c", "e"}, got, "limit %s", limit)
	}
	m := as[api.Manager](core.get("/v1/manager").ok(http.StatusOK))
	require.Equal(t, 3, m.Pools)
	require.Empty(t, m.Foreign, "nobody knows what labels its pool had")
	require.Len(t, as[api.Manager](s.remote.get("/v1/manager")).Foreign, 1)
	var registered []string
	for _, p := range as[api.Registry](core.get("/v1/registry").ok(http.StatusOK)).Pools {
		registered = append(registered, p.Name)
	}
	require.Equal(t, []string{"a", "c", "e"}, registered)
	watched := core.begins("/v1/registry:watch", "event: complete").body
	for name, uid := range mine {
		core.get("/v1/pools/" + uid).ok(http.StatusOK)
		require.Contains(t, watched, uid, name)
	}
	for name, uid := range theirs {
		for _, ref := range []string{name, uid} {
			core.get("/v1/pools/"+ref).problem(http.StatusNotFound, api.ProblemNotFound)
			core.with("If-Match: *").do("DELETE", "/v1/pools/"+ref, "").problem(http.StatusNotFound, api.ProblemNotFound)
		}
		require.NotContains(t, watched, uid, name)
	}
	core.get("/metrics").problem(http.StatusForbidden, api.ProblemForbidden)
	s.shows(s.makes("prometheus", access.Viewer, "")).get("/metrics").ok(http.StatusOK)
	s.remote.without().get("/metrics").problem(http.StatusUnauthorized, api.ProblemUnauthorized)
}

func TestATokenForSomePoolsMakesAndKeepsPoolsAmongThem(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.labelled("theirs", `"team":"other"`)
	core := s.shows(s.makes("ci", access.Admin, `"team":"core"`))
	isNew, there := core.with("If-None-Match: *"), core.with("If-Match: *")

	p := isNew.do("PUT", "/v1/pools/mine", document("mine", 0)).problem(http.StatusForbidden, api.ProblemForbidden)
	require.Equal(t, []string{`labels["team"]`, `"core"`}, []string{p.Errors[0].Path, p.Errors[0].Valid})
	isNew.do("PUT", "/v1/pools/mine", document("mine", 0, `"labels":{"team":"other"}`)).problem(http.StatusForbidden, api.ProblemForbidden)
	isNew.do("PUT", "/v1/pools/theirs", document("theirs", 0)).problem(http.StatusForbidden, api.ProblemForbidden) // and is not told that it is there
	s.local.get("/v1/pools/mine").problem(http.StatusNotFound, api.ProblemNotFound)
	isNew.do("PUT", "/v1/pools/theirs", document("theirs", 0, `"labels":{"team":"core"}`)).problem(http.StatusConflict, api.ProblemExists)

	made := as[api.Accepted](isNew.do("PUT", "/v1/pools/mine", document("mine", 0, `"labels":{"team":"core","os":"linux"}`)).ok(http.StatusAccepted))
	s.succeeds(made.Operation)
	core.get("/v1/operations/" + made.Operation.ID + "?wait=1s").ok(http.StatusOK)
	there.do("PATCH", "/v1/pools/mine", `{"labels":{"team":"other"}}`).problem(http.StatusForbidden, api.ProblemForbidden)
	there.do("PUT", "/v1/pools/mine", document("mine", 0)).problem(http.StatusForbidden, api.ProblemForbidden)
	core.do("POST", "/v1/pools/mine:plan", `{"labels":null}`).problem(http.StatusForbidden, api.ProblemForbidden)
	require.Equal(t, map[string]string{"team": "core", "os": "linux"}, as[pool.View](s.local.get("/v1/pools/mine")).Spec.Labels)
	there.do("PATCH", "/v1/pools/mine", `{"labels":{"os":null}}`).ok(http.StatusAccepted)
	there.do("DELETE", "/v1/pools/mine", "").ok(http.StatusAccepted)
}

func TestClaimsByLabelsStayAmongATokensPools(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.labelled("mine", `"team":"core","os":"linux"`)
	s.labelled("theirs", `"team":"other","os":"linux"`)
	core := s.shows(s.makes("ci", access.Operator, `"team":"core"`))
	claim := func(c caller, selector string) reply {
		return c.do("POST", "/v1/leases", `{"selector":{`+selector+`}}`)
	}
	held := as[api.LeaseView](claim(core, `"os":"linux"`).ok(http.StatusOK))
	require.Equal(t, "mine", held.PoolName)
	waits := as[api.LeaseView](claim(core, `"os":"linux"`).ok(http.StatusAccepted))
	require.Equal(t, map[string]string{"team": "core", "os": "linux"}, waits.Selector, "the other pool has a slot, which is not for it")
	claim(core, `"team":"other"`).problem(http.StatusNotFound, api.ProblemNotFound)
	core.do("POST", "/v1/leases", `{"pool":"theirs"}`).problem(http.StatusNotFound, api.ProblemNotFound)

	others := as[api.LeaseView](claim(s.local, `"team":"other"`).ok(http.StatusOK))
	waiting := as[api.LeaseView](claim(s.local, `"os":"linux"`).ok(http.StatusAccepted))
	for _, id := range []string{others.ID, waiting.ID} {
		core.get("/v1/leases/"+id).problem(http.StatusNotFound, api.ProblemNotFound)
		core.do("DELETE", "/v1/leases/"+id, "").problem(http.StatusNotFound, api.ProblemNotFound)
	}
	require.Equal(t, 1, as[api.Registry](core.get("/v1/registry")).Waiting)
	require.Equal(t, 2, as[api.Registry](s.local.get("/v1/registry")).Waiting)
	core.do("DELETE", "/v1/leases/"+held.ID, "").ok(http.StatusOK)
	require.Equal(t, pool.LeaseHeld, as[api.LeaseView](core.get("/v1/leases/"+waits.ID).ok(http.StatusOK)).State)
}

func TestAWatchEndsWithItsToken(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.labelled("web", `"team":"core"`)
	made := s.makes("ci", access.Viewer, `"team":"core"`)
	conn := s.remote.raw("GET /v1/registry:watch HTTP/1.1\nHost: x\nAuthorization: Bearer " + made.Secret + "\n\n")
	watch, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer watch.Body.Close()
	told := bufio.NewScanner(watch.Body)
	for told.Scan() && told.Text() != "event: complete" {
	}
	require.Equal(t, "event: complete", told.Text())
	s.local.do("DELETE", "/v1/tokens/"+made.ID, "").ok(http.StatusOK)
	s.local.with("If-Match: *").do("POST", "/v1/pools/web:resize", `{"size":0}`).ok(http.StatusAccepted)
	for told.Scan() {
		require.NotContains(t, told.Text(), "event:")
	}
	require.NoError(t, told.Err(), "it has ended in time")
}

func TestAViewersLookIsNotItsCreators(t *testing.T) {
	t.Parallel()
	s := open(t)
	release := s.host.holdLaunches()
	defer release()
	uid := s.create("web", 1).Pool.UID
	viewer, admin := s.shows(s.makes("v", access.Viewer, "")), s.shows(s.makes("a", access.Admin, ""))
	require.False(t, as[pool.View](viewer.get("/v1/pools/"+uid).ok(http.StatusOK)).Claimed)
	require.False(t, as[pool.View](s.local.get("/v1/pools/web")).Claimed)
	require.True(t, as[pool.View](admin.get("/v1/pools/"+uid).ok(http.StatusOK)).Claimed)
}
