package provider

import (
	"context"
	"fmt"
	"time"

	actiontimeouts "github.com/hashicorp/terraform-plugin-framework-timeouts/action/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	action "github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func timeoutAttributes(ctx context.Context) schema.Attribute {
	a := timeouts.Attributes(ctx, timeouts.Opts{
		Create: true, Update: true, Delete: true,
		CreateDescription: "Time to wait for the creation, like `10m`. When it has passed, the apply ends with a warning, the creation goes on, and the next apply waits for it again. Left out, only `update.progress_deadline` ends a creation that is stuck.",
		UpdateDescription: "Time to wait for a change, like `10m`. When it has passed, the apply ends with an error, the change goes on, and the next apply waits for it again.",
		DeleteDescription: "Time to wait for the destruction, like `10m`. When it has passed, the apply ends with an error that names what is left; the destruction goes on.",
	})
	object, ok := a.(schema.SingleNestedAttribute)
	if !ok {
		return a
	}
	object.MarkdownDescription = fmt.Sprintf("How long an apply waits. Left out, it waits until the operation has ended. A change of them alone asks the manager nothing. Whatever they are, an apply ends as if its time had passed once no manager has answered for %s: the operation goes on when the manager is back, and the next apply waits for it again.", pool.Duration(client.MaxAbsence))
	for name, member := range object.Attributes {
		if text, ok := member.(schema.StringAttribute); ok {
			text.Validators = append(text.Validators, timeoutValidator{})
			object.Attributes[name] = text
		}
	}
	return object
}

// timeoutValidator refuses a negative duration, which would mean none. What is no duration at all is refused
// by the validator that the timeouts come with.
type timeoutValidator struct{}

const validTimeout = `a duration from 0s, like "10m"; leave it out to wait until the operation has ended`

func (timeoutValidator) Description(context.Context) string { return validTimeout }

func (timeoutValidator) MarkdownDescription(context.Context) string { return validTimeout }

func (timeoutValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if d, err := time.ParseDuration(req.ConfigValue.ValueString()); err == nil && d < 0 {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid timeout",
			fmt.Sprintf("%s must not be negative; valid: %s", req.ConfigValue, validTimeout))
	}
}

// invokeTimeout is the timeout of an action.
func invokeTimeout(ctx context.Context) action.Attribute {
	a := actiontimeouts.AttributesWithOpts(ctx, actiontimeouts.Opts{
		InvokeDescription: "Time to wait for the end, like `10m`. When it has passed, the action ends with an error, and what it began goes on. Left out, it waits until that has ended.",
	})
	if object, ok := a.(action.SingleNestedAttribute); ok {
		if text, ok := object.Attributes["invoke"].(action.StringAttribute); ok {
			text.Validators = append(text.Validators, timeoutValidator{})
			object.Attributes["invoke"] = text
		}
		object.MarkdownDescription = "How long the action waits."
		return object
	}
	return a
}

func timeoutOfInvoke(ctx context.Context, from attributeReader) (time.Duration, diag.Diagnostics) {
	var t actiontimeouts.Value
	if diags := from.GetAttribute(ctx, path.Root("timeouts"), &t); diags.HasError() {
		return noTimeout, diags
	}
	return t.Invoke(ctx, noTimeout)
}

// attributeReader is a plan or a state.
type attributeReader interface {
	GetAttribute(ctx context.Context, at path.Path, target any) diag.Diagnostics
}

// timeoutOf reads one of the timeouts; there is no default.
func timeoutOf(ctx context.Context, from attributeReader, which func(timeouts.Value, context.Context, time.Duration) (time.Duration, diag.Diagnostics)) (time.Duration, diag.Diagnostics) {
	var t timeouts.Value
	if diags := from.GetAttribute(ctx, path.Root("timeouts"), &t); diags.HasError() {
		return noTimeout, diags
	}
	return which(t, ctx, noTimeout)
}
