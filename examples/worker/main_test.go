package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// start runs a worker and returns its URL, how to tell it to end, and its outcome.
func start(t *testing.T) (url string, end context.CancelFunc, ended <-chan error) {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, end := context.WithCancel(t.Context())
	outcome := make(chan error, 1)
	go func() { outcome <- serve(ctx, listener, about{Worker: "w1", Pool: "p1", PID: 7, Greeting: "hello"}) }()
	return "http://" + listener.Addr().String(), end, outcome
}

func ask(t *testing.T, method, url string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func TestWorkerSaysWhoItIs(t *testing.T) {
	url, end, ended := start(t)
	var self about
	require.NoError(t, json.NewDecoder(ask(t, http.MethodGet, url+"/").Body).Decode(&self))
	require.Equal(t, about{Worker: "w1", Pool: "p1", PID: 7, Greeting: "hello"}, self)
	require.Equal(t, http.StatusOK, ask(t, http.MethodGet, url+"/healthz").StatusCode)
	http.DefaultClient.CloseIdleConnections()
	end()
	require.NoError(t, <-ended)
}

func TestWorkerFinishesItsJobsBeforeItEnds(t *testing.T) {
	url, end, ended := start(t)
	status := make(chan int, 1)
	go func() {
		request, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, url+"/jobs?duration=1s", nil)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			status <- 0
			return
		}
		response.Body.Close()
		status <- response.StatusCode
	}()
	for self := (about{}); self.ActiveJobs != 1; {
		require.NoError(t, json.NewDecoder(ask(t, http.MethodGet, url+"/").Body).Decode(&self))
	}
	end()
	require.NoError(t, <-ended)
	require.Equal(t, http.StatusOK, <-status)
}

func TestWorkerRefusesAJobWithoutAValidDuration(t *testing.T) {
	url, end, ended := start(t)
	for _, duration := range []string{"", "soon", "-1s", "1000h"} {
		require.Equal(t, http.StatusBadRequest, ask(t, http.MethodPost, url+"/jobs?duration="+duration).StatusCode, "duration=%q", duration)
	}
	http.DefaultClient.CloseIdleConnections()
	end()
	require.NoError(t, <-ended)
}
