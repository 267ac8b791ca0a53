package server

import (
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"github.com/danielgtaylor/huma/v2/sse"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Steering is what every change of how a pool goes on carries.
type Steering struct {
	PoolRef
	Key    string `header:"Idempotency-Key" maxLength:"128" doc:"A repetition with the same key is answered like the first request"`
	Reason string `header:"Poolkeeper-Reason" maxLength:"1024" doc:"Why, for the audit log"`
}

// request makes the lifecycle's request of what came in; parts name what is asked for.
func (in Steering) request(ctx context.Context, parts ...string) lifecycle.Request {
	return Mutation{PoolRef: in.PoolRef, Key: in.Key, Reason: in.Reason}.request(ctx, parts...)
}

func (s *Server) steering(what string, steer func(context.Context, lifecycle.Request, string) (pool.View, error)) func(context.Context, *Steering) (*poolOutput, error) {
	return func(ctx context.Context, in *Steering) (*poolOutput, error) {
		v, err := steer(ctx, in.request(ctx, what), in.Pool)
		return &poolOutput{ETag: api.ETag(v.Pool), Body: v}, s.answer(err)
	}
}

func (s *Server) pause(yes bool) func(context.Context, *Steering) (*poolOutput, error) {
	return s.steering(fmt.Sprint("pause ", yes), func(ctx context.Context, by lifecycle.Request, ref string) (pool.View, error) {
		return s.config.Manager.Pause(ctx, by, ref, yes)
	})
}

type revertInput struct {
	Mutation
	Body api.Revert
}

func (s *Server) revert(ctx context.Context, in *revertInput) (*acceptedOutput, error) {
	done, err := s.config.Manager.Revert(ctx, in.request(ctx, "revert", fmt.Sprint(in.Body.Revision)), in.Pool, in.Body.Revision)
	return s.accepted(ctx, done, err)
}

// WorkerSteering is a change of how a worker goes on.
type WorkerSteering struct {
	Steering
	Worker string `path:"worker" maxLength:"100"`
}

type workerOutput struct{ Body pool.Worker }

func (s *Server) cordon(yes bool) func(context.Context, *WorkerSteering) (*workerOutput, error) {
	return func(ctx context.Context, in *WorkerSteering) (*workerOutput, error) {
		w, err := s.config.Manager.Cordon(ctx, in.request(ctx, "cordon", in.Worker, fmt.Sprint(yes)), in.Pool, in.Worker, yes)
		return &workerOutput{w}, s.answer(err)
	}
}

type extendInput struct {
	WorkerSteering
	Body api.ExtendDrain
}

func (s *Server) extend(ctx context.Context, in *extendInput) (*workerOutput, error) {
	more, err := pool.ParseDuration(in.Body.By)
	if err != nil || more <= 0 {
		return nil, huma.Error422UnprocessableEntity("the request is not valid", &huma.ErrorDetail{
			Location: "body.by", Message: "is not a duration above 0, like \"10m\"", Value: in.Body.By,
		})
	}
	w, err := s.config.Manager.ExtendDrain(ctx, in.request(ctx, "extend", in.Worker, more.Std().String()), in.Pool, in.Worker, more.Std())
	return &workerOutput{w}, s.answer(err)
}

type drainInput struct {
	Mutation
	Worker string `path:"worker" maxLength:"100"`
	Body   api.DrainWorker
}

func (s *Server) drainWorker(ctx context.Context, in *drainInput) (*acceptedOutput, error) {
	replace := in.Body.Replace == nil || *in.Body.Replace
	done, err := s.config.Manager.DrainWorker(ctx, in.request(ctx, "drain", in.Worker, fmt.Sprint(replace)), in.Pool, in.Worker, replace)
	return s.accepted(ctx, done, err)
}

// registryEvents are what a watch of the registry tells, by their names.
var registryEvents = map[string]any{
	api.EventPool: api.RegisteredPool{}, api.EventWaiting: api.WaitingByLabels{}, api.EventComplete: api.RegistryComplete{},
	api.EventGone: api.PoolGone{}, api.EventAlive: api.StillThere{},
}

// watchRegistry ends when the client leaves, or the manager; whoever is still there connects again. It ends with the
// next thing to tell, of which there is always one soon, once the client's token has ended.
func (s *Server) watchRegistry(ctx context.Context, _ *struct{}, send sse.Sender) {
	err := s.config.Manager.WatchRegistry(ctx, func(news any) error {
		if err := s.stillKnown(ctx); err != nil {
			return err
		}
		return send.Data(news)
	})
	if err != nil && ctx.Err() == nil {
		s.config.Logger.Debug("a watch of the registry has ended", "error", err)
	}
}

type registryOutput struct{ Body api.Registry }

func (s *Server) registry(ctx context.Context, _ *struct{}) (*registryOutput, error) {
	r, err := s.config.Manager.Registry(ctx)
	return &registryOutput{r}, s.answer(err)
}

type targetsOutput struct{ Body []api.Targets }

func (s *Server) targets(ctx context.Context, _ *struct{}) (*targetsOutput, error) {
	r, err := s.config.Manager.Registry(ctx)
	return &targetsOutput{api.TargetsOf(r)}, s.answer(err)
}
