package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// declared is what a configuration, a plan or a state says about a pool's spec.
type declared struct {
	// spec is complete: what is left out, unknown or no value of its kind holds the default.
	spec pool.Spec
	// faults are the leaves that are no values of their kind.
	faults pool.Faults
	// unjudged holds the dotted paths of leaves and objects whose value is not there to be judged.
	unjudged map[string]bool
	// unknown holds those of them that get their value later.
	unknown map[string]bool
}

// isUnjudged is what pool.Validate asks.
func (d declared) isUnjudged(path string) bool { return d.unjudged[path] }

// defaultSpec is copied by its users; it holds no map and no pointer.
var defaultSpec = sync.OnceValue(pool.Default)

// declare reads a resource's object. It never fails: whatever cannot be read is a fault or unjudged.
func declare(raw tftypes.Value) declared {
	d := declared{unjudged: map[string]bool{}, unknown: map[string]bool{}}
	tree := d.read(raw, specTree())
	if d.spec = defaultSpec(); fill(&d.spec, tree) == nil {
		return d
	}
	// Something is no value of its kind. The slow reader says what and why; the rest is read without it.
	data, err := json.Marshal(tree)
	if err == nil {
		_, err = pool.Decode(data)
	}
	if !errors.As(err, &d.faults) {
		d.faults = pool.Faults{{Reason: "cannot be read: " + errorText(err)}}
	}
	for _, f := range d.faults {
		d.unjudged[leafOf(f.Path)] = true
		remove(tree, leafOf(f.Path))
	}
	if d.spec = defaultSpec(); fill(&d.spec, tree) != nil {
		d.spec = defaultSpec()
	}
	return d
}

func errorText(err error) string {
	if err == nil {
		return "its values are of other types than the schema says"
	}
	return err.Error()
}

// fill lays a tree of JSON values over a spec.
func fill(s *pool.Spec, tree map[string]any) error {
	if holdsNull(tree) {
		return errors.New("a list holds null")
	}
	data, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, s)
}

// holdsNull finds a null, which encoding/json would read as an empty value.
func holdsNull(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		for _, inner := range v {
			if holdsNull(inner) {
				return true
			}
		}
	case []any:
		for _, inner := range v {
			if holdsNull(inner) {
				return true
			}
		}
	}
	return false
}

// leafOf is the field at or around a fault's path.
func leafOf(path string) string {
	if at := strings.IndexByte(path, '['); at >= 0 {
		return path[:at]
	}
	return path
}

func remove(tree map[string]any, path string) {
	name, rest, inner := strings.Cut(path, ".")
	if !inner {
		delete(tree, name)
	} else if object, ok := tree[name].(map[string]any); ok {
		remove(object, rest)
	}
}

// read turns an object's known members into JSON values and notes the others.
func (d *declared) read(raw tftypes.Value, object *node) map[string]any {
	tree := map[string]any{}
	for _, m := range object.members {
		v := valueAt(raw, m.name)
		switch {
		case !v.IsKnown(), m.field != nil && !v.IsFullyKnown():
			d.note(m, d.unjudged, d.unknown)
		case v.IsNull():
			if m.field != nil && requiredByTerraform(*m.field) {
				d.note(m, d.unjudged) // Terraform itself says that it is missing
			} else if m.field == nil && m.anyLeaf(requiredByTerraform) {
				d.note(m, d.unjudged)
			}
		case m.field != nil:
			tree[m.key] = jsonValue(v)
		default:
			tree[m.key] = d.read(v, m)
		}
	}
	return tree
}

// note enters a node and everything below it.
func (d *declared) note(n *node, sets ...map[string]bool) {
	for _, set := range sets {
		set[n.path] = true
	}
	for _, m := range n.members {
		d.note(m, sets...)
	}
}

// jsonValue is a wholly known leaf as a JSON value; a map's null values are left out, as if not written.
// What is of no type that a leaf can have is null.
func jsonValue(v tftypes.Value) any {
	if v.IsNull() {
		return nil
	}
	switch t := v.Type(); {
	case t.Is(tftypes.String):
		return as[string](v)
	case t.Is(tftypes.Number):
		number := as[big.Float](v)
		return json.Number(number.Text('f', -1))
	case t.Is(tftypes.Bool):
		return as[bool](v)
	case t.Is(tftypes.List{}), t.Is(tftypes.Tuple{}), t.Is(tftypes.Set{}):
		values := []any{}
		for _, item := range as[[]tftypes.Value](v) {
			values = append(values, jsonValue(item))
		}
		return values
	case t.Is(tftypes.Map{}), t.Is(tftypes.Object{}):
		values := map[string]any{}
		for key, item := range as[map[string]tftypes.Value](v) {
			if !item.IsNull() {
				values[key] = jsonValue(item)
			}
		}
		return values
	}
	return nil
}

// as reads a known value whose type is settled.
func as[T any](v tftypes.Value) (result T) {
	if err := v.As(&result); err != nil {
		panic(fmt.Sprintf("a %s is always read as a %T: %v", v.Type(), result, err))
	}
	return result
}
