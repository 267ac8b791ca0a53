package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// operation is a route as the API describes it.
type operation struct {
	Method, Path string
	ID           string                     `json:"operationId"`
	LeastRole    access.Role                `json:"x-least-role"`
	Security     []map[string][]string      `json:"security"`
	Responses    map[string]json.RawMessage `json:"responses"`
	RequestBody  struct {
		Content map[string]struct {
			Schema map[string]any `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
}

type description struct {
	OpenAPI string `json:"openapi"`
	Info    struct {
		Version string `json:"version"`
	} `json:"info"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]map[string]any `json:"schemas"`
	} `json:"components"`
}

func describe(s *stage) (d description) {
	s.t.Helper()
	require.NoError(s.t, json.Unmarshal([]byte(s.local.get("/openapi.json").ok(http.StatusOK).body), &d))
	return d
}

// described lists the routes that the API describes.
func described(s *stage) (operations []operation) {
	s.t.Helper()
	for path, methods := range describe(s).Paths {
		for method, o := range methods {
			o.Method, o.Path = strings.ToUpper(method), path
			operations = append(operations, o)
		}
	}
	return operations
}

func TestTheAPIIsDescribedInOpenAPI31(t *testing.T) {
	t.Parallel()
	s := open(t)
	served := s.local.get("/openapi.json").ok(http.StatusOK)
	require.Equal(t, "application/openapi+json", served.header.Get("Content-Type"))
	d := describe(s)
	require.Regexp(t, `^3\.1\.`, d.OpenAPI)
	require.Equal(t, "1.2.3", d.Info.Version)

	var routes []string
	for _, o := range described(s) {
		routes = append(routes, o.Method+" "+o.Path)
		require.Contains(t, string(o.Responses["default"]), "application/problem+json", "how %s fails", o.ID)
		require.Contains(t, string(o.Responses["default"]), "#/components/schemas/Problem")
	}
	require.ElementsMatch(t, []string{
		"GET /healthz",
		"GET /readyz",
		"GET /v1/manager",
		"POST /v1/manager:stop",
		"GET /v1/pools",
		"POST /v1/pools:validate",
		"GET /v1/pools/{pool}",
		"PUT /v1/pools/{pool}",
		"PATCH /v1/pools/{pool}",
		"DELETE /v1/pools/{pool}",
		"POST /v1/pools/{pool}:resize",
		"POST /v1/pools/{pool}:restart",
		"GET /v1/pools/{pool}/workers",
		"GET /v1/pools/{pool}/workers/{worker}/logs",
		"GET /v1/pools/{pool}/revisions",
		"GET /v1/pools/{pool}/events",
		"GET /v1/pools/{pool}/leases",
		"POST /v1/pools/{pool}:pause", "POST /v1/pools/{pool}:resume", "POST /v1/pools/{pool}:promote", "POST /v1/pools/{pool}:abort",
		"POST /v1/pools:plan", "POST /v1/pools/{pool}:revert", "GET /v1/registry", "GET /v1/registry:watch", "POST /v1/pools/{pool}:plan", "GET /v1/registry/targets",
		"POST /v1/pools/{pool}/workers/{worker}:cordon", "POST /v1/pools/{pool}/workers/{worker}:uncordon",
		"POST /v1/pools/{pool}/workers/{worker}:extend", "POST /v1/pools/{pool}/workers/{worker}:drain",
		"POST /v1/leases",
		"GET /v1/leases/{lease}",
		"POST /v1/leases/{lease}:renew",
		"DELETE /v1/leases/{lease}",
		"GET /v1/operations/{operation}", "GET /v1/backup", "POST /v1/pools:restore",
		"POST /v1/tokens", "GET /v1/tokens", "DELETE /v1/tokens/{token}",
	}, routes)

	for _, ref := range references(served.body) {
		name, ok := strings.CutPrefix(ref, "#/components/schemas/")
		require.True(t, ok, ref)
		require.Contains(t, d.Components.Schemas, name)
	}

	yaml, err := s.server.OpenAPI()
	require.NoError(t, err)
	require.YAMLEq(t, s.local.get("/openapi.yaml").ok(http.StatusOK).body, string(yaml))
}

// references lists the targets of all $ref in a document.
func references(document string) (refs []string) {
	for _, part := range strings.Split(document, `"$ref":"`)[1:] {
		ref, _, _ := strings.Cut(part, `"`)
		refs = append(refs, ref)
	}
	return refs
}

// TestAnswersAreDescribedAsTheyAre: the statuses and media types that are promised are those that come.
func TestAnswersAreDescribedAsTheyAre(t *testing.T) {
	t.Parallel()
	s := open(t)
	operations := map[string]operation{}
	for _, o := range described(s) {
		operations[o.ID] = o
	}
	for id, statuses := range map[string][]string{
		"health": {"200"}, "readiness": {"200"}, "describeManager": {"200"}, "stopManager": {"202"},
		"listPools": {"200"}, "readPool": {"200"}, "putPool": {"200", "202"}, "patchPool": {"200", "202"},
		"deletePool": {"200", "202"}, "validateSpec": {"200"}, "resizePool": {"200", "202"}, "restartPool": {"200", "202"},
		"listWorkers": {"200"}, "readLogs": {"200"}, "listRevisions": {"200"}, "listEvents": {"200"}, "readOperation": {"200"},
		"backup": {"200"}, "restorePool": {"200"}, "makeToken": {"201"}, "listTokens": {"200"}, "revokeToken": {"200"},
	} {
		require.ElementsMatch(t, append(statuses, "default"), slices.Collect(maps.Keys(operations[id].Responses)), id)
	}
	for id, media := range map[string]string{
		"health": "text/plain", "readiness": "text/plain", "readLogs": "text/plain", "readPool": "application/json",
	} {
		require.Contains(t, string(operations[id].Responses["200"]), media, id)
	}
}

// kindsInJSON are the types of a field's values in a spec as it is shown.
var kindsInJSON = map[pool.Kind]string{
	pool.KindString: "string", pool.KindDuration: "string", pool.KindBytes: "string", pool.KindAmount: "string",
	pool.KindInt: "integer", pool.KindBool: "boolean", pool.KindList: "array", pool.KindPorts: "array", pool.KindWindows: "array", pool.KindMap: "object",
}

func TestEveryFieldOfASpecIsDescribedAsItIsWritten(t *testing.T) {
	t.Parallel()
	s := open(t)
	schemas := describe(s).Components.Schemas
	for _, f := range pool.Fields {
		shown := fieldOf(t, schemas, "Spec", f.Path)
		require.Contains(t, typesOf(shown), kindsInJSON[f.Kind], "%s in a spec as it is shown", f.Path)
		written := fieldOf(t, schemas, "SpecDocument", f.Path)
		require.Contains(t, typesOf(written), kindsInJSON[f.Kind], "%s in a spec as it is written", f.Path)
		require.Contains(t, written["description"], f.Doc)
	}
	require.ElementsMatch(t, []any{"name", "worker"}, schemas["SpecDocument"]["required"], "the rest has defaults, but one of size and autoscaling")
}

// fieldOf walks to the field with the dotted path.
func fieldOf(t *testing.T, schemas map[string]map[string]any, root, path string) map[string]any {
	t.Helper()
	at := schemas[root]
	for name := range strings.SplitSeq(path, ".") {
		members, _ := at["properties"].(map[string]any)
		next, ok := members[name].(map[string]any)
		require.True(t, ok, "%s has no %s", root, path)
		if ref, ok := next["$ref"].(string); ok {
			next = schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
		}
		at = next
	}
	return at
}

func typesOf(schema map[string]any) []any {
	if list, ok := schema["type"].([]any); ok {
		return list
	}
	return []any{schema["type"]}
}

func TestBodiesAreDescribedInJSONAndYAML(t *testing.T) {
	t.Parallel()
	s := open(t)
	bodies := map[string][]string{
		"putPool":      {"application/json", "application/yaml"},
		"validateSpec": {"application/json", "application/yaml"},
		"planPool":     {"application/json", "application/yaml"},
		"resizePool":   {"application/json", "application/yaml"},
		"planPatch":    {"application/json", "application/merge-patch+json", "application/yaml"},
		"patchPool":    {"application/json", "application/merge-patch+json", "application/yaml"},
		"acquireLease": {"application/json"},
		"revertPool":   {"application/json"},
		"extendDrain":  {"application/json"},
		"drainWorker":  {"application/json"},
		"restorePool":  {"application/json"},
		"makeToken":    {"application/json"},
	}
	for _, o := range described(s) {
		require.ElementsMatch(t, bodies[o.ID], slices.Collect(maps.Keys(o.RequestBody.Content)), o.ID)
		if o.ID == "putPool" || o.ID == "validateSpec" || o.ID == "planPool" {
			for _, c := range o.RequestBody.Content {
				require.Equal(t, map[string]any{"$ref": "#/components/schemas/SpecDocument"}, c.Schema)
			}
		}
	}
}
