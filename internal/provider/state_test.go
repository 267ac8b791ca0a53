package provider

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/stretchr/testify/require"
)

// TestTheStateOfEverySchemaVersionIsRead holds on to what was written by a provider of each version: testdata/state
// has a state by the version's number, of the pool that full declares, and it is read, and plans empty, for ever.
func TestTheStateOfEverySchemaVersionIsRead(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/state/*.json")
	require.NoError(t, err)
	newest := poolSchema(t).Version
	require.Len(t, fixtures, int(newest)+1, "each version up to the newest has one")
	for _, fixture := range fixtures {
		version, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(fixture), ".json"), 10, 64)
		require.NoError(t, err)
		t.Run(filepath.Base(fixture), func(t *testing.T) {
			written, err := os.ReadFile(fixture)
			require.NoError(t, err)
			manager := newFake()
			tf := newTerraform(t, manager)
			tf.reaches(full())
			private := tf.private

			resp, err := tf.server.UpgradeResourceState(t.Context(), &tfprotov6.UpgradeResourceStateRequest{
				TypeName: poolType, Version: version, RawState: &tfprotov6.RawState{JSON: written},
			})
			require.NoError(t, err)
			require.Empty(t, summaries(resp.Diagnostics))
			read := newTerraform(t, manager)
			read.state, read.private = read.unpacked(resp.UpgradedState), private
			require.Empty(t, summaries(read.refresh()))
			p := read.plan(full())
			require.Empty(t, summaries(p.diagnostics))
			require.True(t, p.empty(read), "%s\n%s", p.value, read.state)
		})
	}
}
