package health_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// leaving is a worker at a port, asked and told in the given way, that has so long to answer.
func leaving(drain pool.Drain, port int, timeout time.Duration) health.Target {
	return health.Target{
		WorkerID: "w", Instance: pool.Instance{Ports: map[string]int{"main": port}}, Template: template,
		Check: pool.HealthCheck{Timeout: pool.Duration(timeout)}, Drain: drain,
	}
}

func counted(path string) pool.Drain {
	return pool.Drain{ActiveJobs: &pool.ActiveJobs{Path: "/jobs", JSONPath: path}}
}

// says answers any request with a body.
func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

// silence answers nothing until who asked is gone.
func silence(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// elsewhere sends who asks it to where the answer would be good.
func elsewhere(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/elsewhere" {
		says("0")(w, r)
		return
	}
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(http.StatusFound)
	says("0")(w, r)
}

// Who is thought idle is stopped, so nothing but a number says how many jobs there are.
func TestActiveJobsAreOneWholeNumber(t *testing.T) {
	const patience = 300 * time.Millisecond
	for _, c := range []struct {
		answer   string
		path     string
		handler  http.HandlerFunc
		jobs     int64
		troubled string // why the number is not known; empty: it is
	}{
		{"none", "", says("0"), 0, ""},
		{"some", "", says("3"), 3, ""},
		{"a line", "", says(" 0\r\n"), 0, ""},
		{"none at a path", "$.queue.active", says(`{"queue":{"active":0,"done":9},"active":7}`), 0, ""},
		{"some at a path", "$.queue.active", says(`{"queue":{"active":3,"done":0},"active":0}`), 3, ""},
		{"one element of a list", "$[0]", says(`[4, 0]`), 4, ""},

		{"nothing at the path", "$.active", says(`{"queue":0}`), 0, "$.active selects 0 values"},
		{"two at the path", "$..active", says(`{"a":{"active":0},"b":{"active":0}}`), 0, "$..active selects 2 values"},
		{"a path into a number", "$.active", says(`0`), 0, "$.active selects 0 values"},
		{"what is no path", "active", says(`{"active":0}`), 0, `"active" is not a JSONPath`},
		{"an object without a path", "", says(`{"active":0}`), 0, "not a number"},
		{"null", "$.active", says(`{"active":null}`), 0, "not a number"},
		{"no", "", says("false"), 0, "not a number"},
		{"a list of one", "$.active", says(`{"active":[0]}`), 0, "not a number"},
		{"a string", "", says(`"0"`), 0, "not a number"},
		{"a negative number", "", says("-1"), 0, "-1 is not a whole number from 0"},
		{"a fraction", "", says("1.5"), 0, "1.5 is not a whole number from 0"},
		{"less than one", "", says("0.5"), 0, "0.5 is not a whole number from 0"},
		{"more than there are", "", says("18446744073709551616"), 0, "18446744073709551616 is not a whole number from 0"},

		{"nothing", "", says(""), 0, "not JSON"},
		{"garbage", "", says("\x00\xff\x17"), 0, "not JSON"},
		{"a page", "", says("<html>0</html>"), 0, "not JSON"},
		{"a number and garbage", "", says("0 garbage"), 0, "not JSON"},
		{"two numbers", "", says("0\n3\n"), 0, "not JSON"},
		{"an object and more", "$.active", says(`{"active":0}}`), 0, "not JSON"},
		{"half an object", "$.active", says(`{"active":0`), 0, "not JSON"},
		{"100 MB", "", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "0")
			_, _ = io.Copy(w, io.LimitReader(spaces{}, 100<<20))
		}, 0, "more than 1048575 bytes"},

		{"no content", "", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, 0, "not JSON"},
		{"a redirect", "", elsewhere, 0, "302 Found"},
		{"an error", "", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "0", http.StatusInternalServerError) }, 0, "500 Internal Server Error"},
		{"no answer", "", silence, 0, "no answer within 300ms"},
		{"half of an answer and no more", "", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "0")
			_ = http.NewResponseController(w).Flush()
			silence(w, r)
		}, 0, "no answer within 300ms"},
	} {
		t.Run(c.answer, func(t *testing.T) {
			t.Parallel()
			timeout := 30 * time.Second
			if strings.HasPrefix(c.troubled, "no answer") {
				timeout = patience
			}
			n, err := health.Prober{}.Jobs(t.Context(), leaving(counted(c.path), serve(t, c.handler), timeout))
			if c.troubled == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.troubled)
			}
			require.Equal(t, c.jobs, n)
		})
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestActiveJobsInAnAnswerThatBreaksOffAreNotKnown(t *testing.T) {
	for broken, head := range map[string]string{
		"before its announced end":   "Content-Length: 2\r\n\r\n0",
		"before its last chunk":      "Transfer-Encoding: chunked\r\n\r\n1\r\n0\r\n",
		"in its header":              "Content-Length: 1",
		"by a reset of no known end": "\r\n0",
	} {
		t.Run(broken, func(t *testing.T) {
			port := listen(t, func(conn net.Conn) {
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+head)
				if strings.HasPrefix(head, "\r\n") {
					_ = conn.(*net.TCPConn).SetLinger(0) // closing resets the connection
				}
			})
			_, err := health.Prober{}.Jobs(t.Context(), leaving(counted(""), port, 30*time.Second))
			require.Error(t, err)
		})
	}
	_, err := health.Prober{}.Jobs(t.Context(), leaving(counted(""), closedPort(t), 30*time.Second))
	require.ErrorContains(t, err, "connection refused")
}

func TestActiveJobsAreAskedForPlainly(t *testing.T) {
	requests := make(chan string, 1)
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Method + " " + r.RequestURI
		says("0")(w, r)
	})
	_, err := health.Prober{}.Jobs(t.Context(), leaving(counted(""), port, 30*time.Second))
	require.NoError(t, err)
	require.Equal(t, "GET /jobs", <-requests)
}

func TestAHookIsAPostThatIsAnsweredWith200To299(t *testing.T) {
	for _, c := range []struct {
		answer   string
		handler  http.HandlerFunc // nil: nothing listens
		troubled string           // empty: the worker knows
	}{
		{"yes", func(http.ResponseWriter, *http.Request) {}, ""},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, ""},
		{"a redirect", elsewhere, "answered 302 Found"},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "answered 500 Internal Server Error"},
		{"none in time", silence, "no answer within 300ms"},
		{"nobody there", nil, "connection refused"},
	} {
		t.Run(c.answer, func(t *testing.T) {
			t.Parallel()
			told := make(chan string, 2)
			port, timeout := 0, 30*time.Second
			if c.handler == nil {
				port = closedPort(t)
			} else {
				port = serve(t, func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					told <- fmt.Sprintf("%s %s %q %v", r.Method, r.RequestURI, body, err)
					c.handler(w, r)
				})
			}
			if strings.HasPrefix(c.troubled, "no answer") {
				timeout = 300 * time.Millisecond
			}
			hook := pool.Drain{Timeout: pool.Duration(time.Hour), Hook: &pool.DrainHook{HTTP: &pool.HTTPProbe{Path: "/leave?soon=1"}}}
			err := health.Prober{}.Hook(t.Context(), leaving(hook, port, timeout))
			if c.troubled == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.troubled)
			}
			if c.handler != nil {
				require.Equal(t, `POST /leave?soon=1 "" <nil>`, <-told)
				require.Empty(t, told, "it is told once and follows nowhere")
			}
		})
	}
}
