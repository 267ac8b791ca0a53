package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

// news streams messages, and then the connection ends.
func news(messages ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, m := range messages {
			fmt.Fprint(w, m, "\n\n")
		}
	}
}

func names(r api.Registry) (names []string) {
	for _, p := range r.Pools {
		names = append(names, p.Name)
	}
	return names
}

const (
	web      = `event: pool` + "\n" + `data: {"uid":"p_1","name":"web","host":"h","waiting":0,"endpoints":[]}`
	jobs     = `event: pool` + "\n" + `data: {"uid":"p_2","name":"jobs","host":"h","waiting":0,"endpoints":[]}`
	labels   = `event: waiting` + "\n" + `data: {"waiting":2}`
	complete = `event: complete` + "\n" + `data: {"pools":2}`
	alive    = `event: alive` + "\n" + `data: {"time":"2026-05-06T12:00:00Z"}`
	gone     = `event: gone` + "\n" + `data: {"uid":"p_1","name":"web"}`
)

func TestAWatchTellsTheWholeRegistryAndSurvivesTheEndOfItsConnection(t *testing.T) {
	c, manager := manager(t, client.Config{},
		news(web, jobs, labels, complete, alive, gone),
		problem(503, api.ProblemStopping, "the manager is ending"),
		news(web, complete))
	enough := errors.New("enough")
	var told [][]string
	var waiting []int
	err := c.WatchRegistry(t.Context(), func(r api.Registry) error {
		waiting = append(waiting, r.Waiting)
		if told = append(told, names(r)); len(told) == 3 {
			return enough
		}
		return nil
	})
	require.ErrorIs(t, err, enough)
	require.Equal(t, [][]string{{"jobs", "web"}, {"jobs"}, {"web"}}, told, "what was known before the connection was lost counts no more")
	require.Equal(t, []int{2, 2, 0}, waiting)
	require.Len(t, manager.requests(), 3)
	require.Equal(t, "/v1/registry:watch", manager.requests()[0].path)
}

func TestAWatchEndsWithAnAnswerThatWillNotChange(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a refusal": problem(401, api.ProblemUnauthorized, "no token was shown"),
		"no JSON":   news("event: pool\ndata: pool", complete),
		"no number": news(web, "event: waiting\ndata: many", complete),
	} {
		t.Run(name, func(t *testing.T) {
			c, manager := manager(t, client.Config{}, answer)
			require.ErrorContains(t, c.WatchRegistry(t.Context(), func(api.Registry) error { return nil }), "watch the registry: ")
			require.Len(t, manager.requests(), 1)
		})
	}
}

func TestAWatchEndsWithTheCallersContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := manager(t, client.Config{}, func(w http.ResponseWriter, r *http.Request) {
		news(web, complete)(w, r)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	err := c.WatchRegistry(ctx, func(api.Registry) error { cancel(); return nil })
	require.ErrorIs(t, err, context.Canceled)
}
