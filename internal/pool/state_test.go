package pool_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestEveryStandingShowsTheFirstStateThatMatches(t *testing.T) {
	shown := func(s pool.Standing) pool.State {
		switch {
		case s.Phase == pool.PhaseDestroyed:
			return pool.StateDestroyed
		case s.Phase == pool.PhaseDeleting && !s.Draining:
			return pool.StateDestroying
		case s.Phase == pool.PhaseDeleting:
			return pool.StateDraining
		case s.Failed:
			return pool.StateError
		case s.Phase == pool.PhaseCreating && !s.WorkersKnown:
			return pool.StateCreating
		case s.Phase == pool.PhaseCreating:
			return pool.StateInitializing
		case s.Old:
			return pool.StateUpdating
		case s.Resizing:
			return pool.StateScaling
		}
		return pool.StateActive
	}
	seen := map[pool.State]bool{}
	for _, phase := range []pool.Phase{pool.PhaseCreating, pool.PhaseLive, pool.PhaseDeleting, pool.PhaseDestroyed} {
		for bits := range 1 << 5 {
			s := pool.Standing{
				Phase: phase, Failed: bits&1 != 0, WorkersKnown: bits&2 != 0, Draining: bits&4 != 0,
				Old: bits&8 != 0, Resizing: bits&16 != 0,
			}
			require.Equal(t, shown(s), s.Shown(), "%+v", s)
			seen[s.Shown()] = true
		}
	}
	require.Len(t, seen, 9, "every state can be shown")
}

func TestWhatAWorkersStateMeans(t *testing.T) {
	for state, want := range map[pool.WorkerState]struct{ ended, leaving bool }{
		pool.WorkerPending:  {false, false},
		pool.WorkerStarting: {false, false},
		pool.WorkerReady:    {false, false},
		pool.WorkerDraining: {false, true},
		pool.WorkerStopping: {false, true},
		pool.WorkerStopped:  {true, false},
		pool.WorkerFailed:   {true, false},
	} {
		require.Equal(t, want.ended, state.Ended(), state)
		require.Equal(t, want.leaving, state.Leaving(), state)
	}
}

func TestOnlyARunningOperationHasNotEnded(t *testing.T) {
	require.False(t, pool.OperationRunning.Ended())
	for _, phase := range []pool.OperationPhase{pool.OperationSucceeded, pool.OperationFailed, pool.OperationSuperseded} {
		require.True(t, phase.Ended(), phase)
	}
}

func TestNothingIsDesiredOnceADestroyIsAccepted(t *testing.T) {
	for phase, want := range map[pool.Phase]int{pool.PhaseCreating: 3, pool.PhaseLive: 3, pool.PhaseDeleting: 0, pool.PhaseDestroyed: 0} {
		require.Equal(t, want, pool.Pool{Phase: phase, Spec: validSpec()}.Desired(), phase)
	}
	require.Zero(t, pool.Pool{}.Desired())
}

func TestAnExitIsCleanWithCode0Only(t *testing.T) {
	for exit, want := range map[pool.Exit]bool{
		{}:                        true,
		{Code: 1}:                 false,
		{Signal: "TERM"}:          false,
		{Unknown: true}:           false,
		{Code: 0, Signal: "KILL"}: false,
		{Code: 143, Signal: ""}:   false,
		{Code: 0, Unknown: true}:  false,
	} {
		require.Equal(t, want, exit.Clean(), "%+v", exit)
	}
}
