package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// identityName is the attribute that tells a pool from all others of its manager.
const identityName = "name"

func (r *poolResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		identityName: identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the pool."},
	}}
}

// identify tells Terraform which pool a state is about.
func identify(ctx context.Context, in *tfsdk.ResourceIdentity, name string) diag.Diagnostics {
	if in == nil { // a Terraform that knows of no identities
		return nil
	}
	return in.SetAttribute(ctx, path.Root(identityName), name)
}

// sought is the name of the pool that is to be imported: the id, or the identity that an import block gives in its place.
func sought(ctx context.Context, req resource.ImportStateRequest) (name string, diags diag.Diagnostics) {
	if req.ID != "" || req.Identity == nil {
		return req.ID, nil
	}
	var given types.String
	diags = req.Identity.GetAttribute(ctx, path.Root(identityName), &given)
	return given.ValueString(), diags
}
