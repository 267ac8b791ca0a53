package provider

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// observe is the state of a pool as the manager shows it, laid over what the state said before: what still
// means the same keeps the user's spelling. before may be null, or null in any part, as after an import.
func observe(t tftypes.Object, before tftypes.Value, view pool.View) tftypes.Value {
	known := declare(before)
	changed := map[string]bool{}
	for _, c := range pool.Changes(known.spec, view.Spec) {
		changed[c.Path] = true
	}
	o := observation{leaves: view.Spec.Leaves(), changed: changed, present: pool.BareObjects(view.Spec)}
	members := o.object(t, before, specTree())
	members["runtime"] = declaredRuntime(t.AttributeTypes["runtime"], before, view)
	for name, attribute := range t.AttributeTypes {
		if _, ok := members[name]; ok {
			continue
		}
		if v := valueAt(before, name); v.IsKnown() && !v.IsNull() {
			members[name] = v
		} else {
			members[name] = tftypes.NewValue(attribute, nil)
		}
	}
	maps.Copy(members, report(before, view))
	return tftypes.NewValue(t, members)
}

// declaredRuntime is the runtime as it was declared, with the host that the pool is on where it names one. What a
// state does not know yet, as after an import, is as the pool's creator declared it. A declaration without a host
// stays so.
func declaredRuntime(t tftypes.Type, before tftypes.Value, view pool.View) tftypes.Value {
	runtime, isNew := valueAt(before, "runtime"), valueAt(before, "worker").IsNull()
	switch {
	case isNew && view.Spec.Runtime.Process != nil:
		runtime = hostedBy(t, view.Spec.Runtime.Host())
	case isNew, !runtime.IsKnown(), runtime.IsNull():
		return tftypes.NewValue(t, nil)
	}
	if textAt(runtime, "process.host") == "" {
		return runtime
	}
	return withValues(runtime, map[string]tftypes.Value{"process.host": text(view.Host)})
}

// report is what the manager tells of the pool, by attribute. The kind of the last change stays until
// another operation has taken place: it is what the plan announced. An operation that old workers stand in the
// way of is rolling, whatever was asked for with it: it carries on with a rollout that had not ended.
func report(before tftypes.Value, view pool.View) map[string]tftypes.Value {
	values := map[string]tftypes.Value{}
	for _, r := range reportedAttributes {
		values[r.name] = r.read(view)
	}
	last := textAt(before, lastChange)
	switch op := view.Status.Operation; {
	case op == nil:
	case last != "" && textAt(before, "operation.id") == op.ID:
		values[lastChange] = text(last)
	case view.Status.Old > 0 && op.Phase != pool.OperationSucceeded:
		values[lastChange] = text(lastRolling)
	}
	return values
}

// observation is a live spec by its leaves, and how it differs from what the state says.
type observation struct {
	leaves  map[string]any
	changed map[string]bool
	present map[string]bool // which objects are there whose presence has a meaning
}

func (o observation) object(t tftypes.Object, before tftypes.Value, n *node) map[string]tftypes.Value {
	members := map[string]tftypes.Value{}
	for _, m := range n.members {
		if _, here := t.AttributeTypes[m.name]; !here {
			continue // a data source has no secrets
		}
		was := valueAt(before, m.name)
		inner, isObject := t.AttributeTypes[m.name].(tftypes.Object)
		switch {
		case m.field != nil:
			members[m.name] = o.leaf(t.AttributeTypes[m.name], was, *m.field)
		case m.path == "runtime":
			continue // where the pool is was settled at its creation, and is not drift
		case isObject && o.exists(m, was):
			members[m.name] = tftypes.NewValue(inner, o.object(inner, was, m))
		default:
			members[m.name] = tftypes.NewValue(t.AttributeTypes[m.name], nil)
		}
	}
	return members
}

// exists says whether an object is there. One without defaults and without a meaning of its own is there if
// anything is in it, or if the user wrote it.
func (o observation) exists(n *node, was tftypes.Value) bool {
	if present, bare := o.present[n.path]; bare {
		return present
	}
	return n.anyLeaf(hasDefault) || o.holds(n) || was.IsKnown() && !was.IsNull()
}

// holds says whether a leaf, or an object whose presence has a meaning, is at or below the node.
func (o observation) holds(n *node) bool {
	if n.field != nil {
		_, written := o.leaves[n.path]
		return written
	}
	return o.present[n.path] || slices.ContainsFunc(n.members, o.holds)
}

func (o observation) leaf(t tftypes.Type, was tftypes.Value, f pool.Field) tftypes.Value {
	if was.IsKnown() && !was.IsNull() && !o.changed[f.Path] {
		return was
	}
	return terraformValue(t, o.leaves[f.Path])
}

// terraformValue is a JSON value of a leaf as a value of an attribute's type. Empty is null, as it is for
// a user who leaves it out.
func terraformValue(t tftypes.Type, v any) tftypes.Value {
	switch v := v.(type) {
	case string:
		if v != "" && t.Is(tftypes.String) {
			return text(v)
		}
	case float64:
		if t.Is(tftypes.Number) {
			return tftypes.NewValue(t, big.NewFloat(v))
		}
		data, err := json.Marshal(v) // an absolute amount, which is written as text in HCL
		if err == nil && t.Is(tftypes.String) {
			return text(string(data))
		}
	case bool:
		if t.Is(tftypes.Bool) {
			return tftypes.NewValue(t, v)
		}
	case []any:
		if list, ok := t.(tftypes.List); ok && len(v) > 0 {
			items := make([]tftypes.Value, len(v))
			for i, item := range v {
				items[i] = elementValue(list.ElementType, item)
			}
			return tftypes.NewValue(t, items)
		}
	case map[string]any:
		if m, ok := t.(tftypes.Map); ok && len(v) > 0 {
			items := map[string]tftypes.Value{}
			for key, item := range v {
				items[key] = elementValue(m.ElementType, item)
			}
			return tftypes.NewValue(t, items)
		}
	}
	return tftypes.NewValue(t, nil)
}

// elementValue is a value inside of a collection, where empty text is a value like any other.
func elementValue(t tftypes.Type, v any) tftypes.Value {
	switch v := v.(type) {
	case string:
		return tftypes.NewValue(t, v)
	case map[string]any:
		object, ok := t.(tftypes.Object)
		if !ok {
			return tftypes.NewValue(t, nil)
		}
		members := map[string]tftypes.Value{}
		for name, attribute := range object.AttributeTypes {
			members[name] = elementValue(attribute, v[name])
		}
		return tftypes.NewValue(t, members)
	}
	return tftypes.NewValue(t, nil)
}
