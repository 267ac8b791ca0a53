package pool_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestAPatchChangesOnlyWhatItNames(t *testing.T) {
	for behaviour, c := range map[string]struct {
		patch string
		want  func(*pool.Spec)
	}{
		"nothing":                         {`{}`, func(*pool.Spec) {}},
		"an empty object":                 {`{"health": {}, "labels": {}, "worker": {"env": {}}}`, func(*pool.Spec) {}},
		"a leaf":                          {`{"size": 7}`, func(s *pool.Spec) { s.Size = number(7) }},
		"an inner leaf":                   {`{"drain": {"grace": "3s"}}`, func(s *pool.Spec) { s.Drain.Grace = pool.Duration(3 * time.Second) }},
		"null brings the default back":    {`{"drain": {"timeout": null}}`, func(s *pool.Spec) { s.Drain.Timeout = pool.Duration(5 * time.Minute) }},
		"null of an object, all defaults": {`{"drain": null}`, func(s *pool.Spec) { s.Drain = pool.Default().Drain }},
		"null takes away":                 {`{"labels": null, "description": null, "size": null, "runtime": null}`, func(s *pool.Spec) { s.Labels, s.Description, s.Size, s.Runtime = nil, "", nil, pool.Runtime{} }},
		"null of what is not there":       {`{"health": {"tcp": null}}`, func(*pool.Spec) {}},
		"a map is merged":                 {`{"labels": {"tier": "1", "team": null}}`, func(s *pool.Spec) { s.Labels = map[string]string{"tier": "1"} }},
		"the last key of a map":           {`{"labels": {"team": null}}`, func(s *pool.Spec) { s.Labels = nil }},
		"a list is replaced":              {`{"worker": {"command": ["x"], "ports": [{"name": "one"}]}}`, func(s *pool.Spec) { s.Worker.Command, s.Worker.Ports = []string{"x"}, []pool.Port{{Name: "one"}} }},
		"a probe is exchanged":            {`{"health": {"http": null, "tcp": {}}}`, func(s *pool.Spec) { s.Health.HTTP, s.Health.TCP = nil, &pool.TCPProbe{} }},
		"a probe becomes a command": {`{"health": {"http": null, "exec": {"command": ["a"]}}}`, func(s *pool.Spec) {
			s.Health.HTTP, s.Health.Exec = nil, &pool.ExecProbe{Command: []string{"a"}}
		}},
		"a probe keeps its other leaves":  {`{"health": {"http": {"path": "/x"}}}`, func(s *pool.Spec) { s.Health.HTTP = &pool.HTTPProbe{Path: "/x", Port: "admin"} }},
		"a leaf of a probe is taken away": {`{"health": {"http": {"path": null}}}`, func(s *pool.Spec) { s.Health.HTTP = &pool.HTTPProbe{Port: "admin"} }},
		"nulls of a new object disappear": {`{"health": {"tcp": {"port": null}}}`, func(s *pool.Spec) { s.Health.TCP = &pool.TCPProbe{} }},
		"YAML":                            {"size: 4\nlabels:\n  team:\n", func(s *pool.Spec) { s.Size, s.Labels = number(4), nil }},
		"an amount in its other form": {`{"update": {"max_surge": 2, "max_unavailable": "10%"}}`, func(s *pool.Spec) {
			s.Update.MaxSurge, s.Update.MaxUnavailable = pool.Amount{Value: 2}, pool.Amount{Value: 10, Percent: true}
		}},
	} {
		t.Run(behaviour, func(t *testing.T) {
			before := validSpec()
			got, err := pool.Patch(before, []byte(c.patch))
			require.NoError(t, err)
			require.Equal(t, rewritten(c.want), got)
			require.Equal(t, validSpec(), before, "the patched spec is left as it is")
		})
	}
}

func TestAPatchThatCannotBeReadChangesNothing(t *testing.T) {
	for behaviour, c := range map[string]struct {
		patch string
		want  []place
	}{
		"an unknown field":   {`{"siez": 1}`, []place{{1, 2, "siez", "no such field"}}},
		"null of no field":   {`{"siez": null}`, []place{{1, 2, "siez", "no such field"}}},
		"a wrong type":       {"size: x\nworker: []", []place{{1, 7, "size", "whole number"}, {2, 9, "worker", "not an object"}}},
		"null in a list":     {`{"worker": {"command": ["a", null]}}`, []place{{1, 30, "worker.command[1]", "not a string"}}},
		"something else":     {`[]`, []place{{1, 1, "", "not an object"}}},
		"null":               {`null`, []place{{1, 1, "", "not an object"}}},
		"nothing":            {``, []place{{0, 0, "", "empty"}}},
		"no document at all": {`{"size" 1}`, []place{{1, 9, "", "invalid character '1'"}}},
	} {
		t.Run(behaviour, func(t *testing.T) {
			_, err := pool.Patch(validSpec(), []byte(c.patch))
			requirePlaces(t, c.want, err)
		})
	}
}

// The examples of RFC 7396, appendix A, that a spec can express.
func TestAPatchFollowsTheExamplesOfTheRFC(t *testing.T) {
	for _, c := range []struct{ original, patch, result string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"e":"null"}`, `{"a":"1"}`, `{"a":"1","e":"null"}`},
		{`{}`, `{"a":null}`, `{}`},
	} {
		var original, result map[string]string
		require.NoError(t, json.Unmarshal([]byte(c.original), &original))
		require.NoError(t, json.Unmarshal([]byte(c.result), &result))
		if len(result) == 0 {
			result = nil // a map that is empty is left out
		}
		before := rewritten(func(s *pool.Spec) { s.RestartTriggers = original })
		got, err := pool.Patch(before, []byte(`{"restart_triggers": `+c.patch+`}`))
		require.NoError(t, err)
		require.Equal(t, result, got.RestartTriggers, "%s patched with %s", c.original, c.patch)
	}
}
