package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// tokenEphemeral is poolkeeper_token: an access token that lives as long as one run of Terraform needs it.
type tokenEphemeral struct{ *connection }

var (
	_ ephemeral.EphemeralResourceWithConfigure      = (*tokenEphemeral)(nil)
	_ ephemeral.EphemeralResourceWithValidateConfig = (*tokenEphemeral)(nil)
	_ ephemeral.EphemeralResourceWithClose          = (*tokenEphemeral)(nil)
)

func newTokenEphemeral() ephemeral.EphemeralResource { return &tokenEphemeral{} }

// tokenModel is the token as Terraform has it.
type tokenModel struct {
	Name      types.String `tfsdk:"name"`
	Role      types.String `tfsdk:"role"`
	Labels    types.Map    `tfsdk:"labels"`
	TTL       types.String `tfsdk:"ttl"`
	Token     types.String `tfsdk:"token"`
	ID        types.String `tfsdk:"id"`
	ExpiresAt types.String `tfsdk:"expires_at"`
}

// What a token is like where it is not said.
const (
	defaultTokenRole = string(client.RoleViewer)
	defaultTokenTTL  = "1h"
)

func (e *tokenEphemeral) Metadata(_ context.Context, req ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_token"
}

func (e *tokenEphemeral) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "An access token of the manager for the time of one run: it is made when Terraform needs it, handed on, and revoked at the end of the plan or apply. No plan and no state holds it. " +
			"It is for what runs meanwhile, like another provider or a script; what lives on needs one of `poolkeeper token create`. " +
			"Who makes one has to be an admin. It needs a manager that is there: for a token alone none is started.",
		Attributes: map[string]schema.Attribute{
			"name":       schema.StringAttribute{Required: true, MarkdownDescription: "Who shows it: what is done with it has the author `token:NAME`. 1 to 63 letters, digits, `.`, `_` and `-`."},
			"role":       schema.StringAttribute{Optional: true, Computed: true, MarkdownDescription: "What it may do: `viewer` reads; `operator` also resizes, restarts, steers, drains and leases; `admin` also makes, declares and destroys pools, and gives out tokens. At most the role of whoever makes it. Default: `" + defaultTokenRole + "`."},
			"labels":     schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Labels of the pools that it is for; it sees no others. Default: it is for all pools."},
			"ttl":        schema.StringAttribute{Optional: true, Computed: true, MarkdownDescription: "How long it lives at most, should it not be revoked before: longer than the run takes, from `1s` to `2160h`. It is not extended. Default: `" + defaultTokenTTL + "`."},
			"token":      schema.StringAttribute{Computed: true, Sensitive: true, MarkdownDescription: "What its holder shows, as `Authorization: Bearer TOKEN`."},
			"id":         schema.StringAttribute{Computed: true, MarkdownDescription: "Identity of the token, which `poolkeeper token list` shows too."},
			"expires_at": schema.StringAttribute{Computed: true, MarkdownDescription: "When it ends by itself (RFC 3339)."},
		},
	}
}

func (e *tokenEphemeral) Configure(_ context.Context, req ephemeral.ConfigureRequest, resp *ephemeral.ConfigureResponse) {
	e.connection = connectionOf(req.ProviderData, &resp.Diagnostics)
}

// request is the token that is asked for. What is not known yet is taken to be right.
func (m tokenModel) request(ctx context.Context) (want client.TokenRequest, diags diag.Diagnostics) {
	known := func(v types.String, otherwise string) string {
		if v.IsNull() || v.IsUnknown() {
			return otherwise
		}
		return v.ValueString()
	}
	want = client.TokenRequest{
		Name: known(m.Name, "unknown"), Role: client.Role(known(m.Role, defaultTokenRole)), TTL: known(m.TTL, defaultTokenTTL),
	}
	labels := map[string]types.String{}
	if !m.Labels.IsUnknown() {
		diags = m.Labels.ElementsAs(ctx, &labels, false)
	}
	want.Labels = map[string]string{}
	for key, value := range labels {
		want.Labels[key] = known(value, "")
	}
	return want, diags
}

func (e *tokenEphemeral) ValidateConfig(ctx context.Context, req ephemeral.ValidateConfigRequest, resp *ephemeral.ValidateConfigResponse) {
	var m tokenModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	want, diags := m.request(ctx)
	resp.Diagnostics.Append(diags...)
	_, faults := want.Life()
	resp.Diagnostics.Append(tokenFaults("Invalid token", faults)...)
}

// tokenFaults shows what is wrong with a token at its attributes.
func tokenFaults(summary string, faults pool.Faults) (diags diag.Diagnostics) {
	for _, f := range faults {
		diags.AddAttributeError(attributePath(f.Path), summary, f.String())
	}
	return diags
}

// privateToken is what is kept of a token until it is revoked.
type privateToken struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	ExpiresAt time.Time `json:"expires_at"`
}

const privateTokenKey = "token"

func (e *tokenEphemeral) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	var m tokenModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	want, diags := m.request(ctx)
	resp.Diagnostics.Append(diags...)
	summary := fmt.Sprintf("Token %q cannot be made", want.Name)
	manager, err := e.reach()
	if err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
	}
	if resp.Diagnostics.HasError() {
		return
	}
	late, done := graced(ctx)
	made, err := manager.MakeToken(late, want)
	done()
	if problem := client.ProblemOf(err); problem != nil && len(problem.Errors) > 0 {
		resp.Diagnostics.Append(tokenFaults(summary, problem.Errors)...)
		return
	}
	if err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
		return
	}
	kept, err := json.Marshal(privateToken{made.ID, made.Name, made.ExpiresAt})
	if err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
		return
	}
	m.Role, m.TTL = types.StringValue(string(want.Role)), types.StringValue(want.TTL)
	m.Token, m.ID, m.ExpiresAt = types.StringValue(made.Secret), types.StringValue(made.ID), types.StringValue(made.ExpiresAt.UTC().Format(time.RFC3339))
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, privateTokenKey, kept)...)
	resp.Diagnostics.Append(resp.Result.Set(ctx, m)...)
}

// Close revokes the token, also when Terraform was told to stop. One that cannot be revoked ends by itself, and the
// run that is over did not fail because of it.
func (e *tokenEphemeral) Close(ctx context.Context, req ephemeral.CloseRequest, resp *ephemeral.CloseResponse) {
	data, diags := req.Private.GetKey(ctx, privateTokenKey)
	resp.Diagnostics.Append(diags...)
	var kept privateToken
	err := json.Unmarshal(data, &kept)
	if err == nil {
		late, done := afterwards(ctx)
		defer done()
		_, err = e.manager.RevokeToken(late, kept.ID)
	}
	if err != nil && !isProblem(err, client.ProblemNotFound) {
		resp.Diagnostics.AddAttributeWarning(path.Root("name"), fmt.Sprintf("Token %q is not revoked", kept.Name),
			fmt.Sprintf("%v\n\nIt is good until %s unless it is revoked before: poolkeeper token revoke %s", err, kept.ExpiresAt.UTC().Format(time.RFC3339), kept.ID))
	}
}
