package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// mutations change an existing pool of size 1, each in its way.
func mutations(name string) map[string]string {
	at := "/v1/pools/" + name
	return map[string]string{
		"PUT " + at:               document(name, 2),
		"PATCH " + at:             `{"size":2}`,
		"POST " + at + ":resize":  `{"size":2}`,
		"POST " + at + ":restart": "",
		"DELETE " + at:            "",
	}
}

// forEachMutation has a pool changed in every way, each time another pool.
func forEachMutation(t *testing.T, s *stage, try func(c caller, name, method, path, body string)) {
	t.Helper()
	for i := range len(mutations("")) {
		name := fmt.Sprintf("web-%d", i)
		s.created(name, 1)
		all := mutations(name)
		route := slices.Sorted(maps.Keys(all))[i]
		method, path, _ := strings.Cut(route, " ")
		t.Run(route, func(t *testing.T) {
			c := s.local
			c.t = t
			try(c, name, method, path, all[route])
		})
	}
}

func TestAChangeNeedsTheStateItIsBasedOn(t *testing.T) {
	t.Parallel()
	s := open(t)
	forEachMutation(t, s, func(c caller, name, method, path, body string) {
		etag := c.get("/v1/pools/" + name).header.Get("ETag")
		p := c.do(method, path, body).problem(http.StatusPreconditionRequired, api.ProblemPrecondition)
		require.Contains(c.t, p.Detail, "If-Match")
		for _, stale := range []string{`"p_other.1"`, strings.Replace(etag, `.1"`, `.0"`, 1), strings.Replace(etag, `.1"`, `.2"`, 1), "x"} {
			p := c.with("If-Match: "+stale).do(method, path, body).problem(http.StatusPreconditionFailed, api.ProblemStale)
			require.NotEmpty(c.t, p.UID)
		}
		require.Equal(c.t, etag, c.get("/v1/pools/"+name).header.Get("ETag"), "nothing was changed")

		done := c.with("If-Match: "+etag).do(method, path, body).ok(http.StatusAccepted)
		require.NotEqual(c.t, etag, done.header.Get("ETag"))
		if method != http.MethodDelete && method != http.MethodPut { // which can be repeated
			c.with("If-Match: "+etag).do(method, path, body).problem(http.StatusPreconditionFailed, api.ProblemStale)
		}
	})
}

func TestAPutSaysWhetherThePoolIsNew(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.local.do("PUT", "/v1/pools/web", document("web", 1)).problem(http.StatusPreconditionRequired, api.ProblemPrecondition)
	s.local.with("If-Match: *").do("PUT", "/v1/pools/web", document("web", 1)).problem(http.StatusNotFound, api.ProblemNotFound)
	v := s.created("web", 1) // and waited for: its creator knows of it

	p := s.local.with("If-None-Match: *").do("PUT", "/v1/pools/web", document("web", 2)).problem(http.StatusConflict, api.ProblemExists)
	require.Equal(t, v.UID, p.UID)
	require.Equal(t, int64(1), as[pool.View](s.local.get("/v1/pools/web")).Generation)
}

func TestConflictsAreProblemsThatNameWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.created("web", 1)
	change := s.local.with("If-Match: *")

	p := change.do("PATCH", "/v1/pools/web", `{"name":"other"}`).problem(http.StatusConflict, api.ProblemReplace)
	require.Equal(t, []at{{path: "name"}}, places(p.Errors))

	change.do("PATCH", "/v1/pools/web", `{"deletion_protection":true}`).ok(http.StatusAccepted)
	for _, path := range []string{"/v1/pools/web", "/v1/pools/web?force=true"} {
		p = change.do("DELETE", path, "").problem(http.StatusConflict, api.ProblemProtected)
		require.Contains(t, p.Detail, "deletion_protection")
	}

	defer s.host.ignoreSignals()()
	change.do("PATCH", "/v1/pools/web", `{"deletion_protection":false}`).ok(http.StatusAccepted)
	deleting := as[api.Accepted](change.do("DELETE", "/v1/pools/web", "").ok(http.StatusAccepted))
	p = change.do("PUT", "/v1/pools/web", document("web", 2)).problem(http.StatusConflict, api.ProblemDeleting)
	require.Equal(t, deleting.Operation.ID, p.Operation.ID)
	require.Equal(t, deleting.Pool.UID, p.UID)
	again := as[api.Accepted](change.do("DELETE", "/v1/pools/web", "").ok(http.StatusOK))
	require.Equal(t, deleting.Operation.ID, again.Operation.ID)
}

func TestARepeatedRequestIsAnsweredWithTheFirstOnesOperation(t *testing.T) {
	t.Parallel()
	s := open(t)
	defer s.host.ignoreSignals()() // a pool is still there when it is deleted
	forEachMutation(t, s, func(c caller, name, method, path, body string) {
		key := "Idempotency-Key: once for " + name
		etag := c.get("/v1/pools/" + name).header.Get("ETag")
		based := c.with("If-Match: "+etag, key)
		first := as[api.Accepted](based.do(method, path, body).ok(http.StatusAccepted))
		again := as[api.Accepted](based.do(method, path, body).ok(http.StatusOK))
		require.Equal(c.t, first.Operation.ID, again.Operation.ID)
		require.True(c.t, first.Changed)
		require.False(c.t, again.Changed)
		require.Equal(c.t, int64(2), again.Pool.Generation, "changed once, though the ETag is stale by now")

		c.with("If-Match: *", key).do(method, path, body).problem(http.StatusUnprocessableEntity, api.ProblemKeyReused)
		for other, body := range mutations(name) {
			if other != method+" "+path {
				method, path, _ := strings.Cut(other, " ")
				based.do(method, path, body).problem(http.StatusUnprocessableEntity, api.ProblemKeyReused)
			}
		}
	})
}

// What is steered is done at once, so a repetition finds that there is nothing to do any more, or would do it again.
func TestWhatIsSteeredAgainUnderItsKeyIsAnsweredLikeTheFirstTime(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.created("web", 2)
	const web = "/v1/pools/web"
	asked := func() (events []pool.Event) {
		for _, e := range as[api.EventList](s.local.get(web + "/events").ok(http.StatusOK)).Events {
			if !strings.HasPrefix(e.Author, "system:") {
				events = append(events, e)
			}
		}
		return events
	}
	under := func(path string) caller { return s.local.with("Idempotency-Key: once for " + path) }
	bodies := map[string]string{} // by the paths that were asked
	steer := func(path, body string, shown func(reply) any) {
		t.Helper()
		first := under(path).do("POST", path, body).ok(http.StatusOK)
		before := asked()
		again := under(path).do("POST", path, body).ok(http.StatusOK)
		require.Equal(t, shown(first), shown(again), path)
		require.Equal(t, before, asked(), path)
		bodies[path] = body
	}
	going := func(r reply) any { // what of a pool does not move by itself
		v := as[pool.View](r)
		return []any{v.UID, v.Paused, v.Steered, v.Generation}
	}
	whole := func(r reply) any { return as[pool.Worker](r) }
	rolled := func(command string) (o pool.Operation) {
		t.Helper()
		body := document("web", 2, `"worker":{"command":["`+command+`"]}`, `"update":{"canary":{"promote":"manual"}}`)
		o = as[api.Accepted](s.local.with("If-Match: *").do("PUT", web, body).ok(http.StatusAccepted)).Operation
		o = as[pool.Operation](s.local.get("/v1/operations/" + o.ID + "?wait=60s").ok(http.StatusOK))
		require.Equal(t, pool.OperationAwaiting, o.Phase)
		return o
	}

	steer(web+":pause", "", going)
	steer(web+":resume", "", going)
	one := web + "/workers/" + as[api.WorkerList](s.local.get(web + "/workers")).Workers[0].ID
	steer(one+":cordon", "", whole)
	steer(one+":uncordon", "", whole)
	o := rolled("/bin/v2")
	steer(web+":promote", "", going)
	s.succeeds(o)
	o = rolled("/bin/v3")
	steer(web+":abort", "", going)
	o = as[pool.Operation](s.local.get("/v1/operations/" + o.ID + "?wait=60s").ok(http.StatusOK))
	require.Equal(t, pool.OperationCanceled, o.Phase)
	busy := as[api.LeaseView](s.local.do("POST", "/v1/leases", `{"pool":"web"}`).ok(http.StatusOK)).WorkerID
	s.local.do("POST", web+"/workers/"+busy+":drain", `{"replace":false}`).ok(http.StatusAccepted)
	extend := web + "/workers/" + busy + ":extend"
	require.Eventually(t, func() bool { return s.local.do("POST", extend, `{"by":"1m"}`).status == http.StatusOK }, patience, time.Millisecond)
	steer(extend, `{"by":"10m"}`, whole)

	before := asked()
	for path, body := range bodies {
		under(path).do("POST", path, body).ok(http.StatusOK) // though all of it is over by now
		for other, body := range bodies {
			if other != path {
				under(path).do("POST", other, body).problem(http.StatusUnprocessableEntity, api.ProblemKeyReused)
			}
		}
	}
	under(extend).do("POST", extend, `{"by":"20m"}`).problem(http.StatusUnprocessableEntity, api.ProblemKeyReused)
	require.Equal(t, before, asked())
}

func TestAKeyBelongsToItsAuthor(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.created("web", 1)
	header := []string{"If-Match: *", "Idempotency-Key: once"}
	one := as[api.Accepted](s.local.with(header...).do("POST", "/v1/pools/web:restart", "").ok(http.StatusAccepted))
	two := as[api.Accepted](s.remote.with(header...).do("POST", "/v1/pools/web:restart", "").ok(http.StatusAccepted))
	require.NotEqual(t, one.Operation.ID, two.Operation.ID)
}

func TestARefusedRequestDoesNotUseUpItsKey(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.created("web", 1)
	c := s.local.with("Idempotency-Key: once")
	c.do("PATCH", "/v1/pools/web", `{"size":2}`).problem(http.StatusPreconditionRequired, api.ProblemPrecondition)
	c.with("If-Match: *").do("PATCH", "/v1/pools/web", `{"size":2}`).ok(http.StatusAccepted)
}

func TestARequestRepeatedAtTheSameMomentIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := s.local.with("If-None-Match: *", "Idempotency-Key: once")
	const times = 8
	replies, errs := make([]reply, times), make([]error, times)
	var sent sync.WaitGroup
	for i := range times {
		sent.Go(func() { replies[i], errs[i] = c.try(t.Context(), "PUT", "/v1/pools/web", document("web", 1)) })
	}
	sent.Wait()
	statuses := map[int]int{}
	for i, r := range replies {
		require.NoError(t, errs[i])
		statuses[r.status]++
		require.Equal(t, as[api.Accepted](replies[0]).Operation.ID, as[api.Accepted](r).Operation.ID)
	}
	require.Equal(t, map[int]int{http.StatusAccepted: 1, http.StatusOK: times - 1}, statuses)
}
