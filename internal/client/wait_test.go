package client_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

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
