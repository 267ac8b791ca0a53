package provider

import (
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// In HCL the secret environment is write-only, and has the names that such arguments have: Terraform hands its values
// to an apply out of the configuration, and keeps them in no plan and no state. So nothing here can tell whether they
// changed; the version does.

// inHCL names fields in a text as HCL does, also where they are named so already.
var inHCL = strings.NewReplacer(
	"worker.secret_env_wo", "worker.secret_env_wo",
	"worker.secret_env_version", secretVersionPath,
	"worker.secret_env", "worker.secret_env_wo",
)

const secretVersionPath = "worker.secret_env_wo_version"

// secretAttribute is an argument that no plan and no state holds.
func secretAttribute(doc string) schema.Attribute {
	return schema.MapAttribute{MarkdownDescription: doc, Optional: true, WriteOnly: true, Sensitive: true, ElementType: types.StringType}
}

// withSecrets is a spec with the secret values of a configuration.
func withSecrets(spec pool.Spec, config tftypes.Value) pool.Spec {
	spec.Worker.SecretEnv = declare(config).spec.Worker.SecretEnv
	return spec
}

// newSecrets says whether a plan brings a version of the secrets that the state does not have. The values of the one
// that it has are left out: they may have changed in the configuration without being meant.
func newSecrets(state, plan tftypes.Value) bool {
	return numberAt(state, secretVersionPath) != numberAt(plan, secretVersionPath)
}
