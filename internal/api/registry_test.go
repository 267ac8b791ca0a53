package api_test

import (
	"encoding/json"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

func TestEachPortOfEachWorkerIsATarget(t *testing.T) {
	groups := api.TargetsOf(api.Registry{Pools: []api.RegisteredPool{
		{Name: "web", Host: "alpha", Labels: map[string]string{"team": "core", "example.com/tier-1": "é \"front\""}, Endpoints: []api.Endpoint{
			{WorkerID: "w_1", Ports: map[string]int{"metrics": 9002, "http": 9001}},
			{WorkerID: "w_2", Ports: map[string]int{"http": 9003}},
			{WorkerID: "w_3"},
		}},
		{Name: "idle", Host: "alpha"},
		{Name: "batch", Host: "alpha", Endpoints: []api.Endpoint{{WorkerID: "w_4", Ports: map[string]int{"rpc": 65535}}}},
	}})
	of := func(pool, worker, port string, more map[string]string) map[string]string {
		labels := map[string]string{
			"__meta_poolkeeper_pool": pool, "__meta_poolkeeper_worker": worker, "__meta_poolkeeper_port": port, "__meta_poolkeeper_host": "alpha",
		}
		for k, v := range more {
			labels[k] = v
		}
		return labels
	}
	web := map[string]string{"__meta_poolkeeper_label_team": "core", "__meta_poolkeeper_label_example_com_tier_1": "é \"front\""}
	require.Equal(t, []api.Targets{
		{Targets: []string{"127.0.0.1:9001"}, Labels: of("web", "w_1", "http", web)},
		{Targets: []string{"127.0.0.1:9002"}, Labels: of("web", "w_1", "metrics", web)},
		{Targets: []string{"127.0.0.1:9003"}, Labels: of("web", "w_2", "http", web)},
		{Targets: []string{"127.0.0.1:65535"}, Labels: of("batch", "w_4", "rpc", nil)},
	}, groups)
	for _, g := range groups {
		for name := range g.Labels {
			require.True(t, model.LegacyValidation.IsValidLabelName(name), name)
		}
	}
}

func TestNoTargetsAreAnEmptyList(t *testing.T) {
	for name, r := range map[string]api.Registry{"no pool": {}, "no worker": {Pools: []api.RegisteredPool{{Name: "web"}}}} {
		text, err := json.Marshal(api.TargetsOf(r))
		require.NoError(t, err)
		require.Equal(t, "[]", string(text), name)
	}
}

func TestLabelsThatComeToTheSameNameAreToldAlike(t *testing.T) {
	r := api.Registry{Pools: []api.RegisteredPool{{
		Labels:    map[string]string{"a-b": "first", "a.b": "second", "a_b": "third"},
		Endpoints: []api.Endpoint{{Ports: map[string]int{"http": 9001}}},
	}}}
	for range 50 {
		require.Equal(t, "third", api.TargetsOf(r)[0].Labels["__meta_poolkeeper_label_a_b"])
	}
}
