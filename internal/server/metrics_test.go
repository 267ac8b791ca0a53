package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

func TestMetricsTellHowFullAPoolIsAndWhatBecameOfItsLeases(t *testing.T) {
	t.Parallel()
	s := open(t)
	created := as[api.Accepted](s.local.with("If-None-Match: *").do("PUT", "/v1/pools/web", document("web", 2, `"labels":{"team":"blue"}`)).ok(http.StatusAccepted))
	s.succeeds(created.Operation)
	var leases []string
	for range 3 {
		leases = append(leases, as[api.LeaseView](s.local.do("POST", "/v1/leases", `{"pool":"web"}`)).ID)
	}
	for range 2 {
		leases = append(leases, as[api.LeaseView](s.local.do("POST", "/v1/leases", `{"selector":{"team":"blue"}}`)).ID)
	}

	scrape := func() map[string]int {
		t.Helper()
		text := s.local.get("/metrics").ok(http.StatusOK).body
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		require.NoError(t, err)
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		require.NoError(t, err)
		require.Empty(t, problems)
		values := map[string]int{}
		for name, family := range families {
			for _, m := range family.Metric {
				for _, l := range m.Label {
					if l.GetName() == "state" {
						name += " " + l.GetValue()
					}
				}
				values[name] = int(m.GetGauge().GetValue()+m.GetCounter().GetValue()) + int(m.GetHistogram().GetSampleCount())
				name, _, _ = strings.Cut(name, " ")
			}
		}
		return values
	}
	got := scrape()
	for name, want := range map[string]int{
		"poolkeeper_pool_desired_workers": 2, "poolkeeper_pool_available_workers": 2, "poolkeeper_pool_slots": 2,
		"poolkeeper_pool_busy_slots": 2, "poolkeeper_pool_waiting_leases": 1, "poolkeeper_waiting_leases_by_selector": 2, "poolkeeper_leases_total held": 2, "poolkeeper_lease_wait_seconds": 2,
	} {
		require.Equal(t, want, got[name], name)
	}
	require.Positive(t, got["go_goroutines"])

	s.local.do("DELETE", "/v1/leases/"+leases[0], "").ok(http.StatusOK)
	got = scrape()
	require.Equal(t, 0, got["poolkeeper_pool_waiting_leases"])
	require.Equal(t, 3, got["poolkeeper_lease_wait_seconds"], "the one who waited has got the slot")
	require.Equal(t, 1, got["poolkeeper_leases_total released"])

	deleted := as[api.Accepted](s.local.with("If-Match: *").do("DELETE", "/v1/pools/web?force=true", "").ok(http.StatusAccepted))
	s.succeeds(deleted.Operation)
	s.local.do("DELETE", "/v1/leases/"+leases[3], "").ok(http.StatusOK)
	got = scrape()
	require.Equal(t, 1, got["poolkeeper_waiting_leases_by_selector"], "which are no pool's")
	delete(got, "poolkeeper_waiting_leases_by_selector")
	for name := range got {
		require.False(t, strings.HasPrefix(name, "poolkeeper_"), "%s of a pool that is gone", name)
	}
	s.remote.without().get("/metrics").problem(http.StatusUnauthorized, api.ProblemUnauthorized)
}
