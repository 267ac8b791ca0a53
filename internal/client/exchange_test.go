package client_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func spec(name string) pool.Spec {
	s := pool.Default()
	s.Name = name
	s.Worker.Command = []string{"true"}
	s.Size = new(int64(3))
	return s
}

func accepted(generation int64) api.Accepted {
	return api.Accepted{Pool: view(generation), Operation: pool.Operation{ID: "op1", Phase: pool.OperationRunning}}
}

func view(generation int64) pool.View {
	return pool.View{Pool: pool.Pool{UID: "p_1", Name: "web", Generation: generation, Spec: spec("web")}}
}

func TestALostAnswerIsAskedForAgainUnderTheSameKey(t *testing.T) {
	for name, broken := range map[string]http.HandlerFunc{"before the answer": lost, "within the answer": torn} {
		t.Run(name, func(t *testing.T) {
			c, manager := manager(t, client.Config{}, broken, broken, answer(202, accepted(1)))
			got, err := c.Create(t.Context(), spec("web"), client.Change{Reason: "because"})
			require.NoError(t, err)
			require.Equal(t, "op1", got.Operation.ID)
			requests := manager.requests()
			require.Len(t, requests, 3)
			key := requests[0].header.Get(api.HeaderIdempotencyKey)
			require.NotEmpty(t, key)
			for _, r := range requests[1:] {
				require.Equal(t, key, r.header.Get(api.HeaderIdempotencyKey))
				require.Equal(t, requests[0].body, r.body)
			}
		})
	}
}

func TestWhatIsSteeredIsAskedForAgainUnderTheSameKey(t *testing.T) {
	for name, steer := range map[string]func(*client.Client, client.Change) error{
		"pause":  func(c *client.Client, ch client.Change) error { _, err := c.Pause(t.Context(), "web", ch); return err },
		"resume": func(c *client.Client, ch client.Change) error { _, err := c.Resume(t.Context(), "web", ch); return err },
		"promote": func(c *client.Client, ch client.Change) error {
			_, err := c.Promote(t.Context(), "web", ch)
			return err
		},
		"abort": func(c *client.Client, ch client.Change) error { _, err := c.Abort(t.Context(), "web", ch); return err },
		"cordon": func(c *client.Client, ch client.Change) error {
			_, err := c.Cordon(t.Context(), "web", "w_1", ch)
			return err
		},
		"uncordon": func(c *client.Client, ch client.Change) error {
			_, err := c.Uncordon(t.Context(), "web", "w_1", ch)
			return err
		},
		"extend": func(c *client.Client, ch client.Change) error {
			_, err := c.ExtendDrain(t.Context(), "web", "w_1", time.Hour, ch)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, manager := manager(t, client.Config{}, lost, torn, answer(200, map[string]any{}))
			require.NoError(t, steer(c, client.Change{}))
			requests := manager.requests()
			require.Len(t, requests, 3)
			require.NotEmpty(t, requests[0].header.Get(api.HeaderIdempotencyKey))
			for _, r := range requests[1:] {
				require.Equal(t, requests[0].header.Get(api.HeaderIdempotencyKey), r.header.Get(api.HeaderIdempotencyKey))
				require.Equal(t, requests[0].body, r.body)
			}
		})
	}
}

// slowly answers every request, but not before its time.
type slowly struct {
	after    time.Duration
	body     any
	requests *int
}

func (s slowly) RoundTrip(r *http.Request) (*http.Response, error) {
	*s.requests++
	select {
	case <-time.After(s.after):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	answer(202, s.body)(w, r)
	return w.Result(), nil
}

func TestAMutationThatIsAcceptedSlowlyIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		c, err := client.New(client.Config{Endpoint: "http://manager", Transport: slowly{6 * time.Second, accepted(1), &requests}})
		require.NoError(t, err)
		got, err := c.Create(t.Context(), spec("web"), client.Change{})
		require.NoError(t, err)
		require.Equal(t, "op1", got.Operation.ID)
		require.Equal(t, 1, requests)
	})
}

func TestEachMutationHasAKeyOfItsOwnUnlessOneIsGiven(t *testing.T) {
	c, manager := manager(t, client.Config{}, answer(202, accepted(1)))
	for _, key := range []string{"", "", "mine"} {
		_, err := c.Restart(t.Context(), "web", client.Change{ETag: `"p_1.1"`, Key: key})
		require.NoError(t, err)
	}
	r := manager.requests()
	require.NotEqual(t, r[0].header.Get(api.HeaderIdempotencyKey), r[1].header.Get(api.HeaderIdempotencyKey))
	require.Equal(t, "mine", r[2].header.Get(api.HeaderIdempotencyKey))
}

func TestAnOverloadedManagerIsAskedAgainNotBeforeTheTimeItNames(t *testing.T) {
	c, manager := manager(t, client.Config{}, problem(429, "slow-down", "too many requests", "Retry-After", "1"), answer(200, view(1)))
	_, err := c.Pool(t.Context(), "web")
	require.NoError(t, err)
	r := manager.requests()
	require.Len(t, r, 2)
	require.GreaterOrEqual(t, r[1].at.Sub(r[0].at), time.Second)
}

func TestAnAnswerThatMayChangeIsAskedForAgain(t *testing.T) {
	for status, again := range map[int]bool{400: false, 401: false, 404: false, 409: false, 412: false, 421: false, 422: false, 429: true, 500: false, 501: false, 502: true, 503: true, 504: true} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			c, manager := manager(t, client.Config{}, problem(status, "trouble", "trouble"), answer(200, view(1)))
			_, err := c.Pool(t.Context(), "web")
			if again {
				require.NoError(t, err)
				require.Len(t, manager.requests(), 2)
				return
			}
			var p *client.Problem
			require.ErrorAs(t, err, &p)
			require.Equal(t, status, p.Status)
			require.Len(t, manager.requests(), 1)
		})
	}
}

func TestPatienceIsBounded(t *testing.T) {
	for name, row := range map[string]struct {
		patience time.Duration
		first    http.HandlerFunc
		most     int
	}{
		"none at all":                     {-1, problem(503, api.ProblemStopping, "ending"), 1},
		"a wait longer than the patience": {time.Second, problem(429, "slow-down", "busy", "Retry-After", "3600"), 1},
		"a date beyond the patience":      {time.Second, problem(503, "slow-down", "busy", "Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)), 1},
		"until it is used up":             {200 * time.Millisecond, problem(503, api.ProblemStore, "disk full"), 10},
	} {
		t.Run(name, func(t *testing.T) {
			c, manager := manager(t, client.Config{Patience: row.patience}, row.first)
			_, err := c.Pool(t.Context(), "web")
			var p *client.Problem
			require.ErrorAs(t, err, &p)
			require.LessOrEqual(t, len(manager.requests()), row.most)
		})
	}
}

func TestNoManagerIsAnErrorThatNamesTheEndpoint(t *testing.T) {
	closed := "unix://" + socketPath(t)
	for name, config := range map[string]client.Config{
		"no socket":  {Endpoint: closed, Patience: 100 * time.Millisecond},
		"no host":    {Endpoint: "http://poolkeeper.invalid:7070", Patience: 100 * time.Millisecond},
		"no port":    {Endpoint: "http://127.0.0.1:1", Patience: 100 * time.Millisecond},
		"not at all": {Endpoint: closed, Patience: -1},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := client.New(config)
			require.NoError(t, err)
			_, err = c.Create(t.Context(), spec("web"), client.Change{})
			require.ErrorIs(t, err, client.ErrUnreachable)
			require.ErrorContains(t, err, `create pool "web": no manager answered at `+config.Endpoint+": ")
		})
	}
}

func TestASilentManagerIsUnreachable(t *testing.T) {
	done := make(chan struct{})
	c, _ := manager(t, client.Config{RequestTimeout: 50 * time.Millisecond, Patience: -1}, func(http.ResponseWriter, *http.Request) { <-done })
	defer close(done)
	_, err := c.Pools(t.Context())
	require.ErrorIs(t, err, client.ErrUnreachable)
	require.ErrorContains(t, err, "no answer within 50ms")
	require.NotErrorIs(t, err, context.DeadlineExceeded, "the caller's own deadline has not passed")
}

func TestTheCallersContextEndsACall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := manager(t, client.Config{Patience: time.Hour}, func(w http.ResponseWriter, r *http.Request) {
		problem(503, api.ProblemStore, "disk full")(w, r)
		cancel()
	})
	_, err := c.Pool(ctx, "web")
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, client.ErrUnreachable)
}

// verdict is a transport that has already tried everything.
type verdict struct{ tries int }

func (v *verdict) RoundTrip(*http.Request) (*http.Response, error) {
	v.tries++
	return nil, &noStore{}
}

type noStore struct{}

func (*noStore) Error() string { return "there is no store" }
func (*noStore) Unwrap() error { return client.ErrUnreachable }

func TestAnUnreachableVerdictOfTheTransportIsFinal(t *testing.T) {
	transport := &verdict{}
	c, err := client.New(client.Config{Endpoint: "unix:///somewhere/manager.sock", Transport: transport})
	require.NoError(t, err)
	_, err = c.Pool(t.Context(), "web")
	require.EqualError(t, err, `read pool "web": there is no store`)
	require.ErrorIs(t, err, client.ErrUnreachable)
	_, err = c.Wait(t.Context(), "op1", nil)
	require.EqualError(t, err, `wait for operation "op1": there is no store`)
	require.Equal(t, 2, transport.tries)
}

func TestAnAnswerThatIsNoProblemBecomesOne(t *testing.T) {
	for name, row := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"plain text":          {text(500, "text/plain", "boom\nat line 3\x00"), `Internal Server Error (status 500): boom at line 3`},
		"a page":              {text(403, "text/html; charset=utf-8", "<html>\n <b>denied</b></html>"), `Forbidden (status 403): <html> <b>denied</b></html>`},
		"nothing":             {text(404, "", ""), `Not Found (status 404)`},
		"a broken problem":    {text(400, "application/problem+json", "{"), `Bad Request (status 400): {`},
		"a redirect":          {text(302, "text/html", "moved"), `Found (status 302): moved`},
		"a very long message": {text(500, "text/plain", strings.Repeat("x", 5000)), "Internal Server Error (status 500): " + strings.Repeat("x", 200) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := manager(t, client.Config{}, row.answer)
			_, err := c.Pool(t.Context(), "web")
			var p *client.Problem
			require.ErrorAs(t, err, &p)
			require.EqualError(t, p, row.want)
		})
	}
}

func TestASuccessThatIsNoManagersAnswerIsAnError(t *testing.T) {
	c, _ := manager(t, client.Config{}, text(200, "text/html", "<html>welcome</html>"))
	_, err := c.Pool(t.Context(), "web")
	require.ErrorContains(t, err, "the answer is not a manager's")
	require.ErrorContains(t, err, "welcome")
}

func TestADocumentThatNoManagerTakesIsNotSent(t *testing.T) {
	c, manager := manager(t, client.Config{}, answer(200, api.Validated{}))
	_, err := c.Validate(t.Context(), make([]byte, 10<<20))
	var p *client.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, api.ProblemTooLarge, p.Name())
	require.ErrorContains(t, err, "validate the spec: the document has 10485760 bytes; a manager takes at most 1048576")
	require.Empty(t, manager.requests())
}

func TestTheCallerIsNamedInEveryRequest(t *testing.T) {
	config := client.Config{Token: "secret", Program: "poolkeeper/1.2.3", ExpectManager: "m1"}
	c, manager := manager(t, config, answer(200, view(1)))
	calls := []context.Context{t.Context(), client.Expecting(t.Context(), "m2"), client.Expecting(t.Context(), "")}
	for _, ctx := range calls {
		_, err := c.Pool(ctx, "web")
		require.NoError(t, err)
	}
	r := manager.requests()
	require.Equal(t, "Bearer secret", r[0].header.Get("Authorization"))
	require.Equal(t, "poolkeeper/1.2.3", r[0].header.Get(api.HeaderClient))
	require.Equal(t, "poolkeeper/1.2.3", r[0].header.Get("User-Agent"))
	require.Equal(t, []string{"m1"}, r[0].header.Values(api.HeaderExpectManager))
	require.Equal(t, []string{"m2"}, r[1].header.Values(api.HeaderExpectManager))
	require.Empty(t, r[2].header.Values(api.HeaderExpectManager))
}
