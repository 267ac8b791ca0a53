package access_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestARoleMayDoWhatTheLesserOnesMay(t *testing.T) {
	for _, c := range []struct {
		has    access.Role
		covers []access.Role
	}{
		{access.Viewer, []access.Role{access.Viewer}},
		{access.Operator, []access.Role{access.Viewer, access.Operator}},
		{access.Admin, []access.Role{access.Viewer, access.Operator, access.Admin}},
		{"", nil},
		{"root", nil},
		{"Admin", nil},
	} {
		for _, least := range append([]access.Role{"", "root"}, access.Roles...) {
			want := false
			for _, role := range c.covers {
				want = want || role == least
			}
			require.Equal(t, want, c.has.Covers(least), "%q does what needs %q", c.has, least)
		}
	}
	require.Equal(t, "viewer, operator, admin", access.RoleNames())
}

func TestANeedIsMetByItsRoleAndForAllPoolsByNoScope(t *testing.T) {
	core := access.Scope{"team": "core"}
	for name, c := range map[string]struct {
		need   access.Need
		caller access.Caller
		why    string
	}{
		"open to nobody known":       {access.Need{Open: true}, access.Caller{}, ""},
		"forgotten":                  {access.Need{}, access.Caller{Author: "token", Role: access.Admin}, "this needs the role , and token has the role admin"},
		"enough":                     {access.Need{Least: access.Viewer}, access.Caller{Role: access.Operator}, ""},
		"too little":                 {access.Need{Least: access.Admin}, access.Caller{Author: "token:ci", Role: access.Operator}, "this needs the role admin, and token:ci has the role operator"},
		"a scope is enough for some": {access.Need{Least: access.Viewer}, access.Caller{Role: access.Viewer, Scope: core}, ""},
		"a scope is none for all":    {access.Need{Least: access.Admin, All: true}, access.Caller{Author: "token:ci", Role: access.Admin, Scope: core}, "this needs the role admin for all pools, and token:ci is for pools with team=core only"},
		"no scope is one for all":    {access.Need{Least: access.Admin, All: true}, access.Caller{Role: access.Admin}, ""},
	} {
		require.Equal(t, c.why, c.need.Refuses(c.caller), name)
	}
}

func TestAScopeHoldsWhatHasItsLabels(t *testing.T) {
	scope := access.Scope{"team": "core", "os": "linux"}
	require.Equal(t, "os=linux, team=core", scope.String())
	for _, c := range []struct {
		labels map[string]string
		faults pool.Faults
	}{
		{map[string]string{"team": "core", "os": "linux", "more": "x"}, nil},
		{map[string]string{"team": "web", "os": "linux"}, pool.Faults{
			{Path: `labels["team"]`, Value: `"web"`, Reason: "is not the one that the caller's token is for", Valid: `"core"`},
		}},
		{nil, pool.Faults{
			{Path: `labels["os"]`, Reason: "is missing, and the caller's token is for pools with os=linux, team=core only", Valid: `"linux"`},
			{Path: `labels["team"]`, Reason: "is missing, and the caller's token is for pools with os=linux, team=core only", Valid: `"core"`},
		}},
	} {
		require.Equal(t, c.faults, scope.Faults(c.labels))
		require.Equal(t, c.faults == nil, scope.Holds(c.labels))
	}
	require.Empty(t, access.Scope(nil).Faults(nil), "no scope holds all")
}

func TestASelectionIsNarrowedToTheScope(t *testing.T) {
	scope := access.Scope{"team": "core"}
	for _, c := range []struct {
		asked, both map[string]string
		possible    bool
	}{
		{nil, map[string]string{"team": "core"}, true},
		{map[string]string{"os": "linux"}, map[string]string{"os": "linux", "team": "core"}, true},
		{map[string]string{"team": "core"}, map[string]string{"team": "core"}, true},
		{map[string]string{"team": "web"}, nil, false},
	} {
		both, possible := scope.Narrow(c.asked)
		require.Equal(t, c.possible, possible)
		require.Equal(t, c.both, both)
	}
	asked := map[string]string{"os": "linux"}
	_, _ = scope.Narrow(asked)
	require.Equal(t, map[string]string{"os": "linux"}, asked, "what was asked stays as it is")
}

func TestNobodyGivesAwayMoreThanTheyHave(t *testing.T) {
	for name, c := range map[string]struct {
		caller access.Caller
		role   access.Role
		scope  access.Scope
		paths  []string
	}{
		"as much":               {access.Caller{Role: access.Admin}, access.Admin, nil, nil},
		"less":                  {access.Caller{Role: access.Admin}, access.Viewer, access.Scope{"team": "core"}, nil},
		"more":                  {access.Caller{Role: access.Operator}, access.Admin, nil, []string{"role"}},
		"within the scope":      {access.Caller{Role: access.Admin, Scope: access.Scope{"team": "core"}}, access.Admin, access.Scope{"team": "core", "os": "linux"}, nil},
		"out of the scope":      {access.Caller{Role: access.Admin, Scope: access.Scope{"team": "core"}}, access.Viewer, access.Scope{"os": "linux"}, []string{`labels["team"]`}},
		"all pools":             {access.Caller{Role: access.Admin, Scope: access.Scope{"team": "core"}}, access.Viewer, nil, []string{`labels["team"]`}},
		"more of another scope": {access.Caller{Role: access.Viewer, Scope: access.Scope{"team": "core"}}, access.Operator, access.Scope{"team": "web"}, []string{"role", `labels["team"]`}},
	} {
		var paths []string
		for _, f := range c.caller.Overreach(c.role, c.scope) {
			paths = append(paths, f.Path)
		}
		require.Equal(t, c.paths, paths, name)
	}
}

func TestWhatNobodyAskedForHasNoCaller(t *testing.T) {
	_, known := access.Of(t.Context())
	require.False(t, known)
	c, known := access.Of(access.With(t.Context(), access.Caller{Author: "token", Role: access.Admin}))
	require.True(t, known)
	require.Equal(t, "token", c.Author)
}
