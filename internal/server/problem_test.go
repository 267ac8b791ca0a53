package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// at is where a fault is.
type at struct {
	path         string
	line, column int
}

func places(faults pool.Faults) (list []at) {
	for _, f := range faults {
		list = append(list, at{f.Path, f.Line, f.Column})
	}
	return list
}

func TestAnInvalidBodyIsRefusedWithEveryFieldAtFault(t *testing.T) {
	t.Parallel()
	s := open(t)
	before := s.created("web", 1)
	events := s.local.get("/v1/pools/web/events").body
	for name, c := range map[string]struct {
		method, path, body string
		want               []at
	}{
		"wrong types in JSON": {
			"PUT", "/v1/pools/web", "{\"name\":\"web\",\n \"size\":\"x\",\n \"drain\":{\"grace\":5}}",
			[]at{{"size", 2, 9}, {"drain.grace", 3, 19}},
		},
		"wrong types in YAML": {
			"PUT", "/v1/pools/web", "name: web\nsize: x\ndrain:\n  grace: 5\n",
			[]at{{"size", 2, 7}, {"drain.grace", 4, 10}},
		},
		"unknown fields": {
			"PUT", "/v1/pools/web", "name: web\nsized: 1\nworker:\n  comand: [a]\n",
			[]at{{"sized", 2, 1}, {"worker.comand", 4, 3}},
		},
		"broken JSON":                 {"PUT", "/v1/pools/web", "{\"name\":\"web\",\n\"size\" 1}", []at{{"", 2, 8}}},
		"broken YAML":                 {"PUT", "/v1/pools/web", "name: web\nsize: [1\n", []at{{"", 3, 1}}},
		"values out of bounds":        {"PUT", "/v1/pools/web", document("web", -1, `"logs":{"keep":101}`), []at{{path: "size"}, {path: "logs.keep"}}},
		"another pool's name":         {"PUT", "/v1/pools/web", document("other", 1), []at{{path: "name"}}},
		"what the host cannot run":    {"PUT", "/v1/pools/web", document("web", 1, `"worker":{"command":["/missing/x"]}`), []at{{path: "worker.command[0]"}}},
		"a patch of an unknown field": {"PATCH", "/v1/pools/web", `{"labels":{"a":"b"},"sise":2}`, []at{{"sise", 1, 21}}},
		"a patch of a wrong type":     {"PATCH", "/v1/pools/web", "deletion_protection: maybe\n", []at{{"deletion_protection", 1, 22}}},
		"a patch to an invalid spec":  {"PATCH", "/v1/pools/web", `{"worker":{"command":null}}`, []at{{path: "worker.command"}}},
		"a patch that is no object":   {"PATCH", "/v1/pools/web", `[]`, []at{{"", 1, 1}}},
		"a resize to a text":          {"POST", "/v1/pools/web:resize", `{"size":"2"}`, []at{{"size", 1, 9}}},
		"a resize to a fraction":      {"POST", "/v1/pools/web:resize", `{"size":1.5}`, []at{{"size", 1, 9}}},
		"a resize below zero":         {"POST", "/v1/pools/web:resize", `{"size":-1}`, []at{{path: "size"}}},
		"a resize to nothing":         {"POST", "/v1/pools/web:resize", `{}`, []at{{path: "size"}}},
		"a resize of another field":   {"POST", "/v1/pools/web:resize", `{"size":2,"description":"x"}`, []at{{path: "description"}}},
		"a check of an unknown field": {"POST", "/v1/pools:validate", "name: web\nfoo: 1\n", []at{{"foo", 2, 1}}},
		"a check of an invalid spec":  {"POST", "/v1/pools:validate", document("Web", 1), []at{{path: "name"}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.local.with("If-Match: *").do(c.method, c.path, c.body).problem(http.StatusUnprocessableEntity, api.ProblemInvalid)
			require.Equal(t, c.want, places(p.Errors), "%v", p.Errors)
			for _, f := range p.Errors {
				require.NotEmpty(t, f.Reason)
			}
		})
	}
	after := as[pool.View](s.local.get("/v1/pools/web").ok(http.StatusOK))
	require.Equal(t, before, after, "nothing was changed")
	require.Equal(t, events, s.local.get("/v1/pools/web/events").body)
}

// garbage is what no client of ours sends.
func garbage() map[string]string {
	return map[string]string{
		"nothing":          "",
		"blanks":           " \n\t ",
		"zero bytes":       "\x00\x00\x00",
		"no UTF-8":         "\xff\xfe\xfd{",
		"a brace":          "{",
		"a number":         "1",
		"a text":           `"web"`,
		"two documents":    "name: a\n---\nname: b\n",
		"deep nesting":     strings.Repeat("[", 11_000),
		"deep objects":     strings.Repeat(`{"a":`, 11_000),
		"many aliases":     "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
		"a long word":      strings.Repeat("x", 20_000),
		"a long value":     `{"size":"` + strings.Repeat("x", 20_000) + `"}`,
		"many wrong names": "{" + strings.Repeat(`"n":1,`, 2_000) + `"m":1}`,
	}
}

// bodyRoutes are the routes that read a body.
var bodyRoutes = []string{"PUT /v1/pools/web", "PATCH /v1/pools/web", "POST /v1/pools/web:resize", "POST /v1/pools:validate"}

func TestGarbageIsRefusedInFewWords(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.created("web", 1)
	for name, body := range garbage() {
		for _, route := range bodyRoutes {
			method, path, _ := strings.Cut(route, " ")
			got := s.local.with("If-Match: *").do(method, path, body)
			require.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, got.status, "%s of %s: %s", route, name, got.body)
			require.Equal(t, "application/problem+json", got.header.Get("Content-Type"))
			require.Less(t, len(got.body), 64<<10, "%s of %s", route, name)
		}
	}
	require.Equal(t, int64(1), as[pool.View](s.local.get("/v1/pools/web")).Generation)
}

func TestABodyIsReadWhateverItsMediaType(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, media := range []string{"application/json", "application/yaml", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense"} {
		for _, body := range []string{document("web", 1), "name: web\nsize: 1\nworker: {command: [a]}\n"} {
			valid := s.local.with("Content-Type: "+media).do("POST", "/v1/pools:validate", body).ok(http.StatusOK)
			require.Equal(t, int64(1), *as[api.Validated](valid).Spec.Size, media)
		}
	}
}

func TestABodyHasABound(t *testing.T) {
	t.Parallel()
	s := open(t)
	spec := document("web", 1)
	largest := spec + strings.Repeat(" ", api.MaxBody-len(spec))
	s.local.do("POST", "/v1/pools:validate", largest).ok(http.StatusOK)
	for _, route := range bodyRoutes {
		method, path, _ := strings.Cut(route, " ")
		p := s.local.with("If-Match: *").do(method, path, largest+" ").problem(http.StatusRequestEntityTooLarge, api.ProblemTooLarge)
		require.Contains(t, p.Detail, fmt.Sprint(api.MaxBody))
	}
	for _, c := range []caller{s.local, s.remote} {
		c.with("If-None-Match: *").do("PUT", "/v1/pools/web", strings.Repeat("x", 10<<20)).problem(http.StatusRequestEntityTooLarge, api.ProblemTooLarge)
	}
	s.local.get("/v1/pools/web").problem(http.StatusNotFound, api.ProblemNotFound)
}

func TestWhatIsNotThereIsAProblem(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.created("web", 0)
	for _, route := range []string{
		"GET /", "GET /nothing", "GET /v1", "GET /v2/pools", "GET /v1/pools/", "POST /v1/manager:start", "GET /docs",
		"GET /v1/pools/other", "GET /v1/pools/p_other", "GET /v1/pools/a%2Fb", "GET /v1/pools/%00", "GET /v1/pools/other/workers",
		"GET /v1/pools/other/revisions", "GET /v1/pools/other/events", "GET /v1/pools/web/workers/w_other/logs",
		"GET /v1/pools/other/workers/w_other/logs", "GET /v1/operations/op_other", "GET /v1/operations/op_other?wait=60s",
		"PATCH /v1/pools/other", "DELETE /v1/pools/other", "POST /v1/pools/other:restart",
	} {
		method, path, _ := strings.Cut(route, " ")
		body := ""
		if method == http.MethodPatch {
			body = "{}"
		}
		p := s.local.with("If-Match: *").do(method, path, body).problem(http.StatusNotFound, api.ProblemNotFound)
		require.NotEmpty(t, p.Detail, route)
	}
	p := s.local.with("If-Match: *").do("PUT", "/v1/pools/other", document("other", 1)).problem(http.StatusNotFound, api.ProblemNotFound)
	require.Contains(t, p.Detail, `"other"`)
}

func TestAMethodThatIsNotPossibleIsAProblemThatNamesThoseThatAre(t *testing.T) {
	t.Parallel()
	s := open(t)
	for route, allow := range map[string]string{
		"POST /healthz":         "GET, HEAD",
		"POST /v1/pools":        "GET, HEAD",
		"POST /v1/pools/web":    "GET, PUT, PATCH, DELETE, HEAD",
		"DELETE /v1/manager":    "GET, HEAD",
		"GET /v1/manager:stop":  "POST",
		"HEAD /v1/manager:stop": "POST",
		"OPTIONS /v1/pools/web": "GET, PUT, PATCH, DELETE, HEAD",
		"DELETE /openapi.json":  "GET, HEAD",
	} {
		method, path, _ := strings.Cut(route, " ")
		got := s.local.do(method, path, "")
		require.Equal(t, http.StatusMethodNotAllowed, got.status, route)
		require.Equal(t, allow, got.header.Get("Allow"), route)
		require.Equal(t, "application/problem+json", got.header.Get("Content-Type"))
		if method != http.MethodHead {
			require.Contains(t, got.problem(http.StatusMethodNotAllowed, "about:blank").Detail, method)
		}
	}
}

func TestAParameterThatIsNotValidIsNamed(t *testing.T) {
	t.Parallel()
	s := open(t)
	o := s.create("web", 0).Operation
	for request, path := range map[string]string{
		"GET /v1/pools?limit=0":                        "query.limit",
		"GET /v1/pools?limit=1001":                     "query.limit",
		"GET /v1/pools?limit=many":                     "query.limit",
		"GET /v1/pools?lmit=1":                         "query.lmit",
		"GET /v1/pools/web?x=1":                        "query.x",
		"GET /healthz?verbose=1":                       "query.verbose",
		"GET /v1/pools/web/events?after=-1":            "query.after",
		"GET /v1/pools/web/events?after=x":             "query.after",
		"GET /v1/pools/web/revisions?limit=0":          "query.limit",
		"GET /v1/pools/web/workers/w/logs?max=0":       "query.max",
		"GET /v1/operations/" + o.ID + "?wait=garbage": "query.wait",
		"GET /v1/operations/" + o.ID + "?wait=30":      "query.wait",
		"GET /v1/operations/op_other?wait=soon":        "query.wait",
		"DELETE /v1/pools/web?force=perhaps":           "query.force",
		"GET /v1/pools/" + strings.Repeat("x", 101):    "path.pool",
	} {
		method, target, _ := strings.Cut(request, " ")
		p := s.local.with("If-Match: *").do(method, target, "").problem(http.StatusUnprocessableEntity, "about:blank")
		require.Len(t, p.Errors, 1, request)
		require.Equal(t, path, p.Errors[0].Path, request)
		require.NotEmpty(t, p.Errors[0].Reason)
	}
	long := s.local.get("/v1/pools?limit="+strings.Repeat("x", 10_000)).problem(http.StatusUnprocessableEntity, "about:blank")
	require.Equal(t, `"`+strings.Repeat("x", 200)+`"…`, long.Errors[0].Value)
	p := s.local.with("If-None-Match: x").do("PUT", "/v1/pools/web", document("web", 1)).problem(http.StatusUnprocessableEntity, "about:blank")
	require.Equal(t, "header.If-None-Match", p.Errors[0].Path)
	p = s.local.with("If-Match: *", "Idempotency-Key: "+strings.Repeat("k", 129)).do("DELETE", "/v1/pools/web", "").problem(http.StatusUnprocessableEntity, "about:blank")
	require.Equal(t, "header.Idempotency-Key", p.Errors[0].Path)
}

func TestAStoreThatCannotBeWrittenIsAProblemAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.disk.fail(nil, fmt.Errorf("commit: %w: the disk is full", store.ErrUnwritable))
	p := s.local.with("If-None-Match: *").do("PUT", "/v1/pools/web", document("web", 1)).problem(http.StatusServiceUnavailable, api.ProblemStore)
	require.Contains(t, p.Detail, "the disk is full")
	require.Contains(t, p.Detail, "nothing was changed")
	require.Contains(t, s.log.String(), "the disk is full")
	s.local.get("/v1/pools/web").problem(http.StatusNotFound, api.ProblemNotFound)
	s.local.get("/readyz").ok(http.StatusOK)

	s.disk.fail(nil, nil)
	s.succeeds(s.create("web", 1).Operation)
}

func TestAManagerWhoseStoreDoesNotAnswerIsAliveAndNotReady(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.disk.fail(fmt.Errorf("read: %w", store.ErrClosed), nil)
	s.local.get("/healthz").ok(http.StatusOK)
	got := s.local.get("/readyz")
	require.GreaterOrEqual(t, got.status, 500)
	require.Equal(t, "application/problem+json", got.header.Get("Content-Type"))
	s.disk.fail(nil, nil)
	s.local.get("/readyz").ok(http.StatusOK)
}
