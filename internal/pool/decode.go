package pool

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxNodes bounds what aliases of a YAML document may expand to.
const maxNodes = 100_000

// Decode reads one spec from JSON or YAML and fills in the defaults. It finds every unknown field and
// every wrong type at once (Faults, each with line and column), and validates nothing beyond them.
func Decode(data []byte) (Spec, error) {
	root, err := parse(data)
	if err != nil {
		return Spec{}, err
	}
	r := reader{budget: maxNodes}
	tree := r.object(root, "")
	if len(r.faults) > 0 {
		return Spec{}, r.faults
	}
	return fromTree(tree)
}

// Patch applies a JSON merge patch (RFC 7396; JSON or YAML) to a complete spec: a null returns a field to
// its default. It errs as Decode does.
func Patch(s Spec, patch []byte) (Spec, error) {
	root, err := parse(patch)
	if err != nil {
		return Spec{}, err
	}
	r := reader{budget: maxNodes, keepNull: true}
	tree := r.object(root, "")
	if len(r.faults) > 0 {
		return Spec{}, r.faults
	}
	data, err := json.Marshal(s)
	if err != nil {
		return Spec{}, err
	}
	var base map[string]any
	if err := json.Unmarshal(data, &base); err != nil {
		return Spec{}, err
	}
	return fromTree(merge(base, tree))
}

// merge is RFC 7396's MergePatch for objects.
func merge(base, patch map[string]any) map[string]any {
	for k, v := range patch {
		inner, isObject := v.(map[string]any)
		switch {
		case v == nil:
			delete(base, k)
		case isObject:
			old, _ := base[k].(map[string]any)
			if old == nil {
				old = map[string]any{}
			}
			base[k] = merge(old, inner)
		default:
			base[k] = v
		}
	}
	return base
}

// Default is the spec in which every field with a default holds it.
func Default() Spec {
	s, err := fromTree(nil)
	if err != nil {
		panic(fmt.Sprintf("the table of fields has a default that is no value: %v", err))
	}
	return s
}

// fromTree lays a tree of checked values over the defaults.
func fromTree(tree map[string]any) (s Spec, err error) {
	full := map[string]any{}
	for _, f := range Fields {
		if f.Default == "" {
			continue
		}
		at, names := full, strings.Split(f.Path, ".")
		for _, name := range names[:len(names)-1] {
			inner, ok := at[name].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[name] = inner
			}
			at = inner
		}
		at[names[len(names)-1]] = f.Kind.value(f.Default)
	}
	data, err := json.Marshal(merge(full, tree))
	if err != nil {
		return Spec{}, err
	}
	err = json.Unmarshal(data, &s)
	s.omitEmpty()
	return s, err
}

// omitEmpty gives an empty map or list the one form of being left out, so that equal specs are the same.
func (s *Spec) omitEmpty() {
	for _, m := range []*map[string]string{&s.Labels, &s.Worker.Env, &s.Worker.SecretEnv, &s.RestartTriggers} {
		if len(*m) == 0 {
			*m = nil
		}
	}
	if len(s.Worker.Command) == 0 {
		s.Worker.Command = nil
	}
	if s.Health.Exec != nil && len(s.Health.Exec.Command) == 0 {
		s.Health.Exec.Command = nil
	}
	if hook := s.Drain.Hook; hook != nil && hook.Exec != nil && len(hook.Exec.Command) == 0 {
		hook.Exec.Command = nil
	}
	if len(s.Worker.Ports) == 0 {
		s.Worker.Ports = nil
	}
	if len(s.Update.Windows) == 0 {
		s.Update.Windows = nil
	}
}

// value is a written scalar as its JSON value.
func (k Kind) value(text string) any {
	switch k {
	case KindInt, KindBool:
		return json.RawMessage(text)
	}
	return text
}

// reader turns nodes into JSON values by the table of fields, collecting faults.
type reader struct {
	faults   Faults
	budget   int
	keepNull bool // a patch's nulls mean "back to the default"
}

func (r *reader) fault(n *yaml.Node, path, reason, valid string) {
	f := Fault{Path: path, Reason: reason, Valid: valid, Line: n.Line, Column: n.Column}
	if n.Kind == yaml.ScalarNode && !isSecret(path) {
		f.Value = quoted(n.Value)
	}
	r.add(f)
}

// misplaced is the fault of a key that its path names already.
func (r *reader) misplaced(key *yaml.Node, path, reason, valid string) {
	r.add(Fault{Path: path, Reason: reason, Valid: valid, Line: key.Line, Column: key.Column})
}

func (r *reader) add(f Fault) {
	if len(r.faults) <= maxFaults {
		r.faults = append(r.faults, f).bounded()
	}
}

// resolve follows an alias and says whether the document is still within bounds.
func (r *reader) resolve(n *yaml.Node, path string) (*yaml.Node, bool) {
	if r.budget--; r.budget == 0 {
		r.fault(n, path, "the document is too large", fmt.Sprintf("at most %d values, aliases expanded", maxNodes))
	}
	return target(n), r.budget > 0
}

// target is the node that an alias stands for.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func (r *reader) object(n *yaml.Node, path string) map[string]any {
	known := children(path)
	tree := map[string]any{}
	r.members(n, path, func(key, value *yaml.Node) {
		at := join(path, key.Value)
		if !slices.Contains(known, key.Value) {
			r.misplaced(key, at, "there is no such field", strings.Join(known, ", "))
			return
		}
		if isNull(value) {
			if r.keepNull {
				tree[key.Value] = nil
			}
			return
		}
		if f, ok := FieldAt(at); ok {
			tree[key.Value] = r.leaf(value, at, f.Kind)
		} else {
			tree[key.Value] = r.object(value, at)
		}
	})
	return tree
}

func (r *reader) leaf(n *yaml.Node, path string, kind Kind) any {
	n, ok := r.resolve(n, path)
	if !ok {
		return nil
	}
	switch kind {
	case KindList:
		return r.list(n, path, func(item *yaml.Node, at string) any { return r.scalar(item, at, KindString) })
	case KindPorts, KindWindows:
		return r.list(n, path, func(item *yaml.Node, at string) any { return r.item(item, at, itemMembers[kind]) })
	case KindMap:
		m := map[string]any{}
		r.members(n, path, func(key, value *yaml.Node) {
			if r.keepNull && isNull(value) {
				m[key.Value] = nil
				return
			}
			m[key.Value] = r.scalar(value, fmt.Sprintf("%s[%q]", path, key.Value), KindString)
		})
		return m
	}
	return r.scalar(n, path, kind)
}

// Member is a member of the objects in a list.
type Member struct {
	Name string
	Kind Kind
	Doc  string
}

// itemMembers are the members of the kinds that are lists of objects.
var itemMembers = map[Kind][]Member{
	KindPorts: {{"name", KindString, "Required. Name of the port: 1 to 15 of a-z, 0-9 and '-', starting with a letter."}},
	KindWindows: {
		{"cron", KindString, "Required. When the window opens, as in a crontab: minute, hour, day of the month, month, day of the week."},
		{"duration", KindDuration, "Required. How long it stays open."},
		{"time_zone", KindString, "Time zone of `cron`, like `Europe/Berlin`; left out, UTC."},
	},
}

// Members are the members of a list's objects; none for other kinds.
func (k Kind) Members() []Member { return itemMembers[k] }

func (r *reader) item(n *yaml.Node, path string, members []Member) any {
	object := map[string]any{}
	r.members(n, path, func(key, value *yaml.Node) {
		i := slices.IndexFunc(members, func(m Member) bool { return m.Name == key.Value })
		if i < 0 {
			r.misplaced(key, join(path, key.Value), "there is no such field", memberNames(members))
			return
		}
		object[key.Value] = r.scalar(value, join(path, key.Value), members[i].Kind)
	})
	return object
}

func memberNames(members []Member) string {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Name
	}
	return strings.Join(names, ", ")
}

func (r *reader) list(n *yaml.Node, path string, item func(*yaml.Node, string) any) []any {
	if n.Kind != yaml.SequenceNode {
		r.fault(n, path, "is not a list", "a list")
		return nil
	}
	list := make([]any, len(n.Content))
	for i, c := range n.Content {
		list[i] = item(c, fmt.Sprintf("%s[%d]", path, i))
	}
	return list
}

// members visits the pairs of a mapping; a key that is there twice is a fault.
func (r *reader) members(n *yaml.Node, path string, visit func(key, value *yaml.Node)) {
	n, ok := r.resolve(n, path)
	if !ok {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fault(n, path, "is not an object", "an object with named fields")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := target(n.Content[i])
		switch {
		case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
			r.fault(key, path, "merges are not read", "the fields written out, or an alias for the whole object")
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			r.fault(key, path, "a key is not text", examples[KindString])
		case seen[key.Value]:
			r.misplaced(key, join(path, key.Value), "is there twice", "each field once")
		default:
			seen[key.Value] = true
			visit(key, n.Content[i+1])
		}
	}
}

// tags says which YAML types a kind may be written in.
var tags = map[Kind][]string{
	KindString:   {"!!str"},
	KindInt:      {"!!int"},
	KindBool:     {"!!bool"},
	KindDuration: {"!!str"},
	KindBytes:    {"!!str", "!!int"},
	KindAmount:   {"!!str", "!!int"},
}

var examples = map[Kind]string{
	KindString:   "text (numbers, dates, true and false in quotes)",
	KindInt:      "a whole number in plain digits, like 3",
	KindBool:     "true or false",
	KindDuration: `a duration like "30s", "5m" or "1h30m"`,
	KindBytes:    `a size like "10MiB"`,
	KindAmount:   `a whole number, or a percentage like "25%"`,
}

func (r *reader) scalar(n *yaml.Node, path string, kind Kind) any {
	n, ok := r.resolve(n, path)
	if !ok {
		return nil
	}
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags[kind], n.ShortTag()) {
		r.fault(n, path, kind.mismatch(), examples[kind])
		return nil
	}
	v, err := kind.read(n.Value)
	switch {
	case errors.Is(err, strconv.ErrRange):
		valid := examples[kind]
		if f, ok := FieldAt(path); ok {
			valid = f.valid()
		}
		r.fault(n, path, outOfRange, valid)
	case err != nil:
		r.fault(n, path, kind.mismatch(), examples[kind])
	}
	return v
}

// mismatch says in words that a value is not of the kind.
func (k Kind) mismatch() string {
	if k == KindBool {
		return "is neither true nor false"
	}
	return "is not a " + string(k)
}

// read turns a written scalar into its JSON value, or says that it is none.
func (k Kind) read(text string) (any, error) {
	switch k {
	case KindInt:
		n, err := strconv.ParseInt(text, 10, 64)
		if err == nil && strconv.FormatInt(n, 10) != text {
			err = errors.New("written in a way that not all readers agree on, like 010 or +5")
		}
		return n, err
	case KindBool:
		if text != "true" && text != "false" {
			return nil, errors.New("neither true nor false")
		}
		return text == "true", nil
	case KindDuration:
		_, err := ParseDuration(text)
		return text, err
	case KindBytes:
		_, err := ParseBytes(text)
		return text, err
	case KindAmount:
		_, err := ParseAmount(text)
		return text, err
	}
	return text, nil
}

func isNull(n *yaml.Node) bool {
	n = target(n)
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
