package pool

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
)

// FieldChange is one leaf that differs between two specs.
type FieldChange struct {
	Path   string `json:"path"`
	Change Change `json:"change"`
	Old    string `json:"old"`
	New    string `json:"new"`
}

// bareObjects are those that mean something also without a leaf, so that their presence is a change of its own.
var bareObjects = []struct {
	path   string
	change Change
	in     func(Spec) bool
}{
	{"health.http", ChangeContract, func(s Spec) bool { return s.Health.HTTP != nil }},
	{"health.tcp", ChangeContract, func(s Spec) bool { return s.Health.TCP != nil }},
	{"health.grpc", ChangeContract, func(s Spec) bool { return s.Health.GRPC != nil }},
	{"health.exec", ChangeContract, func(s Spec) bool { return s.Health.Exec != nil }},
	{"update.canary", ChangeHot, func(s Spec) bool { return s.Update.Canary != nil }},
	{"drain.hook.http", ChangeContract, func(s Spec) bool { return s.Drain.Hook != nil && s.Drain.Hook.HTTP != nil }},
	{"drain.hook.exec", ChangeContract, func(s Spec) bool { return s.Drain.Hook != nil && s.Drain.Hook.Exec != nil }},
	{"drain.active_jobs", ChangeContract, func(s Spec) bool { return s.Drain.ActiveJobs != nil }},
}

// BareObjects says which of the objects that mean something without a leaf are in a spec, by dotted path.
func BareObjects(s Spec) map[string]bool {
	present := map[string]bool{}
	for _, o := range bareObjects {
		present[o.path] = o.in(s)
	}
	return present
}

// Changes lists the leaves that differ between two complete specs, in the order of Fields, and then the
// objects that came or went.
func Changes(before, after Spec) []FieldChange {
	var changes []FieldChange
	a, b := before.Leaves(), after.Leaves()
	for _, f := range Fields {
		if f.Secret || isEmpty(a[f.Path]) && isEmpty(b[f.Path]) || reflect.DeepEqual(a[f.Path], b[f.Path]) {
			continue
		}
		changes = append(changes, FieldChange{f.Path, f.Change, leafText(a[f.Path]), leafText(b[f.Path])})
	}
	for _, o := range bareObjects {
		if was, wants := o.in(before), o.in(after); was != wants {
			changes = append(changes, FieldChange{o.path, o.change, strconv.FormatBool(was), strconv.FormatBool(wants)})
		}
	}
	return changes
}

// ChangeOf is the hardest of the changes between two complete specs.
func ChangeOf(before, after Spec) Change {
	hardest := ChangeNone
	for _, c := range Changes(before, after) {
		hardest = Harder(hardest, c.Change)
	}
	return hardest
}

// hashVersion stands before every template hash. Raise it only when the meaning of the hash changes, and
// keep computing the old one for rows that carry it: an upgrade must never roll a pool.
const hashVersion = "1"

// TemplateHash names what a worker of the spec is made from: every rolling leaf that is not at its
// default (so a field added later changes no hash), and how often a restart was asked for.
func TemplateHash(s Spec, restarts int64) string {
	template := map[string]any{"restarts": restarts}
	leaves := s.Leaves()
	for _, f := range Fields {
		if v := leaves[f.Path]; f.Change == ChangeRolling && !isEmpty(v) && leafText(v) != f.Default {
			template[f.Path] = v
		}
	}
	data, err := json.Marshal(template) // sorts the keys
	if err != nil {
		panic(fmt.Sprintf("leaves are always JSON: %v", err))
	}
	sum := sha256.Sum256(data)
	return hashVersion + ":" + hex.EncodeToString(sum[:16])
}
