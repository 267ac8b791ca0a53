package provider

import (
	"context"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// leafValidator judges one attribute by its row of the table. The rules that read several attributes, the
// spelling of durations, sizes and amounts, and whether a number is whole, are judged with the whole
// configuration.
type leafValidator struct{ field pool.Field }

var (
	_ validator.String = leafValidator{}
	_ validator.Number = leafValidator{}
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

func (v leafValidator) ValidateNumber(_ context.Context, req validator.NumberRequest, resp *validator.NumberResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if n, accuracy := req.ConfigValue.ValueBigFloat().Int64(); accuracy == big.Exact {
		v.judge(req.Path, float64(n), &resp.Diagnostics)
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
