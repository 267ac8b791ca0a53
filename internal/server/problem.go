package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// problems says how each problem is answered.
var problems = map[string]struct {
	status int
	title  string
}{
	api.ProblemInvalid:      {http.StatusUnprocessableEntity, "The spec is not valid"},
	api.ProblemNotFound:     {http.StatusNotFound, "Not found"},
	api.ProblemExists:       {http.StatusConflict, "The name is taken"},
	api.ProblemDeleting:     {http.StatusConflict, "The pool is being destroyed"},
	api.ProblemProtected:    {http.StatusConflict, "The pool is protected from deletion"},
	api.ProblemReplace:      {http.StatusConflict, "The change needs another pool"},
	api.ProblemStale:        {http.StatusPreconditionFailed, "The pool was changed meanwhile"},
	api.ProblemPrecondition: {http.StatusPreconditionRequired, "A precondition is missing"},
	api.ProblemKeyReused:    {http.StatusUnprocessableEntity, "The idempotency key was used before"},
	api.ProblemAutoscaled:   {http.StatusConflict, "The pool sizes itself"},
	api.ProblemNoRollout:    {http.StatusConflict, "There is no such rollout"},
	api.ProblemWorkerState:  {http.StatusConflict, "The worker is in no state for it"},
	api.ProblemLeaseEnded:   {http.StatusGone, "The lease is over"},
	api.ProblemOtherManager: {http.StatusMisdirectedRequest, "This is another manager"},
	api.ProblemStopping:     {http.StatusServiceUnavailable, "The manager is ending"},
	api.ProblemUnauthorized: {http.StatusUnauthorized, "A valid token is needed"},
	api.ProblemForbidden:    {http.StatusForbidden, "The caller may not do this"},
	api.ProblemInvalidToken: {http.StatusUnprocessableEntity, "The token is not valid"},
	api.ProblemTooLarge:     {http.StatusRequestEntityTooLarge, "The request is too large"},
	api.ProblemStore:        {http.StatusServiceUnavailable, "The store cannot be written"},
}

// statusProblem is a problem as the router sends it.
type statusProblem struct{ api.Problem }

func (p *statusProblem) Error() string               { return p.Problem.Error() }
func (p *statusProblem) GetStatus() int              { return p.Status }
func (p *statusProblem) ContentType(_ string) string { return "application/problem+json" }

func problem(name, detail string) *statusProblem {
	row := problems[name]
	return &statusProblem{api.Problem{Type: api.ProblemBase + name, Title: row.title, Status: row.status, Detail: detail}}
}

// plainProblem is a problem that HTTP's own status says all of.
func plainProblem(status int, detail string) *statusProblem {
	return &statusProblem{api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}}
}

// useProblems makes the router's own errors (a missing parameter, a value out of bounds) problems too.
var useProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		p := plainProblem(status, message)
		for _, err := range errs {
			p.Errors = append(p.Errors, routerFault(err))
		}
		return p
	}
})

func routerFault(err error) pool.Fault {
	var d huma.ErrorDetailer
	if !errors.As(err, &d) {
		return pool.Fault{Reason: err.Error()}
	}
	f := pool.Fault{Path: d.ErrorDetail().Location, Reason: d.ErrorDetail().Message}
	if v := d.ErrorDetail().Value; v != nil {
		f.Value = shown(fmt.Sprint(v))
	}
	return f
}

// shown is a value as a problem shows it: as much as tells it apart.
func shown(value string) string {
	const enough = 200
	if runes := []rune(value); len(runes) > enough {
		return strconv.Quote(string(runes[:enough])) + "…"
	}
	return strconv.Quote(value)
}

// answer turns an error into a problem. What nobody expected is logged, and told in one sentence.
func (s *Server) answer(err error) error {
	var refusal *lifecycle.Refusal
	var status huma.StatusError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status):
		return status
	case errors.As(err, &refusal):
		p := problem(refusal.Problem, refusal.Detail)
		p.Errors, p.Operation, p.UID, p.Lease = refusal.Faults, refusal.Operation, refusal.UID, refusal.Lease
		return p
	case errors.Is(err, store.ErrUnwritable):
		s.config.Logger.Error("the store cannot be written", "error", err)
		return problem(api.ProblemStore, err.Error()+"; nothing was changed")
	case errors.Is(err, context.Canceled): // else its client is gone, and nobody reads the answer
		return problem(api.ProblemStopping, "the manager is ending")
	}
	s.config.Logger.Error("a request failed", "error", err)
	return plainProblem(http.StatusInternalServerError, err.Error())
}

// decodeFault answers a document that could not be read.
func decodeFault(err error) error {
	var faults pool.Faults
	if errors.As(err, &faults) {
		p := problem(api.ProblemInvalid, "the spec cannot be read")
		p.Errors = faults
		return p
	}
	return err
}

// write sends a problem outside the router's handlers.
func write(w http.ResponseWriter, p *statusProblem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p.Problem) // the client may be gone
}
