package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

type leaseOutput struct {
	Status int
	Body   api.LeaseView
}

// leased answers a lease that is held with 200, and one that waits for its slot with 202.
func (s *Server) leased(l api.LeaseView, err error) (*leaseOutput, error) {
	out := &leaseOutput{Status: http.StatusOK, Body: l}
	if l.State == pool.LeaseWaiting {
		out.Status = http.StatusAccepted
	}
	return out, s.answer(err)
}

type acquireInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"128" doc:"A repetition with the same key is answered with the same lease"`
	Body api.LeaseRequest
}

func (s *Server) acquire(ctx context.Context, in *acquireInput) (*leaseOutput, error) {
	wait, err := waitOf("body.wait", in.Body.Wait)
	if err != nil {
		return nil, err
	}
	if byName := in.Body.Pool != ""; byName == (len(in.Body.Selector) > 0) {
		fault := &huma.ErrorDetail{Location: "body.pool", Message: "is missing, as is a selector; valid: one of pool and selector", Value: in.Body.Pool}
		if byName {
			fault.Message = "comes with a selector; valid: one of pool and selector"
		}
		return nil, huma.Error422UnprocessableEntity("the request is not valid", fault)
	}
	by := Mutation{Key: in.Key}.request(ctx, "acquire", in.Body.Pool, fmt.Sprint(in.Body.Selector), in.Body.Holder)
	want := lifecycle.Want{Pool: in.Body.Pool, Selector: in.Body.Selector, Holder: in.Body.Holder}
	return s.leased(s.config.Manager.Acquire(ctx, by, want, wait))
}

// LeaseRef is the path parameter of a lease.
type LeaseRef struct {
	Lease string `path:"lease" maxLength:"100"`
}

type leaseInput struct {
	LeaseRef
	Wait string `query:"wait" doc:"How long to wait for a free slot, like 30s; at most 60s"`
}

func (s *Server) lease(ctx context.Context, in *leaseInput) (*leaseOutput, error) {
	wait, err := waitOf("query.wait", in.Wait)
	if err != nil {
		return nil, err
	}
	return s.leased(s.config.Manager.Lease(ctx, in.Lease, wait))
}

func (s *Server) renew(ctx context.Context, in *LeaseRef) (*leaseOutput, error) {
	return s.leased(s.config.Manager.Renew(ctx, in.Lease))
}

type releasedOutput struct{ Body pool.Lease }

func (s *Server) release(ctx context.Context, in *LeaseRef) (*releasedOutput, error) {
	l, err := s.config.Manager.Release(ctx, in.Lease)
	return &releasedOutput{l}, s.answer(err)
}

type leasesInput struct {
	PoolRef
	Limit int `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"Leases of each kind"`
}

type leasesOutput struct{ Body api.LeaseList }

func (s *Server) leases(ctx context.Context, in *leasesInput) (*leasesOutput, error) {
	leases, err := s.config.Manager.Leases(ctx, in.Pool, in.Limit)
	return &leasesOutput{api.LeaseList{Leases: append([]pool.Lease{}, leases...)}}, s.answer(err)
}

// waitOf reads how long a caller is ready to wait.
func waitOf(location, text string) (time.Duration, error) {
	wait, err := pool.ParseDuration(cmp.Or(text, "0s"))
	if err != nil {
		return 0, huma.Error422UnprocessableEntity("a parameter is not valid", &huma.ErrorDetail{
			Location: location, Message: "is not a duration like \"30s\"", Value: text,
		})
	}
	return min(wait.Std(), api.MaxWait), nil
}
