package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

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
