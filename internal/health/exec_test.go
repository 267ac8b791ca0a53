package health_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

func execCheck(command ...string) pool.HealthCheck {
	return pool.HealthCheck{Exec: &pool.ExecProbe{Command: command}, Timeout: pool.Duration(2 * time.Second)}
}

func TestWhatComesOfACommandIsPassFailOrNothing(t *testing.T) {
	missing := &runtime.SpecError{Fault: pool.Fault{Path: "health.exec.command[0]", Value: `"check"`, Reason: "does not exist", Valid: "a program"}}
	for behaviour, c := range map[string]struct {
		ran    runtime.Executed
		err    error
		says   string // empty: it passes
		nobody bool   // it says nothing about the worker
	}{
		"it exits with 0":          {runtime.Executed{Output: []byte("fine\n")}, nil, "", false},
		"it fails":                 {runtime.Executed{Exit: pool.Exit{Code: 2}}, nil, "the command exited with code 2", false},
		"it fails with words":      {runtime.Executed{Exit: pool.Exit{Code: 1}, Output: []byte("queue:\n\t17 \x1b[1mbehind\n")}, nil, "the command exited with code 1: queue: 17 [1mbehind", false},
		"it fails with no text":    {runtime.Executed{Exit: pool.Exit{Code: 1}, Output: []byte("\xff\x00\n")}, nil, "the command exited with code 1: ?", false},
		"it crashes":               {runtime.Executed{Exit: pool.Exit{Signal: "SEGV"}}, nil, "the command ended by signal SEGV", false},
		"it hangs":                 {runtime.Executed{CutShort: true, Exit: pool.Exit{Signal: "KILL"}, Output: []byte("waiting")}, nil, "the command did not end within 2s: waiting", false},
		"its end was not seen":     {runtime.Executed{Exit: pool.Exit{Unknown: true}}, nil, "unknown", true},
		"it does not exist":        {runtime.Executed{}, fmt.Errorf("run: %w", missing), `health.exec.command[0]: does not exist (got "check"); valid: a program`, false},
		"the host has no more":     {runtime.Executed{}, errors.New("fork: resource temporarily unavailable"), "resource temporarily unavailable", true},
		"the worker is gone":       {runtime.Executed{}, runtime.ErrGone, "gone", true},
		"no place to fork in time": {runtime.Executed{}, context.DeadlineExceeded, "deadline", true},
	} {
		t.Run(behaviour, func(t *testing.T) {
			prober := health.Prober{Exec: func(context.Context, runtime.Launch, pool.Instance, pool.Command) (runtime.Executed, error) {
				return c.ran, c.err
			}}
			err := prober.Probe(t.Context(), health.Target{Check: execCheck("check")})
			switch {
			case c.says == "":
				require.NoError(t, err)
			case c.nobody:
				require.ErrorIs(t, err, health.ErrNotProbed)
				require.ErrorContains(t, err, c.says)
			default:
				require.EqualError(t, err, c.says)
			}
		})
	}
}

func TestACommandIsRunBesideItsWorker(t *testing.T) {
	target := health.Target{
		PoolUID: "p_1", PoolName: "web", WorkerID: "w_1", Template: template, Check: execCheck("check", "${PORT}"),
		Instance: pool.Instance{PID: 7, Ports: map[string]int{"main": 4711}},
	}
	prober := health.Prober{Exec: func(_ context.Context, l runtime.Launch, instance pool.Instance, command pool.Command) (runtime.Executed, error) {
		require.Equal(t, runtime.Launch{WorkerID: "w_1", PoolUID: "p_1", PoolName: "web", Template: template}, l)
		require.Equal(t, target.Instance, instance)
		require.Equal(t, pool.Command{Path: "health.exec.command", Words: []string{"check", "${PORT}"}}, command)
		return runtime.Executed{}, nil
	}}
	require.NoError(t, prober.Probe(t.Context(), target))
}

func TestAReasonQuotesTheEndOfWhatACommandWrote(t *testing.T) {
	prober := health.Prober{Exec: func(context.Context, runtime.Launch, pool.Instance, pool.Command) (runtime.Executed, error) {
		return runtime.Executed{Exit: pool.Exit{Code: 1}, Output: []byte(strings.Repeat("ü", 250) + "end")}, nil
	}}
	err := prober.Probe(t.Context(), health.Target{Check: execCheck("check")})
	require.EqualError(t, err, "the command exited with code 1: …"+strings.Repeat("ü", 197)+"end")
}

func TestACommandThatHangsIsToldAsSuchWhenItsTimeIsUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	prober := health.Prober{Exec: func(ctx context.Context, _ runtime.Launch, _ pool.Instance, _ pool.Command) (runtime.Executed, error) {
		<-ctx.Done()
		return runtime.Executed{CutShort: true}, nil
	}}
	require.EqualError(t, prober.Probe(ctx, health.Target{Check: execCheck("check")}), "the command did not end within 2s")
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, prober.Probe(ctx, health.Target{Check: execCheck("check")}), health.ErrNotProbed, "it was called off")
}

func TestAHookMayBeACommandThatHasTheTimeOfTheDrain(t *testing.T) {
	target := health.Target{
		WorkerID: "w_1", Instance: pool.Instance{PID: 7}, Check: execCheck("check"),
		Drain: pool.Drain{Timeout: pool.Duration(time.Minute), Hook: &pool.DrainHook{Exec: &pool.ExecProbe{Command: []string{"leave"}}}},
	}
	ran := runtime.Executed{}
	prober := health.Prober{Exec: func(ctx context.Context, _ runtime.Launch, _ pool.Instance, command pool.Command) (runtime.Executed, error) {
		require.Equal(t, pool.Command{Path: "drain.hook.exec.command", Words: []string{"leave"}}, command)
		deadline, bounded := ctx.Deadline()
		require.True(t, bounded)
		require.InDelta(t, time.Minute, time.Until(deadline), float64(10*time.Second))
		return ran, nil
	}}
	require.NoError(t, prober.Hook(t.Context(), target))
	ran = runtime.Executed{Exit: pool.Exit{Code: 3}, Output: []byte("not yet")}
	require.EqualError(t, prober.Hook(t.Context(), target), "the command exited with code 3: not yet")
	ran = runtime.Executed{CutShort: true}
	require.EqualError(t, prober.Hook(t.Context(), target), "the command did not end within 1m")
}
