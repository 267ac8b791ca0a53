package server_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

// Prometheus takes only a list of that type, also an empty one (its documentation of HTTP service discovery).
func TestTargetsAreForPrometheus(t *testing.T) {
	t.Parallel()
	s := open(t)
	targets := func() []api.Targets {
		t.Helper()
		got := s.local.get("/v1/registry/targets").ok(http.StatusOK)
		require.Equal(t, "application/json", got.header.Get("Content-Type"))
		require.Regexp(t, `^\[`, got.body)
		return as[[]api.Targets](got)
	}
	require.Empty(t, targets())
	spec := document("web", 1, `"labels":{"team/name":"core"}`, `"worker":{"command":["/bin/worker"],"ports":[{"name":"http"}]}`)
	s.succeeds(as[api.Accepted](s.local.with("If-None-Match: *").do("PUT", "/v1/pools/web", spec).ok(http.StatusAccepted)).Operation)
	worker := as[api.WorkerList](s.local.get("/v1/pools/web/workers")).Workers[0].ID
	require.Equal(t, []api.Targets{{
		Targets: []string{"127.0.0.1:10001"},
		Labels: map[string]string{
			"__meta_poolkeeper_pool": "web", "__meta_poolkeeper_worker": worker, "__meta_poolkeeper_port": "http",
			"__meta_poolkeeper_host": hostName, "__meta_poolkeeper_label_team_name": "core",
		},
	}}, targets())
}
