package server

import (
	"context"
	"net/http"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

type textOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func text(s string) *textOutput { return &textOutput{"text/plain; charset=utf-8", []byte(s)} }

func (s *Server) healthz(context.Context, *struct{}) (*textOutput, error) { return text("ok\n"), nil }

func (s *Server) readyz(ctx context.Context, _ *struct{}) (*textOutput, error) {
	_, err := s.config.Manager.Pools(ctx, store.Page{Limit: 1})
	return text("ok\n"), s.answer(err)
}

type managerOutput struct{ Body api.Manager }

func (s *Server) manager(ctx context.Context, _ *struct{}) (*managerOutput, error) {
	m := s.config.Describe
	m.Foreign = []api.Foreign{}
	caller, _ := access.Of(ctx)
	for _, f := range s.config.Manager.Foreign(ctx) {
		if len(caller.Scope) > 0 {
			break // nobody knows what labels their pools had
		}
		m.Foreign = append(m.Foreign, api.Foreign{WorkerID: f.WorkerID, PoolName: f.PoolName, PoolUID: f.PoolUID, PID: f.Instance.PID})
	}
	var err error
	m.Pools, err = s.config.Manager.Count(ctx)
	return &managerOutput{m}, s.answer(err)
}

type stopOutput struct{ Status int }

func (s *Server) stop(context.Context, *struct{}) (*stopOutput, error) {
	s.config.Stop()
	return &stopOutput{http.StatusAccepted}, nil
}

type workersOutput struct{ Body api.WorkerList }

func (s *Server) workers(ctx context.Context, in *PoolRef) (*workersOutput, error) {
	workers, err := s.config.Manager.Workers(ctx, in.Pool)
	return &workersOutput{api.WorkerList{Workers: append([]pool.Worker{}, workers...)}}, s.answer(err)
}

type logsInput struct {
	PoolRef
	Worker string `path:"worker"`
	Max    int64  `query:"max" minimum:"1" maximum:"1048576" default:"65536" doc:"Bytes to return at most, from the end, in whole lines; a last line that is longer is cut at its beginning"`
}

func (s *Server) logs(ctx context.Context, in *logsInput) (*textOutput, error) {
	lines, err := s.config.Manager.Logs(ctx, in.Pool, in.Worker, in.Max)
	return text(string(lines)), s.answer(err)
}

type revisionsInput struct {
	PoolRef
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type revisionsOutput struct{ Body api.RevisionList }

func (s *Server) revisions(ctx context.Context, in *revisionsInput) (*revisionsOutput, error) {
	revisions, err := s.config.Manager.Revisions(ctx, in.Pool, in.Limit)
	return &revisionsOutput{api.RevisionList{Revisions: revisions}}, s.answer(err)
}

type eventsInput struct {
	PoolRef
	After int64 `query:"after" minimum:"0" doc:"Sequence behind which to begin"`
	Limit int   `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
}

type eventsOutput struct{ Body api.EventList }

func (s *Server) events(ctx context.Context, in *eventsInput) (*eventsOutput, error) {
	events, err := s.config.Manager.Events(ctx, in.Pool, in.After, in.Limit)
	out := &eventsOutput{api.EventList{Events: append([]pool.Event{}, events...), Next: in.After}}
	if len(events) > 0 {
		out.Body.Next = events[len(events)-1].Sequence
	}
	return out, s.answer(err)
}

type operationInput struct {
	Operation string `path:"operation"`
	Wait      string `query:"wait" doc:"How long to wait for the end, like 30s; at most 60s"`
}

type operationOutput struct{ Body pool.Operation }

func (s *Server) operation(ctx context.Context, in *operationInput) (*operationOutput, error) {
	wait, err := waitOf("query.wait", in.Wait)
	if err != nil {
		return nil, err
	}
	o, err := s.config.Manager.Operation(ctx, in.Operation, wait)
	return &operationOutput{o}, s.answer(err)
}
