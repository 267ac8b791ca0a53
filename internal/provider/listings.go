package provider

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// listings are the data sources that list something.
var listings = []func() datasource.DataSource{poolsListing.source, workersListing.source, revisionsListing.source, eventsListing.source, endpointsListing.source}

var (
	ofPool   = schema.StringAttribute{Required: true, MarkdownDescription: "Name of the pool.", Validators: nameValidators()}
	byLabels = schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Labels that a pool has to have. Left out, all pools are listed."}
)

var poolsListing = listing[pool.View]{
	name: "resource_pools", doc: "The pools of the manager, by name, wherever they were declared.",
	inputs: map[string]schema.Attribute{"labels": byLabels},
	columns: []column[pool.View]{
		textColumn("name", "Name of the pool.", func(v pool.View) string { return v.Name }),
		textColumn("id", "Identity of the pool (its uid).", func(v pool.View) string { return v.UID }),
		{"labels", "Labels of the pool.", textMap, func(v pool.View) tftypes.Value { return texts(v.Spec.Labels) }},
		textColumn("host", "Name of the host whose processes the workers are.", func(v pool.View) string { return v.Host }),
		textColumn("state", "As the resource's `state`.", func(v pool.View) string { return string(v.Status.State) }),
		textColumn("health_status", "As the resource's `health_status`.", func(v pool.View) string { return string(v.Status.Health) }),
		numberColumn("revision", "Number of the newest accepted spec.", func(v pool.View) int64 { return v.Revision }),
		numberColumn("desired", "Workers that there should be.", func(v pool.View) int64 { return int64(v.Status.Desired) }),
		numberColumn("current_size", "Workers that run, draining ones included.", func(v pool.View) int64 { return int64(v.Status.Current) }),
		numberColumn("ready_workers", "Workers that are ready and not draining.", func(v pool.View) int64 { return int64(v.Status.Ready) }),
	},
	read: func(ctx context.Context, m client.Manager, config tftypes.Value) ([]pool.View, error) {
		pools, err := m.Pools(ctx)
		labels := labelsAt(config)
		return slices.DeleteFunc(pools, func(v pool.View) bool { return !pool.Selects(labels, v.Spec.Labels) }), err
	},
}

var workersListing = listing[pool.Worker]{
	name: "workers", doc: "The workers of a pool that have not ended, oldest first.",
	inputs: map[string]schema.Attribute{"name": ofPool},
	columns: []column[pool.Worker]{
		textColumn("id", "Identity of the worker.", func(w pool.Worker) string { return w.ID }),
		textColumn("state", "`pending`, `starting`, `ready`, `draining` or `stopping`.", func(w pool.Worker) string { return string(w.State) }),
		textColumn("health", "`healthy`, `unhealthy` or `unknown`.", func(w pool.Worker) string { return string(w.Health) }),
		textColumn("health_reason", "What its check complains of.", func(w pool.Worker) string { return w.HealthReason }),
		textColumn("reason", "Why it is in its state.", func(w pool.Worker) string { return w.Reason }),
		numberColumn("revision", "Number of the spec that it was made from.", func(w pool.Worker) int64 { return w.Revision }),
		numberColumn("slots", "Leases that it takes at a time.", func(w pool.Worker) int64 { return w.Slots }),
		numberColumn("leased", "Leases that are held on it.", func(w pool.Worker) int64 { return int64(w.Leased) }),
		{"cordoned", "Whether it gets no new leases.", types.BoolType, func(w pool.Worker) tftypes.Value { return tftypes.NewValue(tftypes.Bool, w.Cordoned) }},
		numberColumn("pid", "Its process on the pool's host.", func(w pool.Worker) int64 { return int64(w.Instance.PID) }),
		{"ports", "Its ports, by their names in `worker.ports`.", numberMap, func(w pool.Worker) tftypes.Value { return numbers(w.Instance.Ports) }},
		timeColumn("created_at", "When it was asked for.", func(w pool.Worker) time.Time { return w.CreatedAt }),
		timeColumn("ready_at", "When it was last found healthy after not being so.", func(w pool.Worker) time.Time { return w.ReadyAt }),
		timeColumn("drain_by", "When its drain is over.", func(w pool.Worker) time.Time { return w.DrainBy }),
	},
	read: func(ctx context.Context, m client.Manager, config tftypes.Value) ([]pool.Worker, error) {
		workers, err := m.Workers(ctx, textAt(config, "name"))
		return slices.DeleteFunc(workers, func(w pool.Worker) bool { return w.State.Ended() }), err
	},
}

var revisionsListing = listing[pool.Revision]{
	name: "revisions", doc: "The accepted specs of a pool, newest first.",
	inputs: map[string]schema.Attribute{"name": ofPool},
	columns: []column[pool.Revision]{
		numberColumn("number", "From 1; `poolkeeper rollout undo` takes it.", func(r pool.Revision) int64 { return r.Number }),
		textColumn("author", "Who asked for it.", func(r pool.Revision) string { return r.Author }),
		textColumn("reason", "Why it was asked for.", func(r pool.Revision) string { return r.Reason }),
		timeColumn("created_at", "When it was accepted.", func(r pool.Revision) time.Time { return r.CreatedAt }),
		textColumn("spec", "The whole spec, as JSON.", func(r pool.Revision) string {
			data, _ := json.Marshal(r.Spec) // a spec that was read can be written
			return string(data)
		}),
	},
	read: func(ctx context.Context, m client.Manager, config tftypes.Value) ([]pool.Revision, error) {
		return m.Revisions(ctx, textAt(config, "name"))
	},
}

var eventsListing = listing[pool.Event]{
	name: "events", doc: "What happened to a pool, in order.",
	inputs: map[string]schema.Attribute{
		"name":  ofPool,
		"after": schema.Int64Attribute{Optional: true, MarkdownDescription: "Sequence number of an event; only what came after it is listed. Left out, everything that is kept."},
	},
	columns: []column[pool.Event]{
		numberColumn("sequence", "From 1, without gaps in one pool.", func(e pool.Event) int64 { return e.Sequence }),
		timeColumn("time", "When it happened.", func(e pool.Event) time.Time { return e.Time }),
		textColumn("type", "What kind of event it is.", func(e pool.Event) string { return string(e.Type) }),
		textColumn("message", "What happened.", func(e pool.Event) string { return e.Message }),
		textColumn("author", "Who asked for it.", func(e pool.Event) string { return e.Author }),
		textColumn("comment", "The author's reason.", func(e pool.Event) string { return e.Comment }),
		textColumn("worker_id", "The worker that it is about.", func(e pool.Event) string { return e.WorkerID }),
		textColumn("operation_id", "The operation that it belongs to.", func(e pool.Event) string { return e.OperationID }),
	},
	read: func(ctx context.Context, m client.Manager, config tftypes.Value) (events []pool.Event, err error) {
		after := numberAt(config, "after")
		for {
			list, err := m.Events(ctx, textAt(config, "name"), after)
			if err != nil || len(list.Events) == 0 {
				return events, err
			}
			events, after = append(events, list.Events...), list.Next
		}
	},
}

// endpoint is one worker that takes jobs, and where.
type endpoint struct {
	pool, host string
	client.Endpoint
}

var endpointsListing = listing[endpoint]{
	name: "endpoints", doc: "The workers that are ready for jobs, and where they are reached.",
	inputs: map[string]schema.Attribute{"labels": byLabels},
	columns: []column[endpoint]{
		textColumn("pool", "Name of the pool.", func(e endpoint) string { return e.pool }),
		textColumn("worker_id", "Identity of the worker.", func(e endpoint) string { return e.WorkerID }),
		textColumn("host", "Host that it runs on.", func(e endpoint) string { return e.host }),
		{"ports", "Its ports, by their names in `worker.ports`.", numberMap, func(e endpoint) tftypes.Value { return numbers(e.Ports) }},
		numberColumn("revision", "Number of the spec that it was made from.", func(e endpoint) int64 { return e.Revision }),
		numberColumn("slots", "Leases that it takes at a time.", func(e endpoint) int64 { return e.Slots }),
		numberColumn("leased", "Leases that are held on it.", func(e endpoint) int64 { return int64(e.Leased) }),
	},
	read: func(ctx context.Context, m client.Manager, config tftypes.Value) (endpoints []endpoint, err error) {
		registry, err := m.Registry(ctx)
		labels := labelsAt(config)
		for _, p := range registry.Pools {
			if !pool.Selects(labels, p.Labels) {
				continue
			}
			for _, e := range p.Endpoints {
				endpoints = append(endpoints, endpoint{p.Name, p.Host, e})
			}
		}
		return endpoints, err
	},
}

// What columns are made of.

var (
	textMap   attr.Type = types.MapType{ElemType: types.StringType}
	numberMap attr.Type = types.MapType{ElemType: types.Int64Type}
)

// textColumn is null where there is no text.
func textColumn[T any](name, doc string, read func(T) string) column[T] {
	return column[T]{name, doc, types.StringType, func(row T) tftypes.Value {
		if s := read(row); s != "" {
			return text(s)
		}
		return tftypes.NewValue(tftypes.String, nil)
	}}
}

func numberColumn[T any](name, doc string, read func(T) int64) column[T] {
	return column[T]{name, doc, types.Int64Type, func(row T) tftypes.Value { return number(read(row)) }}
}

// timeColumn is written as RFC 3339, and null where there is no time.
func timeColumn[T any](name, doc string, read func(T) time.Time) column[T] {
	return textColumn(name, doc+" In RFC 3339.", func(row T) string {
		if at := read(row); !at.IsZero() {
			return at.UTC().Format(time.RFC3339Nano)
		}
		return ""
	})
}

func texts(of map[string]string) tftypes.Value {
	values := map[string]tftypes.Value{}
	for k, v := range of {
		values[k] = text(v)
	}
	return tftypes.NewValue(tftypes.Map{ElementType: tftypes.String}, values)
}

func numbers(of map[string]int) tftypes.Value {
	values := map[string]tftypes.Value{}
	for k, v := range of {
		values[k] = number(int64(v))
	}
	return tftypes.NewValue(tftypes.Map{ElementType: tftypes.Number}, values)
}

// labelsAt are the labels that a configuration selects by.
func labelsAt(config tftypes.Value) map[string]string {
	labels := map[string]string{}
	selector := valueAt(config, "labels")
	if selector.IsNull() {
		return labels
	}
	for k, v := range as[map[string]tftypes.Value](selector) {
		if v.IsKnown() && !v.IsNull() {
			labels[k] = as[string](v)
		}
	}
	return labels
}
