package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/backup"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/server"
)

// TestEveryRouteDoesWhatItIsFor lives one pool's life. A route that is described but not used here fails it.
func TestEveryRouteDoesWhatItIsFor(t *testing.T) {
	t.Parallel()
	stopped := make(chan struct{})
	s := open(t, func(s *stage, c *server.Config) {
		c.Stop = func() { close(stopped) }
		s.host.foreign = []runtime.Found{{
			WorkerID: "w_lost", PoolUID: "p_lost", PoolName: "lost", Identity: "m_other/i_other", Instance: pool.Instance{PID: 4711},
		}}
	})
	used := map[string]bool{}
	route := func(operation string) caller {
		used[operation] = true
		return s.local
	}

	require.Equal(t, "ok\n", route("health").get("/healthz").ok(http.StatusOK).body)
	require.Equal(t, "ok\n", route("readiness").get("/readyz").ok(http.StatusOK).body)

	require.JSONEq(t, `{"pools":[]}`, route("listPools").get("/v1/pools").ok(http.StatusOK).body)
	valid := as[api.Validated](route("validateSpec").do("POST", "/v1/pools:validate", document("web", 2)).ok(http.StatusOK))
	require.Equal(t, "10m", valid.Spec.Update.ProgressDeadline.String(), "the defaults are filled in")
	require.JSONEq(t, `{"pools":[]}`, s.local.get("/v1/pools").body, "a check changes nothing")

	created := route("putPool").with("If-None-Match: *", "Poolkeeper-Reason: a first try").do("PUT", "/v1/pools/web", document("web", 2)).ok(http.StatusAccepted)
	uid := as[api.Accepted](created).Pool.UID
	require.Equal(t, pool.OperationCreate, as[api.Accepted](created).Operation.Kind)
	require.Equal(t, pool.PhaseCreating, as[api.Accepted](created).Pool.Phase)
	require.Equal(t, `"`+uid+`.1"`, created.header.Get("ETag"))

	o := as[api.Accepted](created).Operation
	ended := as[pool.Operation](route("readOperation").get("/v1/operations/" + o.ID + "?wait=60s").ok(http.StatusOK))
	require.Equal(t, pool.OperationSucceeded, ended.Phase, ended.Reason)

	shown := route("readPool").get("/v1/pools/web").ok(http.StatusOK)
	require.Equal(t, created.header.Get("ETag"), shown.header.Get("ETag"))
	v := as[pool.View](shown)
	require.Equal(t, pool.StateActive, v.Status.State)
	require.Equal(t, 2, v.Status.Available)
	require.Equal(t, v.UID, as[pool.View](s.local.get("/v1/pools/"+uid).ok(http.StatusOK)).UID, "by its uid too")

	workers := as[api.WorkerList](route("listWorkers").get("/v1/pools/web/workers").ok(http.StatusOK)).Workers
	require.Len(t, workers, 2)
	logs := "/v1/pools/web/workers/" + workers[0].ID + "/logs"
	file := route("backup").get("/v1/backup?pool=web&events=true").ok(http.StatusOK).body
	lines := strings.SplitAfter(file, "\n")
	_, err := backup.Read(strings.NewReader(file), nil)
	require.NoError(t, err)
	restored := as[api.Restored](route("restorePool").do("POST", "/v1/pools:restore?dry_run=true", lines[1]).ok(http.StatusOK))
	require.Equal(t, api.Restored{Name: "web", UID: uid, Action: api.PlanNone}, restored)
	require.Contains(t, s.local.get("/v1/backup?pool=nobody").problem(http.StatusNotFound, api.ProblemNotFound).Detail, `there is no pool "nobody"`)
	require.Contains(t, s.local.do("POST", "/v1/pools:restore", "[]").problem(http.StatusUnprocessableEntity, api.ProblemInvalid).Detail, "no pool of a backup")

	text := route("readLogs").get(logs).ok(http.StatusOK)
	require.Equal(t, "an earlier line\nhello from "+workers[0].ID+"\n", text.body)
	require.Equal(t, "text/plain; charset=utf-8", text.header.Get("Content-Type"))
	require.Len(t, s.local.get(logs+"?max=5").ok(http.StatusOK).body, 5)

	lease := as[api.LeaseView](route("acquireLease").do("POST", "/v1/leases", `{"pool":"web","holder":"job 1"}`).ok(http.StatusOK))
	require.Equal(t, pool.LeaseHeld, lease.State)
	require.Equal(t, workers[0].Instance.Ports, lease.Worker.Ports)
	require.Equal(t, lease.WorkerID, as[api.LeaseView](route("readLease").get("/v1/leases/"+lease.ID).ok(http.StatusOK)).WorkerID)
	require.True(t, as[api.LeaseView](route("renewLease").do("POST", "/v1/leases/"+lease.ID+":renew", "").ok(http.StatusOK)).ExpiresAt.After(lease.ExpiresAt))
	require.Equal(t, lease.ID, as[api.LeaseList](route("listLeases").get("/v1/pools/web/leases").ok(http.StatusOK)).Leases[0].ID)
	second := s.local.do("POST", "/v1/leases", `{"pool":"web"}`).ok(http.StatusOK)
	third := as[api.LeaseView](s.local.do("POST", "/v1/leases", `{"pool":"web"}`).ok(http.StatusAccepted))
	require.Equal(t, pool.LeaseWaiting, third.State, "all slots are taken")
	for _, id := range []string{lease.ID, as[api.LeaseView](second).ID, third.ID} {
		require.Equal(t, pool.LeaseReleased, as[pool.Lease](route("releaseLease").do("DELETE", "/v1/leases/"+id, "").ok(http.StatusOK)).State)
	}
	over := s.local.get("/v1/leases/"+lease.ID).problem(http.StatusGone, api.ProblemLeaseEnded)
	require.Equal(t, pool.LeaseReleased, over.Lease.State)
	require.Equal(t, http.StatusUnprocessableEntity, s.local.do("POST", "/v1/leases", `{}`).status)
	s.local.do("POST", "/v1/leases", `{"selector":{"team":"nobody"}}`).problem(http.StatusNotFound, api.ProblemNotFound)

	plan := as[api.Plan](route("planPool").do("POST", "/v1/pools:plan", document("web", 3, `"worker":{"command":["/bin/other"]}`)).ok(http.StatusOK))
	require.Equal(t, []any{api.PlanUpdate, pool.ChangeRolling, 3, 2}, []any{plan.Action, plan.Change, plan.Launches, plan.Drains})
	require.Equal(t, api.PlanCreate, as[api.Plan](s.local.do("POST", "/v1/pools:plan", document("other", 3)).ok(http.StatusOK)).Action)
	patch := as[api.Plan](route("planPatch").do("POST", "/v1/pools/web:plan", `{"size":5}`).ok(http.StatusOK))
	require.Equal(t, []any{api.PlanUpdate, pool.ChangeHot, 3, 0}, []any{patch.Action, patch.Change, patch.Launches, patch.Drains})
	s.local.do("POST", "/v1/pools/web:plan", `{"size":-1}`).problem(http.StatusUnprocessableEntity, api.ProblemInvalid)
	s.local.do("POST", "/v1/pools/nobody:plan", `{}`).problem(http.StatusNotFound, api.ProblemNotFound)
	require.Equal(t, shown.header.Get("ETag"), s.local.get("/v1/pools/web").header.Get("ETag"), "a plan changes nothing")
	registry := as[api.Registry](route("readRegistry").get("/v1/registry").ok(http.StatusOK))
	require.Equal(t, "web", registry.Pools[0].Name)
	require.Len(t, registry.Pools[0].Endpoints, 2)
	require.Len(t, as[[]api.Targets](route("readTargets").get("/v1/registry/targets").ok(http.StatusOK)), 2*len(workers[0].Instance.Ports))
	watched := route("watchRegistry").begins("/v1/registry:watch", "event: complete")
	require.Equal(t, "text/event-stream", watched.header.Get("Content-Type"))
	require.Contains(t, watched.body, "event: pool\ndata: {\"uid\":\""+uid+`","name":"web"`)
	one := "/v1/pools/web/workers/" + workers[0].ID
	require.True(t, as[pool.Worker](route("cordonWorker").do("POST", one+":cordon", "").ok(http.StatusOK)).Cordoned)
	require.Len(t, as[api.Registry](s.local.get("/v1/registry")).Pools[0].Endpoints, 1, "a cordoned worker takes no leases")
	require.False(t, as[pool.Worker](route("uncordonWorker").do("POST", one+":uncordon", "").ok(http.StatusOK)).Cordoned)
	route("extendDrain").do("POST", one+":extend", `{"by":"10m"}`).problem(http.StatusConflict, api.ProblemWorkerState)
	require.True(t, as[pool.View](route("pausePool").do("POST", "/v1/pools/web:pause", "").ok(http.StatusOK)).Paused)
	require.False(t, as[pool.View](route("resumePool").do("POST", "/v1/pools/web:resume", "").ok(http.StatusOK)).Paused)
	route("promoteRollout").do("POST", "/v1/pools/web:promote", "").problem(http.StatusConflict, api.ProblemNoRollout)
	route("abortRollout").do("POST", "/v1/pools/web:abort", "").problem(http.StatusConflict, api.ProblemNoRollout)
	route("revertPool").with("If-Match: *").do("POST", "/v1/pools/web:revert", `{"revision":7}`).problem(http.StatusNotFound, api.ProblemNotFound)
	drained := as[api.Accepted](route("drainWorker").do("POST", one+":drain", `{}`).ok(http.StatusAccepted))
	s.succeeds(drained.Operation)
	require.NotContains(t, s.local.get("/v1/registry").body, workers[0].ID)

	m := as[api.Manager](route("describeManager").get("/v1/manager").ok(http.StatusOK))
	require.Equal(t, s.id, m.ID)
	require.Equal(t, 1, m.Pools)
	require.Equal(t, []api.Foreign{{WorkerID: "w_lost", PoolUID: "p_lost", PoolName: "lost", PID: 4711}}, m.Foreign)

	change := func(operation, method, path, body string, kind pool.OperationKind) api.Accepted {
		t.Helper()
		done := as[api.Accepted](route(operation).with("If-Match: *").do(method, path, body).ok(http.StatusAccepted))
		require.Equal(t, kind, done.Operation.Kind)
		s.succeeds(done.Operation)
		return done
	}
	patched := change("patchPool", "PATCH", "/v1/pools/web", `{"labels":{"team":"blue"}}`, pool.OperationUpdate)
	require.Equal(t, map[string]string{"team": "blue"}, patched.Pool.Spec.Labels)
	require.Equal(t, int64(2), *patched.Pool.Spec.Size, "what a patch does not name stays")
	resized := change("resizePool", "POST", "/v1/pools/web:resize", `{"size":3}`, pool.OperationResize)
	require.Equal(t, 3, resized.Pool.Status.Desired)
	resized = change("resizePool", "POST", "/v1/pools/web:resize", "size: 1\n", pool.OperationResize)
	require.Equal(t, 1, resized.Pool.Status.Desired, "in YAML too")
	change("putPool", "PUT", "/v1/pools/web", document("web", 1, `"worker":{"command":["/bin/other"]}`), pool.OperationUpdate)
	change("restartPool", "POST", "/v1/pools/web:restart", "", pool.OperationRestart)

	revisions := as[api.RevisionList](route("listRevisions").get("/v1/pools/web/revisions").ok(http.StatusOK)).Revisions
	require.Equal(t, int64(5), revisions[0].Number, "from the newest; a restart makes none")
	require.Equal(t, "a first try", revisions[4].Reason)
	require.Len(t, as[api.RevisionList](s.local.get("/v1/pools/web/revisions?limit=2")).Revisions, 2)

	log := as[api.EventList](route("listEvents").get("/v1/pools/web/events").ok(http.StatusOK))
	require.Equal(t, pool.EventPoolCreated, log.Events[0].Type)
	require.Equal(t, int64(len(log.Events)), log.Next)
	part := as[api.EventList](s.local.get("/v1/pools/web/events?after=3&limit=2").ok(http.StatusOK))
	require.Equal(t, log.Events[3:5], part.Events)
	require.Equal(t, int64(5), part.Next)
	require.JSONEq(t, `{"events":[],"next":100000}`, s.local.get("/v1/pools/web/events?after=100000").ok(http.StatusOK).body)

	change("deletePool", "DELETE", "/v1/pools/web?force=true", "", pool.OperationDelete)
	s.local.get("/v1/pools/web").problem(http.StatusNotFound, api.ProblemNotFound)
	require.Equal(t, pool.StateDestroyed, as[pool.View](s.local.get("/v1/pools/"+uid).ok(http.StatusOK)).Status.State)

	made := as[api.NewToken](route("makeToken").do("POST", "/v1/tokens", `{"name":"ci","role":"viewer","ttl":"1h"}`).ok(http.StatusCreated))
	require.Regexp(t, `^pkt_[A-Za-z0-9_-]{43}$`, made.Secret)
	require.Equal(t, []api.Token{made.Token}, as[api.TokenList](route("listTokens").get("/v1/tokens").ok(http.StatusOK)).Tokens)
	revoked := as[api.Token](route("revokeToken").do("DELETE", "/v1/tokens/"+made.ID, "").ok(http.StatusOK))
	require.False(t, revoked.RevokedAt.IsZero())
	require.Empty(t, as[api.TokenList](s.local.get("/v1/tokens")).Tokens)
	require.Equal(t, []api.Token{revoked}, as[api.TokenList](s.local.get("/v1/tokens?ended=true")).Tokens)

	require.Empty(t, route("stopManager").do("POST", "/v1/manager:stop", "").ok(http.StatusAccepted).body)
	<-stopped

	for _, operation := range described(s) {
		require.True(t, used[operation.ID], "route %s is not tested", operation.ID)
	}
}

func TestPoolsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	s := open(t)
	names := []string{"a", "b", "c", "d", "e"}
	for _, name := range []string{"c", "a", "e", "b", "d"} {
		s.create(name, 0)
	}
	for _, limit := range []string{"1", "2", "5", "1000"} {
		var got []string
		for path := "/v1/pools?limit=" + limit; path != ""; {
			page := as[api.PoolList](s.local.get(path).ok(http.StatusOK))
			for _, v := range page.Pools {
				got = append(got, v.Name)
			}
			path = ""
			if page.Next != "" {
				path = "/v1/pools?limit=" + limit + "&after=" + page.Next
			}
		}
		require.Equal(t, names, got, "limit %s", limit)
		require.True(t, slices.IsSorted(got))
	}
}

func TestHeadAnswersLikeGetWithoutABody(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.created("web", 1)
	for _, path := range []string{"/healthz", "/readyz", "/v1/pools/web", "/v1/pools/web/workers", "/openapi.json"} {
		get, head := s.local.get(path).ok(http.StatusOK), s.local.do("HEAD", path, "").ok(http.StatusOK)
		require.Empty(t, head.body)
		for _, name := range []string{"Content-Type", "ETag", api.HeaderManager} {
			require.Equal(t, get.header.Get(name), head.header.Get(name), "%s of %s", name, path)
		}
	}
	head := s.local.do("HEAD", "/v1/pools/other", "")
	require.Equal(t, http.StatusNotFound, head.status)
	require.Empty(t, head.body)
}

func TestAPutOfTheNewestSpecAnswersItsOperation(t *testing.T) {
	t.Parallel()
	s := open(t)
	created := s.create("web", 1)
	s.succeeds(created.Operation)
	again := as[api.Accepted](s.local.with("If-Match: *").do("PUT", "/v1/pools/web", document("web", 1)).ok(http.StatusOK))
	require.Equal(t, created.Operation.ID, again.Operation.ID)
	require.Equal(t, created.Pool.Generation, again.Pool.Generation)
}
