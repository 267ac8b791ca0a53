package client

import (
	"errors"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// What calls answer with.
type (
	// Accepted is the answer to a mutation.
	Accepted = api.Accepted
	// Plan is the answer to a dry run, Wave one moment of it.
	Plan = api.Plan
	Wave = api.Wave
	// TokenRequest is what a token is to be like, Role what it may do.
	TokenRequest = api.TokenRequest
	Role         = access.Role
	// Endpoint is a worker of the registry.
	Endpoint = api.Endpoint
)

// RoleViewer is the least role.
const RoleViewer = access.Viewer

// Names of the problems that callers branch on.
const (
	ProblemInvalid      = api.ProblemInvalid
	ProblemNotFound     = api.ProblemNotFound
	ProblemExists       = api.ProblemExists
	ProblemDeleting     = api.ProblemDeleting
	ProblemProtected    = api.ProblemProtected
	ProblemReplace      = api.ProblemReplace
	ProblemAutoscaled   = api.ProblemAutoscaled
	ProblemNoRollout    = api.ProblemNoRollout
	ProblemWorkerState  = api.ProblemWorkerState
	ProblemStale        = api.ProblemStale
	ProblemOtherManager = api.ProblemOtherManager
)

// ProblemOf is the problem that an error of a call wraps; nil if the manager did not answer with one.
func ProblemOf(err error) *Problem {
	var problem *Problem
	if errors.As(err, &problem) {
		return problem
	}
	return nil
}

// ETag is the entity tag of a pool.
func ETag(p pool.Pool) string { return api.ETag(p) }
