package pool_test

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// goLeaf is a leaf of the Spec type.
type goLeaf struct {
	kind     pool.Kind
	optional bool // omitted from JSON when it is empty
}

var kindOf = map[reflect.Type]pool.Kind{
	reflect.TypeFor[string]():            pool.KindString,
	reflect.TypeFor[int64]():             pool.KindInt,
	reflect.TypeFor[*int64]():            pool.KindInt,
	reflect.TypeFor[bool]():              pool.KindBool,
	reflect.TypeFor[pool.Duration]():     pool.KindDuration,
	reflect.TypeFor[*pool.Duration]():    pool.KindDuration,
	reflect.TypeFor[pool.Bytes]():        pool.KindBytes,
	reflect.TypeFor[pool.Amount]():       pool.KindAmount,
	reflect.TypeFor[[]string]():          pool.KindList,
	reflect.TypeFor[map[string]string](): pool.KindMap,
	reflect.TypeFor[[]pool.Port]():       pool.KindPorts,
	reflect.TypeFor[[]pool.Window]():     pool.KindWindows,
}

func goLeaves(t *testing.T, in reflect.Type, prefix string, leaves map[string]goLeaf) {
	for i := range in.NumField() {
		name, options, _ := strings.Cut(in.Field(i).Tag.Get("json"), ",")
		path, of := prefix+name, in.Field(i).Type
		if kind, ok := kindOf[of]; ok {
			leaves[path] = goLeaf{kind, strings.Contains(options, "omit")}
			continue
		}
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		require.Equal(t, reflect.Struct, of.Kind(), "%s has a type that no kind stands for", path)
		goLeaves(t, of, path+".", leaves)
	}
}

func TestTheTableAndTheSpecTypeHaveTheSameLeaves(t *testing.T) {
	leaves := map[string]goLeaf{}
	goLeaves(t, reflect.TypeFor[pool.Spec](), "", leaves)
	for _, f := range pool.Fields {
		leaf, ok := leaves[f.Path]
		require.True(t, ok, "%s is no leaf of Spec", f.Path)
		require.Equal(t, leaf.kind, f.Kind, f.Path)
		if f.Default != "" {
			require.False(t, leaf.optional, "%s has a default: a stored spec must hold even a zero", f.Path)
		}
		delete(leaves, f.Path)
	}
	require.Empty(t, leaves, "leaves of Spec that are not in the table")
}

func TestEveryFieldIsWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range pool.Fields {
		t.Run(f.Path, func(t *testing.T) {
			require.False(t, seen[f.Path], "it is there twice")
			seen[f.Path] = true
			require.Regexp(t, "^[A-Z`].*\\.$", f.Doc)
			if f.Secret {
				require.Equal(t, pool.ChangeNone, f.Change, "no two specs differ in it")
			} else {
				require.Contains(t, []pool.Change{pool.ChangeCreation, pool.ChangeHot, pool.ChangeContract, pool.ChangeRolling, pool.ChangeReplace}, f.Change)
			}
			require.False(t, f.Required && f.Default != "", "what is required needs no default")
			require.False(t, f.OneOf && f.Default != "", "a member of a one-of object is never filled in")
			if f.Pattern != "" {
				require.True(t, strings.HasPrefix(f.Pattern, "^") && strings.HasSuffix(f.Pattern, "$"), "its pattern is anchored")
				_, err := regexp.Compile(f.Pattern)
				require.NoError(t, err)
				require.NotEmpty(t, f.Valid, "its pattern is told in words")
			}
			require.False(t, len(f.Enum) > 0 && (f.Pattern != "" || f.Kind != pool.KindString))
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(f.Enum))), len(f.Enum))
			for _, runtime := range f.Runtimes {
				require.Equal(t, pool.RuntimeProcess, runtime)
			}
			found, ok := pool.FieldAt(f.Path)
			require.True(t, ok)
			require.Equal(t, f, found)
		})
	}
	_, ok := pool.FieldAt("worker")
	require.False(t, ok, "an object is no leaf")
}

func TestEveryDefaultAndBoundIsAValueOfItsKind(t *testing.T) {
	for _, f := range pool.Fields {
		for name, text := range map[string]string{"default": f.Default, "min": f.Min, "max": f.Max} {
			if text == "" {
				continue
			}
			t.Run(f.Path+" "+name, func(t *testing.T) {
				spec, err := pool.Decode(documentWith(t, f, text))
				require.NoError(t, err)
				require.Empty(t, f.Check(spec.Leaves()[f.Path]))
			})
		}
	}
}

// documentWith writes one leaf as a user would, in YAML.
func documentWith(t *testing.T, f pool.Field, text string) []byte {
	t.Helper()
	names := strings.Split(f.Path, ".")
	var value any = text
	if f.Kind == pool.KindInt || f.Kind == pool.KindBool {
		value = json.RawMessage(text)
	}
	for _, name := range slices.Backward(names) {
		value = map[string]any{name: value}
	}
	data, err := json.Marshal(value)
	require.NoError(t, err)
	return data
}

func TestAnEmptyDocumentOfFieldsHasAllDefaults(t *testing.T) {
	spec, err := pool.Decode([]byte("{}"))
	require.NoError(t, err)
	require.Equal(t, pool.Default(), spec)
	leaves := spec.Leaves()
	for _, f := range pool.Fields {
		if f.Default == "" {
			continue
		}
		given, err := pool.Decode(documentWith(t, f, f.Default))
		require.NoError(t, err)
		require.Equal(t, given.Leaves()[f.Path], leaves[f.Path], f.Path)
	}
	require.Equal(t, pool.Prewarmed, spec.Initialization)
	require.Equal(t, "5m", spec.Drain.Timeout.String())
	require.Equal(t, pool.Amount{Value: 25, Percent: true}, spec.Update.MaxSurge)
	require.True(t, spec.Remediation.Enabled)
	require.Nil(t, spec.Health.HTTP)
	require.Nil(t, spec.Size)
}

func TestObjectsNamesEveryInnerObjectParentsFirst(t *testing.T) {
	objects := pool.Objects()
	require.Subset(t, objects, []string{"runtime", "runtime.process", "worker", "health", "health.http", "health.tcp", "health.grpc", "health.exec", "update", "drain", "logs", "remediation"})
	for i, o := range objects {
		if parent, _, inner := cutLast(o); inner {
			require.Contains(t, objects[:i], parent)
		}
		_, leaf := pool.FieldAt(o)
		require.False(t, leaf)
	}
}

func cutLast(path string) (before, after string, found bool) {
	i := strings.LastIndex(path, ".")
	if i < 0 {
		return path, "", false
	}
	return path[:i], path[i+1:], true
}

func TestHarderIsTheLaterOfTheChanges(t *testing.T) {
	order := []pool.Change{pool.ChangeNone, pool.ChangeCreation, pool.ChangeHot, pool.ChangeContract, pool.ChangeRolling, pool.ChangeReplace}
	for i, a := range order {
		for j, b := range order {
			require.Equal(t, order[max(i, j)], pool.Harder(a, b))
		}
	}
}

// What an apply does to a user's workers is a promise: moving a field to another row is a change for users.
func TestTheKindOfChangeOfEveryField(t *testing.T) {
	rows := map[pool.Change][]string{
		pool.ChangeReplace:  {"name", "runtime.process.host"},
		pool.ChangeRolling:  {"worker.command", "worker.env", "worker.secret_env_version", "worker.working_dir", "worker.ports", "restart_triggers"},
		pool.ChangeContract: {"health.", "drain.", "leases.", "worker.on_exit_zero"},
		pool.ChangeHot:      {"description", "labels", "worker_limits.", "size", "autoscaling.min", "autoscaling.max", "autoscaling.idle_timeout", "remediation.", "update.", "logs.", "deletion_protection"},
		pool.ChangeNone:     {"worker.secret_env"},
		pool.ChangeCreation: {"initialization", "autoscaling.initial"},
	}
	for _, f := range pool.Fields {
		require.True(t, slices.ContainsFunc(rows[f.Change], func(row string) bool {
			return f.Path == row || strings.HasSuffix(row, ".") && strings.HasPrefix(f.Path, row)
		}), "%s is %s", f.Path, f.Change)
	}
}
