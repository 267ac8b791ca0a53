// Package examples holds what a reader may start from; its tests keep that valid.
package examples

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestEveryExamplePoolCouldBeCreated(t *testing.T) {
	files, err := filepath.Glob("pools/*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	names := map[string]string{}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			spec, err := pool.Decode(data)
			require.NoError(t, err)
			require.NoError(t, pool.ValidateCreation(spec, nil))
			require.Empty(t, names[spec.Name], "the examples can be applied together only under different names")
			names[spec.Name] = file
		})
	}
}
