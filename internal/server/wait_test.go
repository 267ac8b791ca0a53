package server_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestAWaitIsAnsweredWhenTheOperationEnds(t *testing.T) {
	t.Parallel()
	s := open(t)
	release := s.host.holdLaunches()
	defer release()
	o := s.create("web", 1).Operation
	waits := append(s.wait(o, s.local, s.remote), s.local.begin("GET", "/v1/operations/"+o.ID+"?wait=1000h", ""))
	for _, w := range waits {
		select {
		case <-w.done:
			require.Fail(t, "the wait was answered before the end", "%v %v", w.reply, w.err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	release()
	for _, w := range waits {
		ended := as[pool.Operation](w.answer().ok(http.StatusOK))
		require.Equal(t, pool.OperationSucceeded, ended.Phase, ended.Reason)
		require.False(t, ended.EndedAt.IsZero())
	}
	s.succeeds(o) // an ended one is answered at once
}

func TestAWaitThatPassesIsAnsweredWithTheNewest(t *testing.T) {
	t.Parallel()
	s := open(t)
	defer s.host.holdLaunches()()
	o := s.create("web", 1).Operation
	for _, wait := range []string{"", "?wait=0s", "?wait=-5s", "?wait=1ns", "?wait=100ms"} {
		got := as[pool.Operation](s.local.get("/v1/operations/" + o.ID + wait).ok(http.StatusOK))
		require.Equal(t, pool.OperationRunning, got.Phase, wait)
		require.Equal(t, o.ID, got.ID)
	}
}

func TestNoWaitIsLongerThanTheLongest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t)
		defer s.host.holdLaunches()()
		known := "Authorization: Bearer " + token
		o := as[api.Accepted](s.direct("PUT", "/v1/pools/web", document("web", 1), known, "If-None-Match: *").ok(http.StatusAccepted)).Operation
		begun := time.Now()
		got := as[pool.Operation](s.direct("GET", "/v1/operations/"+o.ID+"?wait=1000h", "", known).ok(http.StatusOK))
		require.Equal(t, pool.OperationRunning, got.Phase)
		require.Equal(t, api.MaxWait, time.Since(begun))
	})
}

func TestASupersededOperationEndsItsWait(t *testing.T) {
	t.Parallel()
	s := open(t)
	defer s.host.holdLaunches()()
	o := s.create("web", 1).Operation
	wait := s.wait(o, s.local)[0]
	by := as[api.Accepted](s.local.with("If-Match: *").do("DELETE", "/v1/pools/web", "").ok(http.StatusAccepted)).Operation
	ended := as[pool.Operation](wait.answer().ok(http.StatusOK))
	require.Equal(t, pool.OperationSuperseded, ended.Phase)
	require.Equal(t, by.ID, ended.SupersededBy)
}

func TestAClientThatGoesAwayWhileItWaitsHarmsNobody(t *testing.T) {
	t.Parallel()
	s := open(t)
	release := s.host.holdLaunches()
	defer release()
	o := s.create("web", 1).Operation
	waits := s.wait(o, s.local, s.remote)
	gone, stays := waits[0], waits[1]
	gone.cancel()
	<-gone.done
	require.Error(t, gone.err)
	release()
	stays.answer().ok(http.StatusOK)
	require.Equal(t, 1, as[pool.View](s.local.get("/v1/pools/web").ok(http.StatusOK)).Status.Ready)
}

func TestAManagerThatEndsAnswersWhoWaits(t *testing.T) {
	t.Parallel()
	s := open(t)
	defer s.host.holdLaunches()()
	o := s.create("web", 1).Operation
	waits := s.wait(o, s.local, s.local, s.remote)
	s.end()
	for _, w := range waits {
		w.answer().problem(http.StatusServiceUnavailable, api.ProblemStopping)
	}
	for range 2 {
		select {
		case err := <-s.served:
			require.NoError(t, err)
		case <-time.After(patience):
			require.Fail(t, "the server does not end")
		}
	}
	_, err := s.local.try(t.Context(), "GET", "/healthz", "")
	require.Error(t, err, "nobody listens any more")
}

func TestAStopIsAnsweredBeforeTheManagerEnds(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.local.do("POST", "/v1/manager:stop", "").ok(http.StatusAccepted)
	for range 2 {
		require.NoError(t, <-s.served)
	}
}

func TestAServerClosesOnlyWhenItIsIdleAndThenForGood(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.local.get("/healthz").ok(http.StatusOK)
	require.False(t, s.server.CloseIfIdle(time.Hour), "a request ended lately")

	entered, leave := make(chan struct{}), make(chan struct{})
	s.host.onCheck(func(context.Context) {
		close(entered)
		<-leave
	})
	request := s.local.begin("POST", "/v1/pools:validate", document("web", 1))
	<-entered
	require.False(t, s.server.CloseIfIdle(0), "a request is under way")
	close(leave)
	request.answer().ok(http.StatusOK)

	require.Eventually(t, func() bool { return s.server.CloseIfIdle(0) }, patience, time.Millisecond)
	for _, path := range []string{"/healthz", "/readyz", "/v1/pools", "/nothing", "/openapi.json"} {
		for _, c := range []caller{s.local, s.remote, s.remote.without()} {
			got := c.get(path)
			got.problem(http.StatusServiceUnavailable, api.ProblemStopping)
			require.Equal(t, "1", got.header.Get("Retry-After"))
		}
	}
	s.local.with("If-None-Match: *").do("PUT", "/v1/pools/web", document("web", 1)).problem(http.StatusServiceUnavailable, api.ProblemStopping)
	require.True(t, s.server.CloseIfIdle(time.Hour), "it stays closed, whoever asks meanwhile")
}

func TestAServerIsIdleFromItsStartOrItsNewestRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t)
		<-time.After(59 * time.Minute)
		require.False(t, s.server.CloseIfIdle(time.Hour), "after the start")
		s.direct("GET", "/healthz", "").ok(http.StatusOK)
		<-time.After(59 * time.Minute)
		require.False(t, s.server.CloseIfIdle(time.Hour), "after the request")
		<-time.After(time.Minute)
		require.True(t, s.server.CloseIfIdle(time.Hour))
	})
}
