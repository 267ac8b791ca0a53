package provider

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/stretchr/testify/require"
)

var identityType = tftypes.Object{AttributeTypes: map[string]tftypes.Type{identityName: tftypes.String}}

// identityOf is the identity of a pool, as core gives and keeps it.
func identityOf(t *testing.T, name string) *tfprotov6.ResourceIdentityData {
	t.Helper()
	d, err := tfprotov6.NewDynamicValue(identityType, value(t, identityType, object{identityName: name}))
	require.NoError(t, err)
	return &tfprotov6.ResourceIdentityData{IdentityData: &d}
}

// identified is the name by which core knows the resource.
func (tf *core) identified() any {
	tf.t.Helper()
	require.NotNil(tf.t, tf.identity)
	v, err := tf.identity.IdentityData.Unmarshal(identityType)
	require.NoError(tf.t, err)
	return plain(valueAt(v, identityName))
}

func TestAPoolIsIdentifiedByItsName(t *testing.T) {
	manager := newFake()
	tf := newTerraform(t, manager)
	config := object{"name": "web", "size": 1, "worker": object{"command": list{"serve"}}}
	tf.reaches(config)
	require.Equal(t, "web", tf.identified(), "created")
	require.Empty(t, summaries(tf.refresh()))
	require.Equal(t, "web", tf.identified(), "read")
	config["size"] = 2
	tf.reaches(config)
	require.Equal(t, "web", tf.identified(), "updated")

	minutes := 0
	for name, before := range map[string]*tfprotov6.ResourceIdentityData{"known": tf.identity, "of a state that was written without": nil} {
		t.Run(name, func(t *testing.T) {
			tf.identity = before
			minutes++
			config["timeouts"] = object{"create": fmt.Sprintf("%dm", minutes)}
			tf.reaches(config)
			require.Equal(t, "web", tf.identified(), "also by a change that asks the manager nothing")
		})
	}
}

func TestAPoolIsImportedByItsIdentity(t *testing.T) {
	manager := newFake()
	newTerraform(t, manager).reaches(object{"name": "web", "size": 1, "worker": object{"command": list{"serve"}}})
	tf := newTerraform(t, manager)
	require.Empty(t, summaries(tf.imports(&tfprotov6.ImportResourceStateRequest{TypeName: poolType, Identity: identityOf(t, "web")})))
	require.Equal(t, []any{"web", "web"}, []any{tf.shown("name"), tf.identified()})
	require.ErrorContains(t, firstError(tf.imports(&tfprotov6.ImportResourceStateRequest{TypeName: poolType, Identity: identityOf(t, "none")})), "none")
}

func TestAPoolThatIsGoneIsStillIdentified(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web())
	tf.identity = nil // the state is of a Terraform that knows of no identities
	fake.forget()
	require.Empty(t, summaries(tf.refresh()))
	require.True(t, tf.state.IsNull())
}
