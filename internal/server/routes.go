package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

// routes registers every route of the API and returns its description.
func (s *Server) routes(a huma.API) *huma.OpenAPI {
	get(a, "/healthz", "health", "Whether the manager runs", s.healthz)
	get(a, "/readyz", "readiness", "Whether the manager can serve: its store answers", s.readyz)
	get(a, "/v1/manager", "describeManager", "Describe the manager", s.manager)
	post(a, "/v1/manager:stop", "stopManager", "End the manager; workers live on", s.stop)

	get(a, "/v1/pools", "listPools", "List pools by name", s.listPools)
	get(a, "/v1/pools/{pool}", "readPool", "Show a pool; by its uid also a destroyed one", s.readPool)
	put(a, "/v1/pools/{pool}", "putPool", "Create a pool, or change it to a spec", s.putPool)
	register(a, http.MethodPatch, "/v1/pools/{pool}", "patchPool", "Change fields of a pool by a JSON merge patch (RFC 7396)", http.StatusAccepted, s.patchPool)
	register(a, http.MethodDelete, "/v1/pools/{pool}", "deletePool", "Drain and destroy a pool", http.StatusAccepted, s.deletePool)
	register(a, http.MethodPost, "/v1/pools:validate", "validateSpec", "Check a spec as a creation would, and change nothing", http.StatusOK, s.validate)
	register(a, http.MethodPost, "/v1/pools:plan", "planPool", "What a PUT of the spec would do to the pool and its workers; nothing is changed", http.StatusOK, s.plan)
	register(a, http.MethodPost, "/v1/pools/{pool}:plan", "planPatch", "What a PATCH by the body would do to the pool and its workers; nothing is changed", http.StatusOK, s.planPatch)
	post(a, "/v1/pools/{pool}:resize", "resizePool", "Change the number of workers", s.resize)
	post(a, "/v1/pools/{pool}:restart", "restartPool", "Replace all workers step by step", s.restart)

	steer(a, "/v1/pools/{pool}:pause", "pausePool", "Stop everything that is done with a pool's workers but their leases", s.pause(true))
	steer(a, "/v1/pools/{pool}:resume", "resumePool", "Go on with a paused pool, or a rollout that waits after its failure", s.pause(false))
	steer(a, "/v1/pools/{pool}:promote", "promoteRollout", "Have the rest of a rollout follow its canary", s.steering("promote", s.config.Manager.Promote))
	steer(a, "/v1/pools/{pool}:abort", "abortRollout", "End a rollout: the pool returns to its last good revision", s.steering("abort", s.config.Manager.Abort))
	post(a, "/v1/pools/{pool}:revert", "revertPool", "Change a pool to the template and contract of one of its revisions", s.revert)

	get(a, "/v1/registry", "readRegistry", "The pools that live, with the workers that serve", s.registry)
	sse.Register(a, huma.Operation{
		Method: http.MethodGet, Path: "/v1/registry:watch", OperationID: "watchRegistry",
		Summary: "The same as server-sent events: every pool, that these were all, and then each that changed or is gone",
	}, registryEvents, s.watchRegistry)
	get(a, "/v1/registry/targets", "readTargets", "The same as Prometheus's HTTP service discovery reads it", s.targets)

	steer(a, "/v1/pools/{pool}/workers/{worker}:cordon", "cordonWorker", "Keep a worker from getting new leases", s.cordon(true))
	steer(a, "/v1/pools/{pool}/workers/{worker}:uncordon", "uncordonWorker", "Let a worker get leases again", s.cordon(false))
	steer(a, "/v1/pools/{pool}/workers/{worker}:extend", "extendDrain", "Give a draining worker more time", s.extend)
	post(a, "/v1/pools/{pool}/workers/{worker}:drain", "drainWorker", "Replace a worker, or have the pool get smaller by it", s.drainWorker)
	get(a, "/v1/pools/{pool}/workers", "listWorkers", "List workers: living ones, then those that ended lately", s.workers)
	get(a, "/v1/pools/{pool}/workers/{worker}/logs", "readLogs", "Last lines of a worker's output", s.logs)
	get(a, "/v1/pools/{pool}/revisions", "listRevisions", "List accepted specs from the newest", s.revisions)
	get(a, "/v1/pools/{pool}/events", "listEvents", "Read a pool's event log", s.events)
	register(a, http.MethodPost, "/v1/leases", "acquireLease", "Claim a slot of a worker, or a place in the queue for one", http.StatusOK, s.acquire)
	get(a, "/v1/leases/{lease}", "readLease", "Show a lease; one that waits keeps its place, and its slot can be waited for", s.lease)
	register(a, http.MethodPost, "/v1/leases/{lease}:renew", "renewLease", "Give a lease its whole time to live again", http.StatusOK, s.renew)
	register(a, http.MethodDelete, "/v1/leases/{lease}", "releaseLease", "End a lease, or give up the wait for one", http.StatusOK, s.release)
	get(a, "/v1/pools/{pool}/leases", "listLeases", "List a pool's leases: those that are held, then those that wait", s.leases)
	get(a, "/v1/backup", "backup", "Pools as they are at one moment, with their histories, as a backup file", s.backup)
	register(a, http.MethodPost, api.PathRestore, "restorePool", "Bring one pool of a backup back, or change the living pool of its name to what it was", http.StatusOK, s.restore)
	get(a, "/v1/operations/{operation}", "readOperation", "Show an operation, or wait for its end", s.operation)

	describeBodies(a.OpenAPI())
	describeAnswers(a.OpenAPI())
	return a.OpenAPI()
}

func register[I, O any](a huma.API, method, path, id, summary string, status int, handle func(context.Context, *I) (*O, error)) {
	huma.Register(a, huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary, DefaultStatus: status,
		MaxBodyBytes: -1, BodyReadTimeout: -1, // readBody has read it; a deadline from here on would end the request
	}, handle)
}

// steer is a change that is done at once and makes no operation.
func steer[I, O any](a huma.API, path, id, summary string, handle func(context.Context, *I) (*O, error)) {
	register(a, http.MethodPost, path, id, summary, http.StatusOK, handle)
}

func get[I, O any](a huma.API, path, id, summary string, handle func(context.Context, *I) (*O, error)) {
	register(a, http.MethodGet, path, id, summary, http.StatusOK, handle)
}

func put[I, O any](a huma.API, path, id, summary string, handle func(context.Context, *I) (*O, error)) {
	register(a, http.MethodPut, path, id, summary, http.StatusAccepted, handle)
}

func post[I, O any](a huma.API, path, id, summary string, handle func(context.Context, *I) (*O, error)) {
	register(a, http.MethodPost, path, id, summary, http.StatusAccepted, handle)
}
