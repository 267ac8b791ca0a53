package provider

import (
	"cmp"
	"context"
	"errors"
	"os"
	"runtime"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/function"
	query "github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
)

// poolkeeper is the provider.
type poolkeeper struct {
	version     string
	dial        dial
	environment environment
}

// New makes the provider of a version. executable is the path of the program that it is part of, which a
// local manager is started from.
func New(version, executable string) func() provider.Provider {
	dialed := func(_ context.Context, s settings) (client.Manager, error) {
		program := "terraform-provider-poolkeeper/" + version
		if s.endpoint != "" {
			return client.New(client.Config{
				Endpoint: s.endpoint, Token: s.token, Program: program, TLS: s.tls, RequestTimeout: s.requestTimeout, Patience: s.retryFor,
			})
		}
		return embedded.Connect(embedded.Options{DataDir: s.dataDir, Executable: executable, Version: version, Program: program})
	}
	return newProvider(version, dialed, environment{lookUp: os.LookupEnv, goos: runtime.GOOS})
}

func newProvider(version string, d dial, e environment) func() provider.Provider {
	return func() provider.Provider { return &poolkeeper{version: version, dial: d, environment: e} }
}

var (
	_ provider.ProviderWithListResources      = (*poolkeeper)(nil)
	_ provider.ProviderWithActions            = (*poolkeeper)(nil)
	_ provider.ProviderWithFunctions          = (*poolkeeper)(nil)
	_ provider.ProviderWithEphemeralResources = (*poolkeeper)(nil)
)

func (p *poolkeeper) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "poolkeeper"
	resp.Version = p.version
}

func (p *poolkeeper) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Poolkeeper manages pools of long-lived workers through their whole life: it creates, rolls, heals, resizes, drains and destroys them. Without an `endpoint` the provider uses a manager of its own, a local daemon that it starts when it is first needed.",
		Attributes: map[string]schema.Attribute{
			"endpoint": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Where a shared manager answers: `unix:///path/to/manager.sock`, `http://host:port` or `https://host`; `tcp://host:port` is the same as `http`. Default: `" + envEndpoint + "`. Not together with `data_dir`. While it is unknown, nothing is asked and no local manager is used in its place.",
			},
			"token": schema.StringAttribute{
				Optional: true, Sensitive: true,
				MarkdownDescription: "Token for the manager at `endpoint`; an error without one. Default: `" + envToken + "`, which a local manager does not ask for.",
			},
			"data_dir": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Directory in which the local manager keeps its data. Default: `" + envDataDir + "`, or else `~/.local/share/poolkeeper`. Where `CI` or `TFC_RUN_ID` is set, either this or `endpoint` has to be named. Not together with `endpoint`.",
			},
			"change_reason": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Why changes are made, for the audit log: a ticket, a commit, a run's address. Default: `" + envChangeReason + "`, or else `terraform apply` with the workspace and the run of HCP Terraform, if there are such.",
			},
		},
	}
	for _, t := range tunings {
		resp.Schema.Attributes[t.name] = t.attribute(t.doc + " Default: `" + t.env + "`.")
	}
}

func (p *poolkeeper) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	config := req.Config.Raw
	c := &connection{reason: cmp.Or(textAt(config, "change_reason"), p.environment.value(envChangeReason), p.environment.occasion())}
	resp.ResourceData, resp.DataSourceData, resp.ListResourceData, resp.ActionData, resp.EphemeralResourceData = c, c, c, c, c
	for name := range req.Config.Schema.GetAttributes() {
		if name != "change_reason" && !valueAt(config, name).IsKnown() {
			c.unknown = name
		}
	}
	if c.unknown != "" {
		return
	}
	s, diags := p.environment.settle(settings{endpoint: textAt(config, "endpoint"), token: textAt(config, "token"), dataDir: textAt(config, "data_dir")})
	resp.Diagnostics.Append(diags...)
	if !resp.Diagnostics.HasError() {
		s, diags = p.environment.tune(s, config)
		resp.Diagnostics.Append(diags...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	manager, err := p.dial(ctx, s)
	if err != nil {
		at := path.Root("data_dir")
		var setting *client.ConfigError
		switch {
		case errors.As(err, &setting):
			at = path.Root(setting.Setting)
		case errors.Is(err, client.ErrToken):
			at = path.Root("token")
		case s.endpoint != "":
			at = path.Root("endpoint")
		}
		resp.Diagnostics.AddAttributeError(at, "The manager cannot be reached", err.Error())
		return
	}
	c.manager = manager
}

func (p *poolkeeper) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{newPoolResource}
}

func (p *poolkeeper) ListResources(context.Context) []func() query.ListResource {
	return []func() query.ListResource{newPoolList}
}

func (p *poolkeeper) DataSources(context.Context) []func() datasource.DataSource {
	return append([]func() datasource.DataSource{newPoolData}, listings...)
}

func (p *poolkeeper) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{newTokenEphemeral}
}

func (p *poolkeeper) Functions(context.Context) []func() function.Function {
	return []func() function.Function{newPoolFromYAML, newPoolToYAML}
}

func (p *poolkeeper) Actions(context.Context) []func() action.Action {
	return append(slices.Clone(actions), newBackupAction)
}
