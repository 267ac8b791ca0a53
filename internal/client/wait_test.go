package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func operation(phase pool.OperationPhase, reason string) pool.Operation {
	return pool.Operation{ID: "op1", Phase: phase, Reason: reason}
}

func TestWaitPollsUntilTheOperationHasEnded(t *testing.T) {
	c, manager := manager(t, client.Config{},
		answer(200, operation(pool.OperationRunning, "1 of 3")),
		answer(200, operation(pool.OperationRunning, "2 of 3")),
		answer(200, operation(pool.OperationFailed, "no progress")))
	var told []string
	got, err := c.Wait(t.Context(), "op1", func(o pool.Operation) { told = append(told, o.Reason) })
	require.NoError(t, err)
	require.Equal(t, operation(pool.OperationFailed, "no progress"), got)
	require.Equal(t, []string{"1 of 3", "2 of 3"}, told)
	for _, r := range manager.requests() {
		require.Equal(t, "/v1/operations/op1", r.path)
		require.Equal(t, "wait=30s", r.query)
	}
}

func TestALongPollMayTakeLongerThanARequest(t *testing.T) {
	ended := make(chan struct{})
	c, manager := manager(t, client.Config{RequestTimeout: 1, Patience: -1}, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-ended:
		case <-r.Context().Done():
			return
		}
		answer(200, operation(pool.OperationSucceeded, ""))(w, r)
	})
	close(ended)
	_, err := c.Wait(t.Context(), "op1", nil)
	require.NoError(t, err)
	require.Len(t, manager.requests(), 1)
}

func TestWaitSurvivesARestartOfTheManager(t *testing.T) {
	path := socketPath(t)
	polled := make(chan struct{})
	first := serveSocket(t, path, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(polled)
		<-r.Context().Done()
	}))
	c, err := client.New(client.Config{Endpoint: "unix://" + path, Patience: -1})
	require.NoError(t, err)
	type outcome struct {
		operation pool.Operation
		err       error
	}
	done := make(chan outcome, 1)
	go func() {
		o, err := c.Wait(t.Context(), "op1", nil)
		done <- outcome{o, err}
	}()
	<-polled
	first()
	var asked atomic.Int32
	serveSocket(t, path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 3 {
			problem(503, api.ProblemStopping, "the manager is ending")(w, r)
			return
		}
		answer(200, operation(pool.OperationSucceeded, "done"))(w, r)
	}))
	got := <-done
	require.NoError(t, got.err)
	require.Equal(t, operation(pool.OperationSucceeded, "done"), got.operation)
}

func TestWaitEndsWithTheCallersContextAndTheNewestState(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := manager(t, client.Config{},
		answer(200, operation(pool.OperationRunning, "half way")),
		func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
	got, err := c.Wait(ctx, "op1", nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, operation(pool.OperationRunning, "half way"), got)
}

func TestWaitEndsWithAnAnswerThatWillNotChange(t *testing.T) {
	c, manager := manager(t, client.Config{}, problem(404, api.ProblemNotFound, "no such operation"))
	got, err := c.Wait(t.Context(), "op1", nil)
	require.EqualError(t, err, `wait for operation "op1": no such operation`)
	require.Equal(t, "op1", got.ID)
	require.Len(t, manager.requests(), 1)
}

// outages is a way to a manager that is away during some minutes of the wait and answers else.
type outages struct {
	began   time.Time
	away    func(minute time.Duration) bool
	refused *http.Response // what a proxy answers in its place; nil: the connection is refused
}

func (o outages) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.away(time.Since(o.began) / time.Minute) {
		if o.refused != nil {
			return o.refused, nil
		}
		return nil, syscall.ECONNREFUSED
	}
	w := httptest.NewRecorder()
	answer(200, operation(pool.OperationRunning, "half way"))(w, r)
	return w.Result(), nil
}

func TestWaitEndsWhenNoManagerTellsOfTheOperationForTooLong(t *testing.T) {
	for name, row := range map[string]struct {
		absence time.Duration
		refused *http.Response
		says    string
		ends    time.Duration
	}{
		"by default":                {0, nil, "no manager answered at http://manager: connection refused", 7 * time.Minute},
		"as configured":             {time.Hour, nil, "no manager answered at http://manager: connection refused", 62 * time.Minute},
		"a proxy answers in vain":   {0, &http.Response{StatusCode: 502, Body: http.NoBody}, "Bad Gateway (status 502)", 7 * time.Minute},
		"never, if it may be so":    {-1, nil, "deadline exceeded", 24 * time.Hour},
		"sooner than the next poll": {time.Second, nil, "no manager answered", 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				way := outages{time.Now(), func(minute time.Duration) bool { return minute >= 2 }, row.refused}
				c, err := client.New(client.Config{Endpoint: "http://manager", Transport: way, Absence: row.absence})
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
				defer cancel()
				got, err := c.Wait(ctx, "op1", nil)
				require.ErrorContains(t, err, row.says)
				require.Equal(t, operation(pool.OperationRunning, "half way"), got)
				require.InDelta(t, row.ends, time.Since(way.began), float64(30*time.Second))
				if ctx.Err() == nil {
					require.Regexp(t, `; so it has been since 2000-01-01T\S+ \(for \d+`, err.Error())
				}
				require.Equal(t, row.refused == nil && ctx.Err() == nil, errors.Is(err, client.ErrUnreachable))
			})
		})
	}
}

func TestEveryAnswerMakesWaitPatientAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := func(minute time.Duration) bool { return minute%4 != 0 }
		c, err := client.New(client.Config{Endpoint: "http://manager", Transport: outages{time.Now(), away, nil}})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err = c.Wait(ctx, "op1", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
