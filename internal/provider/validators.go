package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// leafValidator judges one attribute by its row of the table. The rules that read several attributes, and
// the spelling of durations, sizes and amounts, are judged with the whole configuration.
type leafValidator struct{ field pool.Field }

var (
	_ validator.String = leafValidator{}
	_ validator.Int64  = leafValidator{}
	_ validator.List   = leafValidator{}
)

func (v leafValidator) Description(context.Context) string { return fieldDoc(v.field) }

func (v leafValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v leafValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	text := req.ConfigValue.ValueString()
	if read, several := meanings[v.field.Kind]; several {
		if _, err := read(text); err != nil {
			return
		}
	}
	v.judge(req.Path, text, &resp.Diagnostics)
}

func (v leafValidator) ValidateInt64(_ context.Context, req validator.Int64Request, resp *validator.Int64Response) {
	if !req.ConfigValue.IsNull() && !req.ConfigValue.IsUnknown() {
		v.judge(req.Path, float64(req.ConfigValue.ValueInt64()), &resp.Diagnostics)
	}
}

func (v leafValidator) ValidateList(_ context.Context, req validator.ListRequest, resp *validator.ListResponse) {
	if !req.ConfigValue.IsNull() && !req.ConfigValue.IsUnknown() {
		v.judge(req.Path, make([]any, len(req.ConfigValue.Elements())), &resp.Diagnostics)
	}
}

func (v leafValidator) judge(at path.Path, value any, diags *diag.Diagnostics) {
	for _, f := range v.field.Check(value) {
		diags.Append(faultDiagnostic(at, f))
	}
}
