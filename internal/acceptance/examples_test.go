//go:build linux

package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExamplesArePlannedAsTheyAreWritten: whoever copies one has a whole configuration, whose provider is ours.
func TestExamplesArePlannedAsTheyAreWritten(t *testing.T) {
	const resources = "../../examples/resources/poolkeeper_resource_pool/"
	_, first, found := strings.Cut(read(t, "../../README.md"), "```hcl\n")
	require.True(t, found)
	first, _, _ = strings.Cut(first, "```")
	for name, text := range map[string]string{
		"README":          first,
		"resource":        read(t, resources+"resource.tf"),
		"getting started": read(t, resources+"getting-started.tf"),
		"token":           read(t, "../../examples/ephemeral-resources/poolkeeper_token/ephemeral-resource.tf"),
		"provider":        read(t, "../../examples/provider/provider.tf") + usesOfProviders,
		"data source":     read(t, "../../examples/data-sources/poolkeeper_resource_pool/data-source.tf"),
	} {
		t.Run(name, func(t *testing.T) {
			w := newStage(t).keeper("d").asWritten()
			w.write("main.tf", text)
			w.tf("validate").succeeded()
			if name != "data source" && name != "provider" && name != "token" { // which ask managers and pools that are not there
				w.tf("plan", "-input=false").succeeded().says("Plan: 1 to add")
			}
		})
	}
}

// usesOfProviders has the blocks of the provider judged, which nothing in their example uses.
const usesOfProviders = `
data "poolkeeper_resource_pool" "own" {
  name = "web"
}
data "poolkeeper_resource_pool" "shared" {
  provider = poolkeeper.shared
  name     = "web"
}
`

// asWritten is a workspace whose provider is ours by whatever source an example names it.
func (k *keeper) asWritten() *workspace {
	k.t.Helper()
	var rules []string
	for _, host := range []string{"registry.terraform.io", "registry.opentofu.org"} {
		rules = append(rules, fmt.Sprintf("%q = %q", host+"/poolkeeper/poolkeeper", filepath.Dir(k.provider(older))))
	}
	return k.installed("dev_overrides {\n" + strings.Join(rules, "\n") + "\n}\n  direct {}")
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}
