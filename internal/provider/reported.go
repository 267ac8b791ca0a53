package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	datasource "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// reported is an attribute that the manager tells and nobody declares.
type reported struct {
	name string
	doc  string
	kind attr.Type
	// moves says that the value may change by itself, so that it is unknown in a plan that changes
	// something. What does not move stays for the life of the pool.
	moves bool
	read  func(pool.View) tftypes.Value
}

// The values of last_change.
const (
	lastCreate  = "create"
	lastHot     = "hot"
	lastRolling = "rolling"
)

const lastChange = "last_change"

var reportedAttributes = []reported{
	{"id", "Identity of the pool (its uid), never used again for another one.", types.StringType, false,
		func(v pool.View) tftypes.Value { return text(v.UID) }},
	{"host", "Name of the host whose processes the workers are.", types.StringType, false,
		func(v pool.View) tftypes.Value { return text(v.Host) }},
	{"revision", "Number of the newest accepted spec, from 1.", types.Int64Type, true,
		func(v pool.View) tftypes.Value { return number(v.Revision) }},
	{"state", "`creating`, `initializing`, `active`, `updating`, `scaling`, `draining`, `destroying`, `destroyed` or `error`.", types.StringType, true,
		func(v pool.View) tftypes.Value { return text(string(v.Status.State)) }},
	{"health_status", "`healthy`, `degraded`, `unhealthy` or `unknown`.", types.StringType, true,
		func(v pool.View) tftypes.Value { return text(string(v.Status.Health)) }},
	{"current_size", "Number of workers that run, draining ones included.", types.Int64Type, true,
		func(v pool.View) tftypes.Value { return number(int64(v.Status.Current)) }},
	{"ready_workers", "Number of workers that are ready and not draining.", types.Int64Type, true,
		func(v pool.View) tftypes.Value { return number(int64(v.Status.Ready)) }},
	{lastChange, "What the newest change was: `create`, `hot` (no worker was replaced) or `rolling` (workers are replaced step by step). A plan announces it: its JSON always, its text only where it differs from the last one.", types.StringType, true,
		func(v pool.View) tftypes.Value { return text(lastChangeOf(toFollow(v.Status))) }},
	{"operation", "The newest operation that a user asked for; once that has succeeded, an older one whose rollout goes on or waits. While it runs or is paused, and after it failed, a plan is not empty: the apply waits for it, or tries again. After it was reverted or canceled, a plan shows what differs from what the pool has returned to, and the reason. One that awaits promotion is a warning.", operationType, true,
		func(v pool.View) tftypes.Value { return operationValue(toFollow(v.Status)) }},
}

var operationDocs = map[string]string{
	"id":     "Identity of the operation.",
	"kind":   "`create`, `update`, `resize`, `restart`, `revert`, `drain` or `delete`.",
	"phase":  "`running`, `paused`, `awaiting_promotion`, `reverting`, `succeeded`, `failed`, `reverted`, `canceled` or `superseded`.",
	"reason": "Why it ended as it did, or what it waits for.",
}

var operationType = types.ObjectType{AttrTypes: map[string]attr.Type{
	"id": types.StringType, "kind": types.StringType, "phase": types.StringType, "reason": types.StringType,
}}

// toFollow is the operation that says how the pool gets on: the newest, or the rollout under one that is reached.
func toFollow(s pool.Status) *pool.Operation {
	if s.Rollout != nil && s.Operation != nil && s.Operation.Phase == pool.OperationSucceeded {
		return s.Rollout
	}
	return s.Operation
}

func operationValue(op *pool.Operation) tftypes.Value {
	t := operationType.TerraformType(context.Background())
	if op == nil {
		return tftypes.NewValue(t, nil)
	}
	return tftypes.NewValue(t, map[string]tftypes.Value{
		"id":     text(op.ID),
		"kind":   text(string(op.Kind)),
		"phase":  text(string(op.Phase)),
		"reason": text(op.Reason),
	})
}

// lastChangeOf names the change that an operation made. A pool without an operation was at least created.
func lastChangeOf(op *pool.Operation) string {
	switch {
	case op == nil, op.Kind == pool.OperationCreate:
		return lastCreate
	case op.Kind == pool.OperationRestart:
		return lastRolling
	}
	return announced(op.Change)
}

// announced is the value of last_change for a change of a pool that stays.
func announced(c pool.Change) string {
	if c == pool.ChangeRolling {
		return lastRolling
	}
	return lastHot
}

func text(s string) tftypes.Value { return tftypes.NewValue(tftypes.String, s) }

func number(n int64) tftypes.Value { return tftypes.NewValue(tftypes.Number, n) }

func (r reported) resourceAttribute() schema.Attribute {
	switch r.kind {
	case types.StringType:
		return schema.StringAttribute{Computed: true, MarkdownDescription: r.doc}
	case types.Int64Type:
		return schema.Int64Attribute{Computed: true, MarkdownDescription: r.doc}
	}
	attributes := map[string]schema.Attribute{}
	for name, doc := range operationDocs {
		attributes[name] = schema.StringAttribute{Computed: true, MarkdownDescription: doc}
	}
	return schema.SingleNestedAttribute{Computed: true, MarkdownDescription: r.doc, Attributes: attributes}
}

func (r reported) dataAttribute() datasource.Attribute {
	switch r.kind {
	case types.StringType:
		return datasource.StringAttribute{Computed: true, MarkdownDescription: r.doc}
	case types.Int64Type:
		return datasource.Int64Attribute{Computed: true, MarkdownDescription: r.doc}
	}
	attributes := map[string]datasource.Attribute{}
	for name, doc := range operationDocs {
		attributes[name] = datasource.StringAttribute{Computed: true, MarkdownDescription: doc}
	}
	return datasource.SingleNestedAttribute{Computed: true, MarkdownDescription: r.doc, Attributes: attributes}
}
