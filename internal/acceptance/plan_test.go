//go:build linux

package acceptance

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// The exit codes of a plan with -detailed-exitcode.
const (
	planEmpty   = 0
	planFailed  = 1
	planChanges = 2
)

func (w *workspace) plan(args ...string) outcome {
	w.t.Helper()
	return w.tf(append([]string{"plan", "-input=false", "-detailed-exitcode"}, args...)...)
}

// planned is what Terraform's JSON of a plan says about a pool.
type planned struct {
	Actions      []string       `json:"actions"`
	Before       map[string]any `json:"before"`
	After        map[string]any `json:"after"`
	AfterUnknown map[string]any `json:"after_unknown"`
	ReplacePaths [][]any        `json:"replace_paths"`
	Importing    map[string]any `json:"importing"`
}

// planJSON plans and returns the change of the pool "web"; the plan itself is kept in the file "plan".
func (w *workspace) planJSON() planned {
	w.t.Helper()
	changes := w.plansJSON()
	require.Contains(w.t, changes, address)
	return changes[address]
}

// plansJSON is planJSON for all that is declared, by address.
func (w *workspace) plansJSON() map[string]planned {
	w.t.Helper()
	w.tf("plan", "-input=false", "-out=plan").succeeded()
	shown := w.tf("show", "-json", "plan").succeeded()
	var document struct {
		Changes []struct {
			Address string  `json:"address"`
			Change  planned `json:"change"`
		} `json:"resource_changes"`
	}
	require.NoError(w.t, json.Unmarshal([]byte(shown.stdout), &document))
	changes := map[string]planned{}
	for _, c := range document.Changes {
		changes[c.Address] = c.Change
	}
	return changes
}

// differs lists the dotted paths of the attributes that are known and will be others, sorted.
func (p planned) differs() []string {
	var paths []string
	compare("", p.Before, p.After, func(path string) {
		if !slices.Contains(p.unknown(), path) {
			paths = append(paths, path)
		}
	})
	slices.Sort(paths)
	return paths
}

// nested are the attributes whose members are attributes.
var nested = append([]string{""}, pool.Objects()...)

// compare calls note for every attribute that differs between two objects.
func compare(at string, before, after map[string]any, note func(path string)) {
	for name := range merged(before, after) {
		path := strings.TrimPrefix(at+"."+name, ".")
		was, hadMembers := before[name].(map[string]any)
		is, hasMembers := after[name].(map[string]any)
		switch {
		case hadMembers && hasMembers && slices.Contains(nested, path):
			compare(path, was, is, note)
		case !reflect.DeepEqual(before[name], after[name]):
			note(path)
		}
	}
}

func merged(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, b)
	return all
}

// unknown lists the dotted paths of the attributes whose values come with the apply, sorted.
func (p planned) unknown() []string {
	paths := unknownIn("", p.AfterUnknown)
	slices.Sort(paths)
	return paths
}

func unknownIn(at string, mark any) (paths []string) {
	switch mark := mark.(type) {
	case bool:
		if mark {
			paths = append(paths, strings.TrimPrefix(at, "."))
		}
	case map[string]any:
		for name, inner := range mark {
			paths = append(paths, unknownIn(at+"."+name, inner)...)
		}
	case []any:
		for i, inner := range mark {
			paths = append(paths, unknownIn(fmt.Sprintf("%s[%d]", at, i), inner)...)
		}
	}
	return paths
}
