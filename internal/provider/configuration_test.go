package provider

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// unknownPaths are all places of probed() where a value may be unknown: every leaf and object, and inside
// of the collections.
func unknownPaths() []string {
	paths := []string{
		"worker.command[0]", "worker.command[1]", `worker.env["A"]`, "worker.ports[1]", "worker.ports[1].name",
		`labels["team"]`, `restart_triggers["v"]`, "timeouts", "timeouts.create", "timeouts.update", "timeouts.delete",
	}
	for _, f := range pool.Fields {
		if !f.Secret { // which no plan holds
			paths = append(paths, inHCL.Replace(f.Path))
		}
	}
	paths = append(paths, pool.Objects()...)
	return slices.DeleteFunc(paths, ofAnotherWay)
}

// ofAnotherWay says that a path belongs to a probe, a hook or a way to size a pool that the one of probed() excludes.
func ofAnotherWay(path string) bool {
	excluded := []string{"drain.hook.exec", "autoscaling"}
	for _, kind := range pool.ProbeKinds() {
		if kind != pool.ProbeHTTP {
			excluded = append(excluded, kind.Path())
		}
	}
	return slices.ContainsFunc(excluded, func(object string) bool {
		return path == object || strings.HasPrefix(path, object+".")
	})
}

// replacedAt is a configuration with the value at one path replaced, or laid beside the others.
func replacedAt(config object, path string, v any) object {
	name, rest := step(path)
	result := maps.Clone(config)
	if rest == "" {
		result[name] = v
		return result
	}
	result[name] = replacedIn(result[name], rest, v)
	return result
}

func replacedIn(in any, path string, v any) any {
	name, rest := step(path)
	switch in := in.(type) {
	case list:
		i, err := strconv.Atoi(name)
		if err != nil {
			panic(err)
		}
		result := slices.Clone(in)
		if result[i] = v; rest != "" {
			result[i] = replacedIn(in[i], rest, v)
		}
		return result
	case object:
		return replacedAt(in, path, v)
	}
	return replacedAt(object{}, path, v)
}

// step splits the first name, index or key off a path.
func step(path string) (name, rest string) {
	path = strings.TrimPrefix(path, ".")
	if strings.HasPrefix(path, "[") {
		name, rest, _ = strings.Cut(path[1:], "]")
		return strings.Trim(name, `"`), rest
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		return path, ""
	}
	return path[:end], path[end:]
}

// at is the planned value at a path like worker.ports[1].name.
func (p plan) at(path string) tftypes.Value {
	v := p.value
	for path != "" && v.IsKnown() && !v.IsNull() {
		var name string
		name, path = step(path)
		var members map[string]tftypes.Value
		var items []tftypes.Value
		if v.As(&members) == nil {
			v = members[name]
		} else if err := v.As(&items); err == nil {
			i, err := strconv.Atoi(name)
			if err != nil {
				panic(err)
			}
			v = items[i]
		}
	}
	return v
}

// expression is written into a configuration as it is.
type expression string

// hcl writes a value as an expression of Terraform's language.
func hcl(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case expression:
		return string(v)
	case string:
		return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strconv.Quote(v))
	case list:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = hcl(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case object:
		return "{\n" + body(v) + "}"
	}
	return fmt.Sprint(v)
}

// body writes the attributes of an object, one a line.
func body(o object) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(o)) {
		key := name
		if !plainName(name) {
			key = strconv.Quote(name)
		}
		fmt.Fprintf(&b, "%s = %s\n", key, hcl(o[name]))
	}
	return b.String()
}

func plainName(name string) bool {
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == "" && name != "" && (name[0] < '0' || name[0] > '9')
}

// resourceText writes a pool as a resource.
func resourceText(label string, config object) string {
	return fmt.Sprintf("resource %q %q {\n%s}\n", poolType, label, body(config))
}
