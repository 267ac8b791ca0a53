//go:build linux

package acceptance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// TestADynamicPoolFollowsItsLeasesAndThePlanStaysEmpty: what a pool decides on by itself is never a difference.
func TestADynamicPoolFollowsItsLeasesAndThePlanStaysEmpty(t *testing.T) {
	w := newWorld(t)
	dynamic := func(least, most int) object {
		return w.web(without("size"), set("initialization", "dynamic"),
			set("autoscaling", object{"min": least, "max": most, "idle_timeout": "2s"}), set("drain.deregister_delay", "0s"))
	}
	w.reaches(dynamic(0, 3))
	require.Empty(t, w.settled("web"))
	w.plan().ended(planEmpty)

	var leases []api.LeaseView
	for range 3 {
		l, err := w.client().Acquire(t.Context(), api.LeaseRequest{Pool: "web", Holder: "a job"})
		require.NoError(t, err)
		require.Equal(t, pool.LeaseHeld, l.State)
		leases = append(leases, l)
	}
	require.Len(t, w.settled("web"), 3)
	w.plan().ended(planEmpty)
	_, err := w.client().Resize(t.Context(), "web", 5, client.Change{})
	require.ErrorContains(t, err, "from autoscaling.min 0 to autoscaling.max 3")

	for _, l := range leases[1:] {
		_, err := w.client().Release(t.Context(), l.ID)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return w.pool("web").Status.Current == 1 }, time.Minute, 50*time.Millisecond)
	w.plan().ended(planEmpty)
	still, err := w.client().Renew(t.Context(), leases[0].ID)
	require.NoError(t, err)
	require.Equal(t, pool.WorkerReady, still.Worker.State, "the busy one has stayed")

	w.reaches(dynamic(2, 3))
	require.Len(t, w.settled("web"), 2, "the least was raised")
	w.reaches(w.web(set("size", 1), set("drain.deregister_delay", "0s")))
	require.Len(t, w.settled("web"), 1)
	w.plan().ended(planEmpty)
	_, err = w.client().Release(t.Context(), leases[0].ID)
	require.NoError(t, err)
}

// TestASizeThatMovesIsNeverInTheWay: the pool grows and shrinks by its leases while plans are made, kept and applied.
func TestASizeThatMovesIsNeverInTheWay(t *testing.T) {
	w := newWorld(t)
	dynamic := func(changes ...change) object {
		return w.web(append([]change{
			without("size"), set("initialization", "dynamic"), set("drain.deregister_delay", "0s"),
			set("autoscaling", object{"min": 0, "max": 6, "idle_timeout": "1s"}),
		}, changes...)...)
	}
	w.reaches(dynamic())

	// A plan that was made at one size is applied at another.
	w.declare(dynamic(set("description", "better")))
	w.tf("plan", "-input=false", "-out=plan").succeeded()
	var leases []api.LeaseView
	for range 4 {
		l, err := w.client().Acquire(t.Context(), api.LeaseRequest{Pool: "web", Holder: "a job"})
		require.NoError(t, err)
		leases = append(leases, l)
	}
	w.tf("apply", "-input=false", "plan").succeeded()
	require.Equal(t, "better", w.pool("web").Spec.Description)
	require.Len(t, w.settled("web"), 4, "the applied plan has changed no size")
	w.plan().ended(planEmpty)

	sizes := map[int]bool{}
	for i := range 20 {
		if i%2 == 0 && len(leases) > 0 {
			_, err := w.client().Release(t.Context(), leases[0].ID)
			require.NoError(t, err)
			leases = leases[1:]
		}
		if i >= 10 && i%2 == 1 {
			l, err := w.client().Acquire(t.Context(), api.LeaseRequest{Pool: "web", Holder: "a job"})
			require.NoError(t, err)
			leases = append(leases, l)
		}
		for _, l := range leases {
			_, err := w.client().Renew(t.Context(), l.ID)
			require.NoError(t, err)
		}
		w.plan().ended(planEmpty)
		sizes[w.pool("web").Status.Current] = true
	}
	require.Greater(t, len(sizes), 2, "the size has moved meanwhile: %v", sizes)
	for _, l := range leases {
		_, err := w.client().Release(t.Context(), l.ID)
		require.NoError(t, err)
	}
}
