package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestWhatATerminalWouldActOnIsEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "",
		"plain ü 日本 \"quoted\"\\": "plain ü 日本 \"quoted\"\\",
		"tab\tand\nline":          "tab\tand\nline",
		"\x1b[2J\a\r":             `\x1b[2J\a\r`,
		"\u009b2J\x7f":            `\u009b2J\x7f`,
		"\u202egnp.exe\u200b":     `\u202egnp.exe\u200b`,
		"\xff\ufffd":              `\xff` + "\ufffd",
	} {
		require.Equal(t, want, printable(text))
	}
}

const hostile = "\x1b]0;owned\a\u009b2J\u202e"

// hostileManager tells of pools whose every free text is hostile.
type hostileManager struct{ *fakeManager }

func (m *hostileManager) Pool(_ context.Context, name string) (pool.View, error) {
	v := m.pools[name]
	v.Spec.Description, v.Spec.Worker.Command = hostile, []string{"a", hostile}
	v.Host, v.Author, v.Status.Reason, v.Status.HealthReasons, v.Status.Operation.Reason = hostile, hostile, hostile, []string{hostile}, hostile
	return v, nil
}

func (m *hostileManager) Workers(context.Context, string) ([]pool.Worker, error) {
	return []pool.Worker{{ID: "w_1", State: pool.WorkerFailed, Reason: hostile}}, nil
}

func (m *hostileManager) Events(_ context.Context, _ string, after int64) (api.EventList, error) {
	if after > 0 {
		return api.EventList{Next: after}, nil
	}
	return api.EventList{Events: []pool.Event{{Sequence: 1, Author: hostile, Message: hostile, Comment: hostile}}, Next: 1}, nil
}

func (m *hostileManager) Operation(_ context.Context, id string) (pool.Operation, error) {
	return pool.Operation{ID: id, PoolName: hostile, Phase: pool.OperationRunning, Author: hostile, Reason: hostile, Comment: hostile}, nil
}

func (m *hostileManager) Revisions(context.Context, string) ([]pool.Revision, error) {
	return nil, fmt.Errorf("read: %w", &client.Problem{Status: 500, Detail: hostile, Errors: pool.Faults{{Path: hostile, Reason: hostile}}})
}

func TestNothingThatAPoolTellsSteersTheTerminal(t *testing.T) {
	plain(t)
	for _, line := range []string{
		"pool get web", "pool events web", "pool revisions web", "worker list web", "operation get op_1", "operation wait op_1",
		"pool restart web", hostile,
	} {
		t.Run(line, func(t *testing.T) {
			m := newFake()
			m.ending = pool.Operation{Phase: pool.OperationFailed, Reason: hostile, LogTail: "one\n" + hostile}
			got := command(t, &hostileManager{m}, "", strings.Split(line, " ")...)
			for _, r := range got.out + got.err {
				require.True(t, r == '\n' || unicode.IsPrint(r), "%q in %q", r, got)
			}
			require.Contains(t, got.out+got.err, `\x1b]0;owned\a\u009b2J\u202e`)
		})
	}
}
