package cli

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestWaitingFollowsTheOperationThatTookOver(t *testing.T) {
	plain(t)
	m := newFake()
	m.ending = pool.Operation{Phase: pool.OperationSuperseded, SupersededBy: "op_2"}
	got := command(t, m, "", "pool", "restart", "web")
	require.Zero(t, got.code, got.err)
	require.Equal(t, []string{"op_1", "op_2"}, m.waited)
	require.Contains(t, got.err, "operation op_1 was superseded by op_2")
}

func TestWhoStopsWaitingIsToldThatTheOperationGoesOn(t *testing.T) {
	plain(t)
	m := newFake()
	m.ending.Phase = pool.OperationRunning
	got := command(t, m, "", "pool", "restart", "web", "--timeout", "30ms")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.err, "stopped waiting for operation op_1: it still runs after 30ms; it goes on without this command, and `poolkeeper operation wait op_1` waits for it again")

	ctx, interrupt := context.WithCancel(t.Context())
	timer := time.AfterFunc(30*time.Millisecond, interrupt)
	defer timer.Stop()
	got = commandIn(ctx, m, "", "operation", "wait", "op_1")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.err, "stopped waiting for operation op_1: interrupted")
}

func TestWaitingTellsHowThePoolIsGettingOn(t *testing.T) {
	plain(t)
	ctx, interrupt := context.WithCancel(t.Context())
	m := &tellsProgress{fakeManager: newFake(), seen: make(chan struct{}, 100)}
	m.ending.Phase = pool.OperationRunning
	done := make(chan outcomeOf, 1)
	go func() { done <- commandIn(ctx, m, "", "pool", "restart", "web") }()
	<-m.seen
	<-m.seen
	interrupt()
	require.Contains(t, (<-done).err, "pool \"web\": updating, 2 of 3 available, 1 old\n")
}

// tellsProgress lets the test see that the pool was looked at.
type tellsProgress struct {
	*fakeManager
	seen chan struct{}
}

func (m *tellsProgress) PoolByUID(ctx context.Context, uid string) (pool.View, error) {
	m.seen <- struct{}{}
	return m.fakeManager.PoolByUID(ctx, uid)
}
