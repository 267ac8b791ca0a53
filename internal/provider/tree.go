package provider

import (
	"maps"
	"strings"
	"sync"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// node is one attribute of a spec: a leaf with its field of the table, or an object with its members.
type node struct {
	name    string // in HCL
	key     string // in JSON
	path    string // dotted, from the spec's root; of keys
	field   *pool.Field
	members []*node
}

// specTree is pool.Fields as a tree, in the table's order. It is built once and never changed.
var specTree = sync.OnceValue(buildSpecTree)

func buildSpecTree() *node {
	root := &node{}
	for i := range pool.Fields {
		at := root
		keys := strings.Split(pool.Fields[i].Path, ".")
		names := strings.Split(inHCL.Replace(pool.Fields[i].Path), ".")
		for depth, name := range names {
			member := at.member(name)
			if member == nil {
				member = &node{name: name, key: keys[depth], path: strings.Join(keys[:depth+1], ".")}
				at.members = append(at.members, member)
			}
			at = member
		}
		at.field = &pool.Fields[i]
	}
	return root
}

func (n *node) member(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

// anyLeaf says whether a leaf at or below the node fits.
func (n *node) anyLeaf(fits func(pool.Field) bool) bool {
	if n.field != nil {
		return fits(*n.field)
	}
	for _, m := range n.members {
		if m.anyLeaf(fits) {
			return true
		}
	}
	return false
}

func hasDefault(f pool.Field) bool { return f.Default != "" }

// valueAt is the value at a dotted path of an object. What lies below an unknown is unknown, and what
// lies below a null is null; the type of such a value is not to be relied upon.
func valueAt(v tftypes.Value, path string) tftypes.Value {
	name, rest, inner := strings.Cut(path, ".")
	if !v.IsKnown() || v.IsNull() {
		return v
	}
	var members map[string]tftypes.Value
	if v.As(&members) != nil {
		return tftypes.NewValue(tftypes.DynamicPseudoType, nil)
	}
	member, ok := members[name]
	switch {
	case !ok:
		return tftypes.NewValue(tftypes.DynamicPseudoType, nil)
	case inner:
		return valueAt(member, rest)
	}
	return member
}

// withValues is the object with the values at the given dotted paths replaced. A path below a null or an
// unknown is left alone.
func withValues(v tftypes.Value, values map[string]tftypes.Value) tftypes.Value {
	if len(values) == 0 || !v.IsKnown() || v.IsNull() {
		return v
	}
	var members map[string]tftypes.Value
	if v.As(&members) != nil {
		return v
	}
	members = maps.Clone(members) // As hands out the value's own map
	below := map[string]map[string]tftypes.Value{}
	for path, value := range values {
		name, rest, inner := strings.Cut(path, ".")
		if _, ok := members[name]; !ok {
			continue
		}
		if !inner {
			members[name] = value
			continue
		}
		if below[name] == nil {
			below[name] = map[string]tftypes.Value{}
		}
		below[name][rest] = value
	}
	for name, values := range below {
		members[name] = withValues(members[name], values)
	}
	return tftypes.NewValue(v.Type(), members)
}
