package server_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

func TestThereAreNoLeasesOfAPoolThatIsGone(t *testing.T) {
	t.Parallel()
	s := open(t)
	acquire := func(ref string) reply { return s.local.do("POST", "/v1/leases", fmt.Sprintf(`{"pool":%q}`, ref)) }
	uid := s.created("web", 1).UID
	acquire("other").problem(http.StatusNotFound, api.ProblemNotFound)
	acquire("p_0").problem(http.StatusNotFound, api.ProblemNotFound)

	restore := s.host.ignoreSignals()
	destroy := as[api.Accepted](s.local.with("If-Match: *").do("DELETE", "/v1/pools/web", "").ok(http.StatusAccepted))
	for _, ref := range []string{"web", uid} {
		p := acquire(ref).problem(http.StatusConflict, api.ProblemDeleting)
		require.Equal(t, []string{destroy.Operation.ID, uid}, []string{p.Operation.ID, p.UID})
	}
	restore()
	s.succeeds(as[api.Accepted](s.local.with("If-Match: *").do("DELETE", "/v1/pools/web?force=true", "").ok(http.StatusAccepted)).Operation)
	acquire("web").problem(http.StatusNotFound, api.ProblemNotFound)
	p := acquire(uid).problem(http.StatusNotFound, api.ProblemNotFound)
	require.Contains(t, p.Detail, "is destroyed")
}

func TestAStoreThatCannotBeWrittenEndsNoLeaseAndForgetsNoClaim(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.created("web", 1)
	const asks = `{"pool":"web"}`
	held := as[api.LeaseView](s.local.do("POST", "/v1/leases", asks).ok(http.StatusOK))
	first := as[api.LeaseView](s.local.do("POST", "/v1/leases", asks).ok(http.StatusAccepted))
	waits := s.local.begin("POST", "/v1/leases", `{"pool":"web","wait":"60s"}`)
	listed := func() (ids []string) {
		for _, l := range as[api.LeaseList](s.local.get("/v1/pools/web/leases").ok(http.StatusOK)).Leases {
			ids = append(ids, l.ID)
		}
		return ids
	}
	require.Eventually(t, func() bool { return len(listed()) == 3 }, patience, time.Millisecond)
	before := listed()

	s.disk.fail(nil, fmt.Errorf("commit: %w: the disk is full", store.ErrUnwritable))
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/v1/leases", asks},
		{"POST", "/v1/leases", `{"pool":"web","wait":"60s"}`},
		{"POST", "/v1/leases/" + held.ID + ":renew", ""},
		{"POST", "/v1/leases/" + first.ID + ":renew", ""},
		{"GET", "/v1/leases/" + first.ID + "?wait=60s", ""},
		{"DELETE", "/v1/leases/" + held.ID, ""},
	} {
		p := s.local.do(c.method, c.path, c.body).problem(http.StatusServiceUnavailable, api.ProblemStore)
		require.Contains(t, p.Detail, "the disk is full; nothing was changed", c.path)
	}
	require.Equal(t, before, listed())

	s.disk.fail(nil, nil)
	s.local.do("POST", "/v1/leases/"+held.ID+":renew", "").ok(http.StatusOK)
	for _, next := range []func() api.LeaseView{
		func() api.LeaseView {
			return as[api.LeaseView](s.local.get("/v1/leases/" + first.ID + "?wait=60s").ok(http.StatusOK))
		},
		func() api.LeaseView { return as[api.LeaseView](waits.answer().ok(http.StatusOK)) },
	} {
		s.local.do("DELETE", "/v1/leases/"+held.ID, "").ok(http.StatusOK)
		held = next()
		require.Equal(t, pool.LeaseHeld, held.State, "each in its turn")
	}
}
