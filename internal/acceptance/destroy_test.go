//go:build linux

package acceptance

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestAWorkerThatIgnoresItsSignalIsKilledAfterItsGrace(t *testing.T) {
	w := newWorld(t)
	// It also has a child that nobody tells anything.
	w.reaches(w.web(set("size", 2), set("drain.grace", "1s"),
		set("worker.command", list{"/bin/sh", "-c", "sleep 1000 & exec " + w.worker + " -ignore-term"})))
	uid, _ := w.shown("id").(string)
	w.destroy().succeeded()
	left, err := processesOf(w.dir)
	require.NoError(t, err)
	for _, p := range left {
		require.Equal(t, w.pid(), p.pid, "%s is left", p)
	}
	workers, err := w.client().Workers(t.Context(), uid)
	require.NoError(t, err)
	require.Len(t, workers, 2)
	for _, each := range workers {
		require.Equal(t, "KILL", each.Exit.Signal)
		require.GreaterOrEqual(t, each.EndedAt.Sub(each.StoppingAt), time.Second)
	}
}

// Each of the workers ends with code 0 only if none of its jobs was left when it was told to.
func TestAWorkerThatReportsItsJobsIsStoppedWhenTheyAreDone(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web(set("size", 2), w.args("-jobs", "4"), set("drain.timeout", "5m"), set("drain.deregister_delay", "0s"),
		set("drain.active_jobs", object{"path": "/jobs", "json_path": "$.active"})))
	uid, _ := w.shown("id").(string)
	w.destroy().succeeded()
	workers, err := w.client().Workers(t.Context(), uid)
	require.NoError(t, err)
	require.Len(t, workers, 2)
	for _, each := range workers {
		require.Equal(t, &pool.Exit{}, each.Exit)
		require.True(t, each.StoppingAt.Before(each.DrainBy), "it is stopped because it is idle")
	}
}

func TestADestroyThatIsNotAwaitedSaysWhatIsLeftAndGoesOn(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web(set("size", 2), w.args("-ignore-term"), set("drain.grace", "8s"), set("timeouts", object{"delete": "1s"})))
	crew := w.settled("web")
	said := w.destroy().failed()
	said.says(`Pool "web" is still being destroyed`, "The timeout of 1s passed", "Left of it:")
	for id, pid := range crew {
		said.says(id, fmt.Sprintf("(process %d)", pid))
	}
	_, kept := w.state()
	require.True(t, kept)

	await(t, "the end of the workers by itself", func() bool { return len(w.running("web")) == 0 })
	w.destroy().succeeded()
	require.Empty(t, w.pools())
	_, kept = w.state()
	require.False(t, kept)
}

func TestAProtectedPoolIsNotDestroyed(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web(set("deletion_protection", true)))
	before := w.settled("web")
	w.destroy().failed().says("deletion_protection")
	w.declare(w.web(set("deletion_protection", true), set("name", "other")))
	w.apply().failed().says("deletion_protection")
	require.Equal(t, before, w.settled("web"))
	w.reaches(w.web())
	require.Equal(t, before, w.settled("web"))
	w.destroy().succeeded()
}
