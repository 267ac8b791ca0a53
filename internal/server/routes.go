package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

// routes registers every route of the API and returns its description.
func (s *Server) routes(a huma.API) *huma.OpenAPI {
	get(a, anyone, "/healthz", "health", "Whether the manager runs", s.healthz)
	get(a, anyone, "/readyz", "readiness", "Whether the manager can serve: its store answers", s.readyz)
	get(a, viewer, "/v1/manager", "describeManager", "Describe the manager", s.manager)
	post(a, ruler, "/v1/manager:stop", "stopManager", "End the manager; workers live on", s.stop)

	get(a, viewer, "/v1/pools", "listPools", "List pools by name", s.listPools)
	get(a, viewer, "/v1/pools/{pool}", "readPool", "Show a pool; by its uid also a destroyed one", s.readPool)
	put(a, admin, "/v1/pools/{pool}", "putPool", "Create a pool, or change it to a spec", s.putPool)
	register(a, admin, http.MethodPatch, "/v1/pools/{pool}", "patchPool", "Change fields of a pool by a JSON merge patch (RFC 7396)", http.StatusAccepted, s.patchPool)
	register(a, admin, http.MethodDelete, "/v1/pools/{pool}", "deletePool", "Drain and destroy a pool", http.StatusAccepted, s.deletePool)
	register(a, viewer, http.MethodPost, "/v1/pools:validate", "validateSpec", "Check a spec as a creation would, and change nothing", http.StatusOK, s.validate)
	register(a, viewer, http.MethodPost, "/v1/pools:plan", "planPool", "What a PUT of the spec would do to the pool and its workers; nothing is changed", http.StatusOK, s.plan)
	register(a, viewer, http.MethodPost, "/v1/pools/{pool}:plan", "planPatch", "What a PATCH by the body would do to the pool and its workers; nothing is changed", http.StatusOK, s.planPatch)
	post(a, operator, "/v1/pools/{pool}:resize", "resizePool", "Change the number of workers", s.resize)
	post(a, operator, "/v1/pools/{pool}:restart", "restartPool", "Replace all workers step by step", s.restart)

	steer(a, operator, "/v1/pools/{pool}:pause", "pausePool", "Stop everything that is done with a pool's workers but their leases", s.pause(true))
	steer(a, operator, "/v1/pools/{pool}:resume", "resumePool", "Go on with a paused pool, or a rollout that waits after its failure", s.pause(false))
	steer(a, operator, "/v1/pools/{pool}:promote", "promoteRollout", "Have the rest of a rollout follow its canary", s.steering("promote", s.config.Manager.Promote))
	steer(a, operator, "/v1/pools/{pool}:abort", "abortRollout", "End a rollout: the pool returns to its last good revision", s.steering("abort", s.config.Manager.Abort))
	post(a, operator, "/v1/pools/{pool}:revert", "revertPool", "Change a pool to the template and contract of one of its revisions", s.revert)

	get(a, viewer, "/v1/registry", "readRegistry", "The pools that live, with the workers that serve", s.registry)
	sse.Register(a, operation(viewer, http.MethodGet, "/v1/registry:watch", "watchRegistry",
		"The same as server-sent events: every pool, that these were all, and then each that changed or is gone"), registryEvents, s.watchRegistry)
	get(a, viewer, "/v1/registry/targets", "readTargets", "The same as Prometheus's HTTP service discovery reads it", s.targets)

	steer(a, operator, "/v1/pools/{pool}/workers/{worker}:cordon", "cordonWorker", "Keep a worker from getting new leases", s.cordon(true))
	steer(a, operator, "/v1/pools/{pool}/workers/{worker}:uncordon", "uncordonWorker", "Let a worker get leases again", s.cordon(false))
	steer(a, operator, "/v1/pools/{pool}/workers/{worker}:extend", "extendDrain", "Give a draining worker more time", s.extend)
	post(a, operator, "/v1/pools/{pool}/workers/{worker}:drain", "drainWorker", "Replace a worker, or have the pool get smaller by it", s.drainWorker)
	get(a, viewer, "/v1/pools/{pool}/workers", "listWorkers", "List workers: living ones, then those that ended lately", s.workers)
	get(a, viewer, "/v1/pools/{pool}/workers/{worker}/logs", "readLogs", "Last lines of a worker's output", s.logs)
	get(a, viewer, "/v1/pools/{pool}/revisions", "listRevisions", "List accepted specs from the newest", s.revisions)
	get(a, viewer, "/v1/pools/{pool}/events", "listEvents", "Read a pool's event log", s.events)
	register(a, operator, http.MethodPost, "/v1/leases", "acquireLease", "Claim a slot of a worker, or a place in the queue for one", http.StatusOK, s.acquire)
	// A claim that waits lives on because it is looked at.
	get(a, operator, "/v1/leases/{lease}", "readLease", "Show a lease; one that waits keeps its place, and its slot can be waited for", s.lease)
	register(a, operator, http.MethodPost, "/v1/leases/{lease}:renew", "renewLease", "Give a lease its whole time to live again", http.StatusOK, s.renew)
	register(a, operator, http.MethodDelete, "/v1/leases/{lease}", "releaseLease", "End a lease, or give up the wait for one", http.StatusOK, s.release)
	get(a, viewer, "/v1/pools/{pool}/leases", "listLeases", "List a pool's leases: those that are held, then those that wait", s.leases)
	get(a, ruler, "/v1/backup", "backup", "Pools as they are at one moment, with their histories, as a backup file", s.backup)
	register(a, ruler, http.MethodPost, api.PathRestore, "restorePool", "Bring one pool of a backup back, or change the living pool of its name to what it was", http.StatusOK, s.restore)
	get(a, viewer, "/v1/operations/{operation}", "readOperation", "Show an operation, or wait for its end", s.operation)

	register(a, admin, http.MethodPost, "/v1/tokens", "makeToken", "Make an access token, which is told this once", http.StatusCreated, s.makeToken)
	get(a, admin, "/v1/tokens", "listTokens", "List access tokens from the one that was made last", s.listTokens)
	register(a, admin, http.MethodDelete, "/v1/tokens/{token}", "revokeToken", "End an access token now", http.StatusOK, s.revokeToken)

	describeBodies(a.OpenAPI())
	describeAnswers(a.OpenAPI())
	return a.OpenAPI()
}

// What routes ask of their callers.
var (
	anyone   = access.Need{Open: true}
	viewer   = access.Need{Least: access.Viewer}
	operator = access.Need{Least: access.Operator}
	admin    = access.Need{Least: access.Admin}
	// ruler is for what concerns all pools at once.
	ruler   = access.Need{Least: access.Admin, All: true}
	watcher = access.Need{Least: access.Viewer, All: true}
)

// operation describes a route, with the least role that it needs.
func operation(need access.Need, method, path, id, summary string) huma.Operation {
	o := huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary,
		Metadata: map[string]any{metaNeed: need}, Security: []map[string][]string{},
	}
	if !need.Open {
		o.Security = []map[string][]string{{securityToken: {}}}
		o.Extensions = map[string]any{"x-least-role": need.Least}
	}
	return o
}

func register[I, O any](a huma.API, need access.Need, method, path, id, summary string, status int, handle func(context.Context, *I) (*O, error)) {
	o := operation(need, method, path, id, summary)
	o.DefaultStatus = status
	o.MaxBodyBytes, o.BodyReadTimeout = -1, -1 // readBody has read it; a deadline from here on would end the request
	huma.Register(a, o, handle)
}

// steer is a change that is done at once and makes no operation.
func steer[I, O any](a huma.API, need access.Need, path, id, summary string, handle func(context.Context, *I) (*O, error)) {
	register(a, need, http.MethodPost, path, id, summary, http.StatusOK, handle)
}

func get[I, O any](a huma.API, need access.Need, path, id, summary string, handle func(context.Context, *I) (*O, error)) {
	register(a, need, http.MethodGet, path, id, summary, http.StatusOK, handle)
}

func put[I, O any](a huma.API, need access.Need, path, id, summary string, handle func(context.Context, *I) (*O, error)) {
	register(a, need, http.MethodPut, path, id, summary, http.StatusAccepted, handle)
}

func post[I, O any](a huma.API, need access.Need, path, id, summary string, handle func(context.Context, *I) (*O, error)) {
	register(a, need, http.MethodPost, path, id, summary, http.StatusAccepted, handle)
}
