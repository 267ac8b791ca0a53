package provider

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/stretchr/testify/require"
)

// query lists pools as terraform query does; it stops to listen after as many as stop, 0 for never.
func (tf *core) query(config object, limit int64, include bool, stop int) (results []tfprotov6.ListResourceResult) {
	tf.t.Helper()
	typ := tf.schema.ListResourceSchemas[poolType].ValueType()
	server, ok := tf.server.(tfprotov6.ProviderServerWithListResource) //nolint:staticcheck // nothing else has it until it is moved
	require.True(tf.t, ok)
	stream, err := server.ListResource(tf.t.Context(), &tfprotov6.ListResourceRequest{
		TypeName: poolType, Config: tf.dynamic(typ, value(tf.t, typ, config)), Limit: limit, IncludeResource: include,
	})
	require.NoError(tf.t, err)
	for result := range stream.Results {
		if results = append(results, result); len(results) == stop {
			break
		}
	}
	return results
}

func TestPoolsAreListedToBeImported(t *testing.T) {
	fake := newFake()
	for i := range 5 {
		newTerraform(t, fake).reaches(web(object{"name": fmt.Sprint("web-", i), "labels": object{"odd": fmt.Sprint(i % 2)}}))
	}
	fake.mutations()
	tf := newTerraform(t, fake)
	for name, row := range map[string]struct {
		config   object
		limit    int64
		stop     int
		expected []string
	}{
		"all":               {object{}, 100, 0, []string{"web-0", "web-1", "web-2", "web-3", "web-4"}},
		"by labels":         {object{"labels": object{"odd": "1"}}, 100, 0, []string{"web-1", "web-3"}},
		"as many as wanted": {object{"labels": object{"odd": "0"}}, 2, 0, []string{"web-0", "web-2"}},
		"until nobody asks": {object{}, 100, 1, []string{"web-0"}},
		"none":              {object{"labels": object{"odd": "2"}}, 100, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var names []string
			for _, r := range tf.query(row.config, row.limit, false, row.stop) {
				require.Empty(t, summaries(r.Diagnostics))
				require.Nil(t, r.Resource)
				identity, err := r.Identity.IdentityData.Unmarshal(identityType)
				require.NoError(t, err)
				require.Equal(t, r.DisplayName, plain(valueAt(identity, identityName)))
				names = append(names, r.DisplayName)
			}
			require.Equal(t, row.expected, names)
			asked := 0
			for _, call := range fake.asked {
				if call[:8] == "EachPool" {
					asked++
				}
			}
			fake.asked = nil
			require.LessOrEqual(t, asked, 5)
			if row.stop > 0 {
				require.Equal(t, row.stop, asked, "no more is read than is wanted")
			}
		})
	}

	whole := tf.query(object{}, 1, true, 0)[0]
	require.Empty(t, summaries(whole.Diagnostics))
	shown := tf.unpacked(whole.Resource)
	require.Equal(t, []any{"web-0", int64(3), "active"}, []any{plain(valueAt(shown, "name")), plain(valueAt(shown, "size")), plain(valueAt(shown, "state"))})

	fake.fail("EachPool", errors.New("the store is on fire"))
	results := tf.query(object{}, 100, false, 0)
	require.Len(t, results, 1)
	require.ErrorContains(t, firstError(results[0].Diagnostics), "the store is on fire", "an error is told inside of the stream")
}
