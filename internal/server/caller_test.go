package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

// caller makes requests to one address.
type caller struct {
	t       *testing.T
	dial    func(context.Context) (net.Conn, error)
	client  *http.Client
	headers []string // "Name: value", sent with every request
}

func call(t *testing.T, network, address string) caller {
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	t.Cleanup(transport.CloseIdleConnections)
	return caller{t: t, dial: dial, client: &http.Client{Transport: transport, Timeout: patience}}
}

// with is the caller that sends more headers.
func (c caller) with(headers ...string) caller {
	c.headers = append(c.headers[:len(c.headers):len(c.headers)], headers...)
	return c
}

// without is the caller that sends no headers of its own.
func (c caller) without() caller {
	c.headers = nil
	return c
}

// reply is what the server answered.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// begins is the beginning of an answer that does not end, up to the line that the text is in.
func (c caller) begins(path, text string) reply {
	c.t.Helper()
	ctx, leave := context.WithCancel(c.t.Context())
	defer leave()
	r, err := c.request(ctx, http.MethodGet, path, "")
	require.NoError(c.t, err)
	got, err := c.client.Do(r)
	require.NoError(c.t, err)
	defer got.Body.Close()
	var body strings.Builder
	for lines := bufio.NewScanner(got.Body); !strings.Contains(body.String(), text); {
		require.True(c.t, lines.Scan(), "the answer ended: %s", body.String())
		body.WriteString(lines.Text() + "\n")
	}
	return reply{c.t, got.StatusCode, got.Header, body.String()}
}

func (c caller) request(ctx context.Context, method, path, body string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://manager"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, h := range c.headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return r, nil
}

func (c caller) try(ctx context.Context, method, path, body string) (reply, error) {
	r, err := c.request(ctx, method, path, body)
	if err != nil {
		return reply{}, err
	}
	got, err := c.client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	return reply{c.t, got.StatusCode, got.Header, string(text)}, err
}

// begun is a request that is under way.
type begun struct {
	t      *testing.T
	cancel context.CancelFunc
	done   chan struct{}
	reply  reply
	err    error
}

// begin sends a request and returns as soon as it is sent.
func (c caller) begin(method, path, body string) *begun {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	sent := make(chan struct{})
	tell := sync.OnceFunc(func() { close(sent) })
	b := &begun{t: c.t, cancel: cancel, done: make(chan struct{})}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { tell() }})
	c.t.Cleanup(func() {
		cancel()
		<-b.done
	})
	go func() {
		defer close(b.done)
		defer tell()
		b.reply, b.err = c.try(ctx, method, path, body)
	}()
	<-sent
	return b
}

// answer waits for the answer. What is cut off at the tests' patience has been waiting for too long.
func (b *begun) answer() reply {
	b.t.Helper()
	<-b.done
	require.NoError(b.t, b.err)
	return b.reply
}

func (c caller) do(method, path, body string) reply {
	c.t.Helper()
	got, err := c.try(c.t.Context(), method, path, body)
	require.NoError(c.t, err)
	return got
}

func (c caller) get(path string) reply {
	c.t.Helper()
	return c.do(http.MethodGet, path, "")
}

// ok is an answer of the given status that is no problem.
func (r reply) ok(status int) reply {
	r.t.Helper()
	require.Equal(r.t, status, r.status, r.body)
	require.NotEqual(r.t, "application/problem+json", r.header.Get("Content-Type"))
	return r
}

// problem is an answer that is a problem of the given status and type.
func (r reply) problem(status int, name string) api.Problem {
	r.t.Helper()
	require.Equal(r.t, status, r.status, r.body)
	require.Equal(r.t, "application/problem+json", r.header.Get("Content-Type"))
	p := as[api.Problem](r)
	require.Equal(r.t, name, p.Name())
	require.Equal(r.t, status, p.Status)
	require.NotEmpty(r.t, p.Title)
	return p
}

// as reads a JSON answer and tolerates nothing in it that T does not know.
func as[T any](r reply) (v T) {
	r.t.Helper()
	dec := json.NewDecoder(strings.NewReader(r.body))
	dec.DisallowUnknownFields()
	require.NoError(r.t, dec.Decode(&v), r.body)
	return v
}
