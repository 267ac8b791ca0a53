package provider

import (
	"context"
	"fmt"
	"io"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
)

// backupAction writes a backup of the manager's pools to a file.
type backupAction struct{ *connection }

var _ action.ActionWithConfigure = (*backupAction)(nil)

func newBackupAction() action.Action { return &backupAction{} }

func (a *backupAction) Metadata(_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_backup"
}

func (a *backupAction) Schema(ctx context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Writes pools, with their revisions, to a file where Terraform runs, for `poolkeeper restore`. The file appears whole or not at all, and only its owner may read it.",
		Attributes: map[string]schema.Attribute{
			"path":     schema.StringAttribute{Required: true, MarkdownDescription: "File to write; one that is there is replaced."},
			"pools":    schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Names of the pools; left out, all."},
			"events":   schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether the pools' event logs are in it. Default: `false`."},
			"secrets":  schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether the pools' secrets are in it, encrypted with the manager's key. Default: `true`."},
			"timeouts": invokeTimeout(ctx),
		},
	}
}

func (a *backupAction) Configure(_ context.Context, req action.ConfigureRequest, resp *action.ConfigureResponse) {
	a.connection = connectionOf(req.ProviderData, &resp.Diagnostics)
}

func (a *backupAction) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
	const summary = "The pools cannot be backed up"
	config := req.Config.Raw
	timeout, diags := timeoutOfInvoke(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	manager, err := a.reach()
	if err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("timeouts.invoke (%s) has passed", timeout))
		defer cancel()
	}
	var pools []string
	for _, name := range as[[]tftypes.Value](valueAt(config, "pools")) {
		pools = append(pools, as[string](name))
	}
	made, err := manager.Backup(ctx, pools, truthAt(config, "events"), valueAt(config, "secrets").IsNull() || truthAt(config, "secrets"))
	if err != nil {
		resp.Diagnostics.Append(refusal(summary, err, nil)...)
		return
	}
	target := textAt(config, "path")
	err = embedded.ReplaceFile(target, 0o600, func(w io.Writer) error {
		_, err := w.Write(made.File)
		return err
	})
	if err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("path"), "The backup cannot be written", err.Error())
		return
	}
	resp.SendProgress(action.InvokeProgressEvent{Message: fmt.Sprintf("%d pools in %s (%d bytes)", made.Pools, target, len(made.File))})
}
