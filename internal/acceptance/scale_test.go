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
