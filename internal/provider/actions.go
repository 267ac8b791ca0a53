package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// actions are what a configuration, or terraform apply -invoke, can have done to a pool beside changing it.
var actions = []func() action.Action{
	poolAction{
		name: "rolling_restart",
		doc:  "Replaces all workers of a pool step by step, within the bounds of `update`, without a change of its spec.",
		act: func(ctx context.Context, m client.Manager, name string, _ tftypes.Value, c client.Change) (*pool.Operation, error) {
			return begun(m.Restart(ctx, name, c))
		},
	}.action,
	poolAction{
		name: "pause",
		doc:  "Pauses a pool: nothing is done with its workers any more but their leases, until it is resumed.",
		act: func(ctx context.Context, m client.Manager, name string, _ tftypes.Value, c client.Change) (*pool.Operation, error) {
			_, err := m.Pause(ctx, name, c)
			return nil, err
		},
	}.action,
	poolAction{
		name: "resume",
		doc:  "Has a paused pool, or a rollout that waits after its failure, go on, and waits for what was under way.",
		act: func(ctx context.Context, m client.Manager, name string, _ tftypes.Value, c client.Change) (*pool.Operation, error) {
			return underWay(m.Resume(ctx, name, c))
		},
	}.action,
	poolAction{
		name: "promote",
		doc:  "Has the rest of a rollout follow its canary, and waits for the end of the rollout.",
		act: func(ctx context.Context, m client.Manager, name string, _ tftypes.Value, c client.Change) (*pool.Operation, error) {
			return underWay(m.Promote(ctx, name, c))
		},
	}.action,
	poolAction{
		name:   "drain_worker",
		doc:    "Takes one worker out of service as gracefully as a rollout would.",
		places: places{client.ProblemDeleting: "name", client.ProblemWorkerState: "worker_id", client.ProblemAutoscaled: "replace"},
		inputs: map[string]schema.Attribute{
			"worker_id": schema.StringAttribute{Required: true, MarkdownDescription: "Identity of the worker."},
			"replace":   schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether another worker takes its place first. Without one the pool gets smaller by one, which a later plan shows as drift of `size`. Default: `true`."},
		},
		act: func(ctx context.Context, m client.Manager, name string, config tftypes.Value, c client.Change) (*pool.Operation, error) {
			replace := valueAt(config, "replace").IsNull() || truthAt(config, "replace")
			return begun(m.DrainWorker(ctx, name, textAt(config, "worker_id"), replace, c))
		},
	}.action,
}

func begun(accepted client.Accepted, err error) (*pool.Operation, error) {
	return &accepted.Operation, err
}

// underWay is what a pool that was told to go on has still to do, if anything.
func underWay(view pool.View, err error) (*pool.Operation, error) {
	if o := toFollow(view.Status); err == nil && o != nil && !o.Phase.Ended() {
		return o, nil
	}
	return nil, err
}

// poolAction is one action on a pool. act asks the manager for it, and says which operation is to be waited for;
// nil if it is done.
type poolAction struct {
	name, doc string
	inputs    map[string]schema.Attribute
	places    places // nil means namedPlaces
	act       func(ctx context.Context, m client.Manager, name string, config tftypes.Value, c client.Change) (*pool.Operation, error)
}

func (a poolAction) action() action.Action {
	if a.places == nil {
		a.places = namedPlaces
	}
	return &invocable{poolAction: a}
}

// invocable is a poolAction as Terraform invokes it.
type invocable struct {
	poolAction
	*connection
}

var _ action.ActionWithConfigure = (*invocable)(nil)

func (a *invocable) Metadata(_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_" + a.name
}

func (a *invocable) Schema(ctx context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	attributes := map[string]schema.Attribute{
		"name":     schema.StringAttribute{Required: true, MarkdownDescription: "Name of the pool.", Validators: nameValidators()},
		"timeouts": invokeTimeout(ctx),
	}
	for name, input := range a.inputs {
		attributes[name] = input
	}
	resp.Schema = schema.Schema{MarkdownDescription: a.doc, Attributes: attributes}
}

func (a *invocable) Configure(_ context.Context, req action.ConfigureRequest, resp *action.ConfigureResponse) {
	a.connection = connectionOf(req.ProviderData, &resp.Diagnostics)
}

// Invoke asks for the action and tells how far it is until it has ended. Whoever stops waiting leaves the operation
// running, and is told its name.
func (a *invocable) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
	name := textAt(req.Config.Raw, "name")
	summary := fmt.Sprintf("Pool %q: %s", name, a.name)
	timeout, diags := timeoutOfInvoke(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	manager, err := a.reach()
	if err != nil {
		resp.Diagnostics.AddError(summary, err.Error())
	}
	if resp.Diagnostics.HasError() {
		return
	}
	late, done := graced(ctx)
	operation, err := a.act(late, manager, name, req.Config.Raw, client.Change{Reason: a.reason})
	done()
	if err != nil {
		resp.Diagnostics.Append(refusal(summary, err, a.places)...)
		return
	}
	if operation == nil {
		return
	}
	said := ""
	tell := func(o pool.Operation) {
		if text := progress(o); text != said {
			resp.SendProgress(action.InvokeProgressEvent{Message: text})
			said = text
		}
	}
	tell(*operation)
	w := await(ctx, manager, *operation, timeout, tell)
	switch {
	case w.ending != ended:
		resp.Diagnostics.AddError(summary+" is still under way", w.why()+" "+w.goesOn())
	case w.operation.Phase == pool.OperationAwaiting:
		resp.Diagnostics.AddWarning(summary+" waits for promotion", w.operation.Reason+".")
	case w.operation.Phase != pool.OperationSucceeded:
		resp.Diagnostics.Append(failure(fmt.Sprintf("%s came out as %s", summary, w.operation.Phase), w.operation, updateFailures[w.operation.Phase])...)
	}
}

// progress says in a line how far an operation is.
func progress(o pool.Operation) string {
	text := fmt.Sprintf("operation %s (%s) is %s, steps left: %d", o.ID, o.Kind, o.Phase, o.Remaining)
	if o.Reason != "" {
		text += ": " + o.Reason
	}
	return text
}
