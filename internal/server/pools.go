package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// PoolRef is the path parameter of a pool. (The router reads only exported embedded types.)
type PoolRef struct {
	Pool string `path:"pool" maxLength:"100" doc:"Name or uid of the pool"`
}

// Mutation is what every mutation of a pool carries.
type Mutation struct {
	PoolRef
	IfMatch string `header:"If-Match" doc:"ETag of the state that the change is based on, or *"`
	Key     string `header:"Idempotency-Key" maxLength:"128" doc:"A repetition with the same key is answered like the first request"`
	Reason  string `header:"Poolkeeper-Reason" maxLength:"1024" doc:"Why, for the audit log"`
}

// request makes the lifecycle's request of what came in; parts name what is asked for.
func (c Mutation) request(ctx context.Context, parts ...string) lifecycle.Request {
	caller, _ := access.Of(ctx)
	hash := sha256.New()
	for _, p := range append([]string{c.Pool, c.IfMatch}, parts...) {
		fmt.Fprintf(hash, "%d:%s,", len(p), p)
	}
	return lifecycle.Request{
		Author: caller.Author, Comment: c.Reason, Key: c.Key, IfMatch: c.IfMatch,
		Fingerprint: hex.EncodeToString(hash.Sum(nil)),
	}
}

type acceptedOutput struct {
	Status int
	ETag   string `header:"ETag"`
	Body   api.Accepted
}

// accepted answers an accepted change with 202, or with 200 if nothing had to be changed.
func (s *Server) accepted(ctx context.Context, done lifecycle.Accepted, err error) (*acceptedOutput, error) {
	if err != nil {
		return nil, s.answer(err)
	}
	v, err := s.config.Manager.Show(ctx, done)
	if err != nil {
		return nil, s.answer(err)
	}
	out := &acceptedOutput{Status: http.StatusAccepted, ETag: api.ETag(done.Pool), Body: api.Accepted{Pool: v, Operation: done.Operation, Changed: done.Changed}}
	if !done.Changed {
		out.Status = http.StatusOK
	}
	return out, nil
}

type poolOutput struct {
	ETag string `header:"ETag"`
	Body pool.View
}

func (s *Server) readPool(ctx context.Context, in *PoolRef) (*poolOutput, error) {
	v, err := s.config.Manager.Pool(ctx, in.Pool)
	return &poolOutput{ETag: api.ETag(v.Pool), Body: v}, s.answer(err)
}

type listInput struct {
	After string `query:"after" doc:"Name behind which the page begins"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"500" doc:"Pools of one page"`
}

type listOutput struct{ Body api.PoolList }

func (s *Server) listPools(ctx context.Context, in *listInput) (*listOutput, error) {
	views, err := s.config.Manager.Pools(ctx, store.Page{After: in.After, Limit: in.Limit})
	out := &listOutput{Body: api.PoolList{Pools: append([]pool.View{}, views...)}}
	if len(views) == in.Limit {
		out.Body.Next = views[len(views)-1].Name
	}
	return out, s.answer(err)
}

type putInput struct {
	Mutation
	IfNoneMatch string `header:"If-None-Match" enum:"*" doc:"* for a pool that must be new"`
	RawBody     []byte
}

func (s *Server) putPool(ctx context.Context, in *putInput) (*acceptedOutput, error) {
	spec, err := pool.Decode(in.RawBody)
	if err != nil {
		return nil, s.answer(decodeFault(err))
	}
	if spec.Name != in.Pool {
		return nil, misnamed(spec.Name, in.Pool)
	}
	by := in.request(ctx, "put", in.IfNoneMatch, string(in.RawBody))
	by.IfNoneMatch = in.IfNoneMatch == "*"
	done, err := s.config.Manager.Put(ctx, by, spec)
	return s.accepted(ctx, done, err)
}

func misnamed(name, asked string) error {
	p := problem(api.ProblemInvalid, "the spec is for another pool")
	p.Errors = pool.Faults{{Path: "name", Value: shown(name), Reason: "is not the name in the request's path", Valid: fmt.Sprintf("%q", asked)}}
	return p
}

type bodyInput struct {
	Mutation
	RawBody []byte
}

func (s *Server) patchPool(ctx context.Context, in *bodyInput) (*acceptedOutput, error) {
	done, err := s.config.Manager.Patch(ctx, in.request(ctx, "patch", string(in.RawBody)), in.Pool, in.RawBody)
	return s.accepted(ctx, done, err)
}

func (s *Server) resize(ctx context.Context, in *bodyInput) (*acceptedOutput, error) {
	size, err := wantedSize(in.RawBody)
	if err != nil {
		return nil, s.answer(decodeFault(err))
	}
	done, err := s.config.Manager.Resize(ctx, in.request(ctx, "resize", fmt.Sprintf(`{"size":%d}`, size)), in.Pool, size)
	return s.accepted(ctx, done, err)
}

// wantedSize reads the body of a resize, JSON or YAML, which is a patch of nothing but the size.
func wantedSize(body []byte) (int64, error) {
	spec, err := pool.Patch(pool.Default(), body)
	if err != nil {
		return 0, err
	}
	var faults pool.Faults
	for _, c := range pool.Changes(pool.Default(), spec) {
		if c.Path != "size" {
			faults = append(faults, pool.Fault{Path: c.Path, Reason: "a resize changes the size only", Valid: "size"})
		}
	}
	if spec.Size == nil {
		faults = append(faults, pool.Fault{Path: "size", Reason: "is missing", Valid: "the desired number of workers"})
	}
	if len(faults) > 0 {
		return 0, faults
	}
	return *spec.Size, nil
}

func (s *Server) restart(ctx context.Context, in *Mutation) (*acceptedOutput, error) {
	done, err := s.config.Manager.Restart(ctx, in.request(ctx, "restart"), in.Pool)
	return s.accepted(ctx, done, err)
}

type deleteInput struct {
	Mutation
	Force bool `query:"force" doc:"Stop workers at once instead of draining them"`
}

func (s *Server) deletePool(ctx context.Context, in *deleteInput) (*acceptedOutput, error) {
	done, err := s.config.Manager.Delete(ctx, in.request(ctx, "delete", fmt.Sprint(in.Force)), in.Pool, in.Force)
	return s.accepted(ctx, done, err)
}

type planOutput struct{ Body api.Plan }

func (s *Server) plan(ctx context.Context, in *validateInput) (*planOutput, error) {
	spec, err := pool.Decode(in.RawBody)
	if err != nil {
		return nil, s.answer(decodeFault(err))
	}
	plan, err := s.config.Manager.Foresee(ctx, spec)
	return &planOutput{plan}, s.answer(err)
}

type planPatchInput struct {
	PoolRef
	RawBody []byte
}

func (s *Server) planPatch(ctx context.Context, in *planPatchInput) (*planOutput, error) {
	plan, err := s.config.Manager.ForeseePatch(ctx, in.Pool, in.RawBody)
	return &planOutput{plan}, s.answer(err)
}

type validateInput struct{ RawBody []byte }

type validateOutput struct {
	Status int
	Body   api.Validated
}

func (s *Server) validate(ctx context.Context, in *validateInput) (*validateOutput, error) {
	spec, err := pool.Decode(in.RawBody)
	if err != nil {
		return nil, s.answer(decodeFault(err))
	}
	return &validateOutput{http.StatusOK, api.Validated{Spec: spec}}, s.answer(s.config.Manager.Validate(ctx, spec))
}
