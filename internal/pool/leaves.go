package pool

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Leaves is the spec as its JSON values by dotted path of Fields. A leaf that is left out is absent.
func (s Spec) Leaves() map[string]any {
	var tree map[string]any
	data, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(data, &tree)
	}
	if err != nil {
		panic(fmt.Sprintf("a spec is always JSON: %v", err)) // its types admit nothing else
	}
	leaves := map[string]any{}
	for _, f := range Fields {
		if v, ok := lookUp(tree, f.Path); ok {
			leaves[f.Path] = v
		}
	}
	return leaves
}

func lookUp(tree map[string]any, path string) (any, bool) {
	name, rest, inner := strings.Cut(path, ".")
	v, ok := tree[name]
	if !ok || !inner {
		return v, ok
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	return lookUp(object, rest)
}

// leafText is a scalar leaf as a user would write it.
func leafText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatInt(int64(v), 10)
	case bool:
		return strconv.FormatBool(v)
	}
	data, _ := json.Marshal(v)
	return string(data)
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
