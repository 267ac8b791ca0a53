//go:build linux

package acceptance

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/semver"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// effect is what a step does to a pool: what its plan has to announce, and its apply to do.
type effect string

const (
	creates  effect = "creates it"
	imports  effect = "imports it, and nothing else"
	keeps    effect = "keeps all as it is"
	ownOnly  effect = "changes what only Terraform knows of"
	hot      effect = "changes it, and no worker"
	rolling  effect = "replaces its workers one after the other"
	replaces effect = "replaces it"
)

// moving are the attributes that a plan of a change cannot know, and fresh those of a plan of another pool.
var (
	moving = []string{"current_size", "health_status", "operation", "ready_workers", "revision", "state"}
	fresh  = append([]string{"host", "id"}, moving...)
)

// promises says of each effect what the plan's JSON holds.
var promises = map[effect]struct {
	actions []string
	unknown []string
	last    string // last_change; empty: as it was
}{
	creates:  {[]string{"create"}, fresh, "create"},
	imports:  {[]string{"no-op"}, nil, ""},
	keeps:    {[]string{"no-op"}, nil, ""},
	ownOnly:  {[]string{"update"}, nil, ""},
	hot:      {[]string{"update"}, moving, "hot"},
	rolling:  {[]string{"update"}, moving, "rolling"},
	replaces: {[]string{"delete", "create"}, fresh, "create"},
}

// stop is one pool's configuration in a step, and what getting there does.
type stop struct {
	declared object
	effect   effect
	late     []string // the paths whose values are known at apply only
	last     string   // the last_change that is certain whatever they are; empty: none
	resizes  bool     // workers come or go, beside whatever else happens
	differs  string   // the only path that the plan shows as another known value; empty: not looked at
}

// standing is a pool at a moment: what the manager knows, what runs, and what Terraform's state says.
type standing struct {
	view    pool.View
	crew    crew
	workers []pool.Worker // those that have ended, too
	state   map[string]any
}

// voyage takes several pools through steps that each plan, apply and plan again once for all of them.
type voyage struct {
	*workspace
	standings map[string]standing // by the names of the resources
}

// goes takes a step and holds the plan against the table, and the manager against the plan.
func (v *voyage) goes(step string, stops map[string]stop, more ...change) {
	v.t.Helper()
	began := time.Now()
	pools := object{}
	for name, s := range stops {
		pools[name] = s.declared
	}
	v.declare(nil, append(more, set("resource."+resourceType, pools))...)
	plans := v.plansJSON()
	v.tf("apply", "-input=false", "-parallelism=40", "plan").succeeded()
	again := v.plan()
	now := v.survey()
	for _, name := range slices.Sorted(maps.Keys(stops)) {
		v.t.Run(step+"/"+name, func(t *testing.T) {
			before, after := v.standings[name], now[name]
			plans[resourceType+"."+name].holds(t, stops[name], before)
			stops[name].holds(t, before, after)
			agree(t, after)
		})
	}
	again.ended(planEmpty)
	v.standings = now
	v.t.Logf("%s: %d pools, %s", step, len(stops), time.Since(began).Round(100*time.Millisecond))
}

// patched changes pools by their manager alone: merge patches by the names of their resources.
func (v *voyage) patched(patches map[string]object) {
	v.t.Helper()
	if len(patches) == 0 {
		return
	}
	var operations []string
	for name, patch := range patches {
		document, err := json.Marshal(patch)
		require.NoError(v.t, err)
		accepted, err := v.client().Patch(v.t.Context(), v.standings[name].view.Name, document, client.Change{})
		require.NoError(v.t, err, name)
		operations = append(operations, accepted.Operation.ID)
	}
	for _, id := range operations {
		o, err := v.client().Wait(v.t.Context(), id, nil)
		require.NoError(v.t, err)
		require.Equal(v.t, pool.OperationSucceeded, o.Phase, o.Reason)
	}
	v.standings = v.survey()
}

// imports has the configuration import the pools as they stand: by their names, and every other one by its identity
// where the CLI knows such.
func (v *voyage) imports() change {
	v.t.Helper()
	_, version := v.cliOf()
	identities := semver.Compare(version, "v1.12.0") >= 0
	var blocks list
	for i, name := range slices.Sorted(maps.Keys(v.standings)) {
		block := object{"to": resourceType + "." + name, "id": v.standings[name].view.Name}
		if identities && i%2 == 1 {
			delete(block, "id")
			block["identity"] = object{"name": v.standings[name].view.Name}
		}
		blocks = append(blocks, block)
	}
	return set("import", blocks)
}

// holds compares what a plan announces with what the table says of the step.
func (p planned) holds(t *testing.T, s stop, before standing) {
	t.Helper()
	promise := promises[s.effect]
	actions, unknown, last := promise.actions, slices.Clone(promise.unknown), promise.last
	if len(s.late) > 0 && s.effect != creates && s.effect != replaces { // it may be any change, or none
		actions, unknown, last = []string{"update"}, slices.Clone(moving), s.last
		if last == "" {
			unknown = append(unknown, "last_change")
		}
	}
	unknown = append(unknown, s.late...)
	require.ElementsMatch(t, actions, p.Actions, "the plan's actions")
	require.ElementsMatch(t, unknown, p.unknown(), "what the plan does not know")
	require.Equal(t, s.effect == replaces, len(p.ReplacePaths) > 0, "what the plan replaces for: %v", p.ReplacePaths)
	require.Equal(t, s.effect == imports, len(p.Importing) > 0, "whether the plan imports")
	if last == "" && before.state != nil && !slices.Contains(unknown, "last_change") {
		last, _ = before.state["last_change"].(string)
	}
	if s.differs != "" {
		require.Equal(t, []string{s.differs}, p.differs(), "what differs")
	}
	if last != "" {
		require.Equal(t, last, p.After["last_change"], "the plan's last_change")
	}
}

// holds compares what an apply did with what the table says of the step.
func (s stop) holds(t *testing.T, before, after standing) {
	t.Helper()
	was, is := before.view, after.view
	other, made := was.UID != is.UID, int64(0)
	switch s.effect {
	case creates, replaces:
		require.True(t, other, "another pool than %s", was.UID)
		require.Equal(t, []int64{1, 1}, []int64{is.Revision, is.Generation}, "revision and generation of a new pool")
		apart(t, before.crew, after.crew)
		require.Equal(t, "create", after.state["last_change"])
		return
	case hot, rolling:
		made = 1
		require.Equal(t, promises[s.effect].last, after.state["last_change"], "the state's last_change")
	default:
		if before.state != nil {
			require.Equal(t, before.state["last_change"], after.state["last_change"], "the state's last_change")
		}
		require.Equal(t, was.OperationID, is.OperationID)
	}
	require.False(t, other, "pool %s has become %s", was.UID, is.UID)
	require.Equal(t, []int64{was.Revision + made, was.Generation + made}, []int64{is.Revision, is.Generation}, "revision and generation")
	switch {
	case s.effect == rolling:
		apart(t, before.crew, after.crew)
		inTurn(t, before.crew, after)
	case s.resizes:
		require.NotEqual(t, len(before.crew), len(after.crew), "the workers")
		both := maps.Clone(after.crew)
		maps.DeleteFunc(both, func(id string, pid int) bool { return before.crew[id] != pid })
		require.Len(t, both, min(len(before.crew), len(after.crew)), "the workers that stayed, of %v and %v", before.crew, after.crew)
	default:
		require.Equal(t, before.crew, after.crew, "the workers")
	}
}

// inTurn requires that no old worker was drained before a new one was ready, and none started before the last that was
// drained had ended: the surge is one.
func inTurn(t *testing.T, old crew, after standing) {
	t.Helper()
	var goes, comes []pool.Worker
	for _, w := range after.workers {
		if _, was := old[w.ID]; was {
			goes = append(goes, w)
		} else if _, is := after.crew[w.ID]; is {
			comes = append(comes, w)
		}
	}
	slices.SortFunc(goes, func(a, b pool.Worker) int { return a.DrainingAt.Compare(b.DrainingAt) })
	slices.SortFunc(comes, func(a, b pool.Worker) int { return a.CreatedAt.Compare(b.CreatedAt) })
	require.Equal(t, []int{len(old), len(old)}, []int{len(goes), len(comes)}, "workers that went and came: %v", after.workers)
	for i := range goes {
		require.Equal(t, pool.DrainRollout, goes[i].DrainCause, "why %s went", goes[i].ID)
		require.False(t, goes[i].DrainingAt.Before(comes[i].ReadyAt), "%s was drained at %s, %s was ready at %s only", goes[i].ID, goes[i].DrainingAt, comes[i].ID, comes[i].ReadyAt)
		if i > 0 {
			require.False(t, comes[i].CreatedAt.Before(goes[i-1].EndedAt), "%s was made at %s, %s ended at %s only", comes[i].ID, comes[i].CreatedAt, goes[i-1].ID, goes[i-1].EndedAt)
		}
	}
}

// agree requires that Terraform's state says of a pool what its manager does.
func agree(t *testing.T, s standing) {
	t.Helper()
	v := s.view
	require.Equal(t, []any{v.UID, float64(v.Revision), "active", float64(len(s.crew)), v.OperationID, "succeeded"},
		[]any{s.state["id"], s.state["revision"], s.state["state"], s.state["current_size"], at(s.state, "operation.id"), at(s.state, "operation.phase")}, "the state")
	leaves := v.Spec.Leaves()
	for _, f := range pool.Fields {
		if !f.Secret && !strings.HasPrefix(f.Path, "runtime") { // which the state has as it is declared, and the manager as it was created
			require.Equal(t, meaning(f.Kind, leaves[f.Path]), meaning(f.Kind, at(s.state, inHCL(f.Path))), "%s in the state", f.Path)
		}
	}
}

// meaning is a leaf's value in the one spelling that all of its spellings have. Nothing, empty and left out are one.
func meaning(kind pool.Kind, value any) string {
	text := fmt.Sprint(value)
	var read any
	var err error
	switch kind {
	case pool.KindDuration:
		read, err = pool.ParseDuration(text)
	case pool.KindBytes:
		read, err = pool.ParseBytes(text)
	case pool.KindAmount:
		read, err = pool.ParseAmount(text)
	case pool.KindWindows, pool.KindPorts:
		texts := []string{}
		items, _ := value.([]any)
		for _, item := range items {
			o, _ := item.(map[string]any)
			for _, m := range kind.Members() {
				texts = append(texts, meaning(m.Kind, o[m.Name]))
			}
		}
		return strings.Join(texts, " ")
	default:
		read = text
	}
	if empty := []string{"<nil>", "", "[]", "map[]"}; err != nil || slices.Contains(empty, text) {
		return ""
	}
	return fmt.Sprintf("%#v", read)
}

// at is the value at a dotted path of JSON objects; nil if there is none.
func at(o map[string]any, path string) any {
	name, rest, inner := strings.Cut(path, ".")
	if !inner {
		return o[name]
	}
	below, _ := o[name].(map[string]any)
	return at(below, rest)
}

// survey is how all pools of the state stand.
func (w *workspace) survey() map[string]standing {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.folder, "terraform.tfstate"))
	require.NoError(w.t, err)
	var document struct {
		Resources []struct {
			Type, Name string
			Instances  []kept
		}
	}
	require.NoError(w.t, json.Unmarshal(data, &document))
	running := w.allRunning()
	standings := map[string]standing{}
	for _, r := range document.Resources {
		if r.Type != resourceType {
			continue
		}
		require.Len(w.t, r.Instances, 1, r.Name)
		s := standing{state: r.Instances[0].Attributes}
		name := fmt.Sprint(s.state["name"])
		s.view, s.crew = w.pool(name), w.crew(name)
		require.True(w.t, maps.Equal(running[name], s.crew), "the processes of %s are the workers that the manager knows: %v, %v", name, running[name], s.crew)
		s.workers, err = w.client().Workers(w.t.Context(), name)
		require.NoError(w.t, err)
		standings[r.Name] = s
	}
	return standings
}
