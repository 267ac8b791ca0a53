package provider

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
)

func TestOnlyAManagerThatMayBeElsewhereIsToBeLookedForOrStarted(t *testing.T) {
	m := memory{Manager: "m_first", UID: "p_1"}
	for name, row := range map[string]struct {
		err      error
		expected string
	}{
		"nobody answers": {client.ErrUnreachable, "It is with manager m_first, which was not reached. Set the provider's endpoint or data_dir to that manager, or start it."},
		"one runs but does not answer": {fmt.Errorf("%w: %w: end pid 4711", client.ErrUnreachable, embedded.ErrUnanswering),
			"It is with manager m_first."},
		"the manager answered": {errors.New("busy"), ""},
	} {
		require.Equal(t, row.expected, m.whereabouts(row.err), name)
	}
	require.Empty(t, memory{}.whereabouts(client.ErrUnreachable), "before any manager is known")
}
