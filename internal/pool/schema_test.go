package pool_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func schema(t *testing.T) (*jsonschema.Schema, *jsonschema.Resolved) {
	t.Helper()
	data, err := pool.JSONSchema()
	require.NoError(t, err)
	var s jsonschema.Schema
	require.NoError(t, json.Unmarshal(data, &s))
	resolved, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	require.NoError(t, err)
	return &s, resolved
}

func instance(t *testing.T, document string) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal([]byte(document), &v), document)
	return v
}

// minimal is a valid document with more members, each written as JSON.
func minimal(members ...string) string {
	return "{" + strings.Join(append([]string{`"name": "web"`, `"size": 1`, `"worker": {"command": ["a"]}`}, members...), ", ") + "}"
}

func TestTheSchemaDescribesEveryField(t *testing.T) {
	root, _ := schema(t)
	require.Equal(t, "https://json-schema.org/draft/2020-12/schema", root.Schema)
	require.Equal(t, []string{"name", "worker"}, root.Required, "and one of size and autoscaling")
	for _, f := range pool.Fields {
		s := root
		for name := range strings.SplitSeq(f.Path, ".") {
			require.Equal(t, "object", s.Type, f.Path)
			require.Contains(t, s.Properties, name, f.Path)
			s = s.Properties[name]
		}
		require.True(t, strings.HasPrefix(s.Description, f.Doc), f.Path)
		require.Equal(t, f.Default != "", s.Default != nil, f.Path)
		require.Len(t, s.Enum, len(f.Enum), f.Path)
		for _, bound := range []string{f.Min, f.Max} {
			if bound != "" && f.Kind != pool.KindInt {
				require.Contains(t, s.Description, bound, f.Path)
			}
		}
	}
	for _, object := range pool.Objects() {
		s := root
		for name := range strings.SplitSeq(object, ".") {
			s = s.Properties[name]
		}
		require.NotNil(t, s.AdditionalProperties, object)
	}
}

func TestTheSchemaIsAlwaysTheSame(t *testing.T) {
	first, err := pool.JSONSchema()
	require.NoError(t, err)
	for range 20 {
		again, err := pool.JSONSchema()
		require.NoError(t, err)
		require.Equal(t, string(first), string(again))
	}
	require.Less(t, strings.Index(string(first), `"name"`), strings.Index(string(first), `"restart_triggers"`), "properties stand in the order of the docs")
	require.True(t, strings.HasSuffix(string(first), "}\n"))
}

func TestTheSchemaAdmitsWhatIsValid(t *testing.T) {
	_, resolved := schema(t)
	documents := []string{
		minimal(),
		minimal(`"health": {}`, `"labels": {}`, `"runtime": {"process": {}}`),
		minimal(`"health": {"http": {}}`),
		minimal(`"health": {"tcp": {"port": "http"}}`),
		minimal(`"health": {"grpc": {}}`),
		minimal(`"health": {"grpc": {"service": "web.Front"}}`),
		minimal(`"health": {"exec": {"command": ["/bin/check"]}}`),
		minimal(`"update": {"max_surge": 2, "max_unavailable": "10%"}`),
		minimal(`"update": {"max_surge": "2"}`),
		minimal(`"logs": {"max_size": 4096, "keep": 0}`),
		minimal(`"logs": {"max_size": "1Gi"}`),
		minimal(`"drain": {"timeout": "1h30m", "grace": "0", "deregister_delay": "1.5s"}`),
		minimal(`"labels": {"example.com/team": "core"}`, `"restart_triggers": {"any key": ""}`),
		minimal(`"description": "two\nlines ü"`),
		strings.Replace(minimal(), `"size": 1`, `"autoscaling": {"min": 0, "max": 3}`, 1),
	}
	for _, change := range changed {
		spec := rewritten(change)
		if pool.Validate(spec, nil) == nil {
			data, err := json.Marshal(spec)
			require.NoError(t, err)
			documents = append(documents, string(data))
		}
	}
	require.Greater(t, len(documents), 35)
	for _, document := range documents {
		spec, err := pool.Decode([]byte(document))
		require.NoError(t, err, document)
		_ = spec
		require.NoError(t, resolved.Validate(instance(t, document)), document)
	}
	for _, f := range pool.Fields {
		for _, value := range slices.Concat([]string{f.Default, f.Min, f.Max}, f.Enum) {
			if value == "" {
				continue
			}
			var members map[string]any
			require.NoError(t, json.Unmarshal(documentWith(t, f, value), &members))
			whole := instance(t, minimal()).(map[string]any)
			if strings.HasPrefix(f.Path, "autoscaling.") {
				delete(whole, "size")
				whole["autoscaling"] = map[string]any{"min": 0.0, "max": 100000.0}
			}
			for name, v := range members {
				if inner, ok := whole[name].(map[string]any); ok {
					maps.Copy(inner, v.(map[string]any))
					continue
				}
				whole[name] = v
			}
			require.NoError(t, resolved.Validate(whole), "%s: %s", f.Path, value)
		}
	}
}

func TestTheSchemaRefusesWhatIsNot(t *testing.T) {
	_, resolved := schema(t)
	for _, document := range []string{
		`{}`, `[]`, `null`, `"web"`,
		`{"name": "web", "size": 1}`,
		`{"name": "web", "size": 1, "worker": {}}`,
		`{"name": "web", "size": 1, "worker": {"command": []}}`,
		`{"name": "web", "size": 1, "worker": {"command": "a"}}`,
		`{"name": "web", "size": 1, "worker": {"command": [1]}}`,
		minimal(`"siez": 1`),
		minimal(`"health": {"intervall": "1s"}`),
		minimal(`"health": {"http": {"paht": "/"}}`),
		minimal(`"health": {"http": {}, "tcp": {}}`),
		minimal(`"health": {"grpc": {}, "exec": {"command": ["a"]}}`),
		minimal(`"health": {"exec": {}}`),
		minimal(`"health": {"exec": {"command": []}}`),
		minimal(`"health": {"exec": {"command": "a"}}`),
		minimal(`"health": {"grpc": {"service": "a\nb"}}`),
		minimal(`"health": {"interval": 5}`),
		minimal(`"health": {"interval": "5 minutes"}`),
		minimal(`"health": {"interval": "-5m"}`),
		minimal(`"health": {"interval": ""}`),
		minimal(`"health": {"healthy_threshold": 0}`),
		minimal(`"health": {"healthy_threshold": 1.5}`),
		minimal(`"runtime": {"docker": {}}`),
		minimal(`"initialization": "warm"`),
		minimal(`"drain": {"signal": "KILL"}`),
		minimal(`"update": {"max_surge": -1}`),
		minimal(`"update": {"max_surge": 2.5}`),
		minimal(`"update": {"max_surge": "a quarter"}`),
		minimal(`"logs": {"max_size": 1}`),
		minimal(`"logs": {"max_size": "10 MiB"}`),
		minimal(`"labels": {"a": 1}`),
		minimal(`"labels": {"a b": "c"}`),
		minimal(`"deletion_protection": "true"`),
		minimal(`"autoscaling": {"min": 0, "max": 3}`),
		strings.Replace(minimal(), `"size": 1`, `"autoscaling": {"max": 3}`, 1),
		strings.Replace(minimal(), `"size": 1`, `"labels": {}`, 1),
		strings.Replace(minimal(), `"command"`, `"env": {"A-B": "x"}, "command"`, 1),
		strings.Replace(minimal(), `"command"`, `"ports": [{}], "command"`, 1),
		strings.Replace(minimal(), `"command"`, `"ports": [{"name": "HTTP"}], "command"`, 1),
		strings.Replace(minimal(), `"command"`, `"ports": [{"name": "a", "number": 1}], "command"`, 1),
		strings.Replace(minimal(), `"size": 1`, `"size": 100001`, 1),
		strings.Replace(minimal(), `"size": 1`, `"size": "1"`, 1),
		strings.Replace(minimal(), `"web"`, `"Web"`, 1),
	} {
		require.Error(t, resolved.Validate(instance(t, document)), document)
		spec, err := pool.Decode([]byte(document))
		if err == nil {
			err = pool.Validate(spec, nil)
		}
		require.Error(t, err, "what the schema refuses is invalid: %s", document)
	}
}

// Some rules read several fields, or bounds of text: an editor cannot know them.
var beyondSchema = []string{
	"a long label", "a long trigger", "a command without a program", "NUL in an argument", "a port that is not declared",
	"${PORT} without a port", "PORT in the environment", "our variables", "our variables as secrets", "a secret that is a variable too", "secrets without a version", "NUL in a variable", "a port twice",
	"a hook of another port", "a hook that tells nothing", "jobs of another port", "jobs at no JSONPath", "a short time to live",
	"a short life", "no backoff", "a canary for a month", "a window without a time", "a window every second", "a window on Mars", "a window that never opens", "a window every day",
	"a window without an end",
	"a probe of no port", "a probe of another port", "a TCP probe of another port", "a gRPC probe of another port",
	"a hook without a program", "a hook of no port",
	"a check without a program", "NUL in a check", "a check of a port that is not declared",
	"more at least than most", "a start out of bounds", "no patience",
	"an interval too short", "an interval too long", "no timeout", "more unhealthy than all", "a surge of more than all",
	"no room to update", "a deadline before ready", "a drain of a year", "a long grace", "a tiny log",
}

func TestTheSchemaRefusesInvalidSpecsAsFarAsItCan(t *testing.T) {
	_, resolved := schema(t)
	for behaviour, c := range invalid {
		data, err := json.Marshal(rewritten(c.change))
		require.NoError(t, err)
		err = resolved.Validate(instance(t, string(data)))
		if slices.Contains(beyondSchema, behaviour) {
			require.NoError(t, err, behaviour)
		} else {
			require.Error(t, err, behaviour)
		}
	}
	for _, behaviour := range beyondSchema {
		require.Contains(t, invalid, behaviour, fmt.Sprint(behaviour, " is no case any more"))
	}
}
