// Package access decides who may do what: by a caller's role, and by the labels of the pools that it is for. Its
// decisions are pure; it knows neither requests nor records.
package access

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// Role is how much a caller may do.
type Role string

const (
	Viewer   Role = "viewer"   // reads, and asks what a change would do
	Operator Role = "operator" // also works with the pools that there are: resizes, restarts, steers, drains, leases
	Admin    Role = "admin"    // also makes, declares and destroys pools, and gives out tokens
)

// Roles are all of them, from the least on; each may do what those before it may.
var Roles = []Role{Viewer, Operator, Admin}

// Covers says whether a role may do what the other may. One that there is not may do nothing.
func (r Role) Covers(least Role) bool {
	needed := slices.Index(Roles, least)
	return needed >= 0 && slices.Index(Roles, r) >= needed
}

// RoleNames are the names of the roles, for people.
func RoleNames() string {
	names := make([]string, len(Roles))
	for i, r := range Roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// Scope are labels that a pool has to have for a caller to see it; empty: every pool.
type Scope map[string]string

// Holds says whether a pool, or a narrower scope, with these labels is within the scope.
func (s Scope) Holds(labels map[string]string) bool { return pool.Selects(s, labels) }

// Narrow is what is selected by the labels within the scope; nothing if they contradict it.
func (s Scope) Narrow(labels map[string]string) (both map[string]string, possible bool) {
	both = maps.Clone(labels)
	if both == nil {
		both = map[string]string{}
	}
	for key, value := range s {
		if asked, ok := both[key]; ok && asked != value {
			return nil, false
		}
		both[key] = value
	}
	return both, true
}

func (s Scope) String() string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(s)) {
		pairs = append(pairs, key+"="+s[key])
	}
	return strings.Join(pairs, ", ")
}

// Faults are the labels of the scope that others lack.
func (s Scope) Faults(labels map[string]string) (faults pool.Faults) {
	for _, key := range slices.Sorted(maps.Keys(s)) {
		value, ok := labels[key]
		if ok && value == s[key] {
			continue
		}
		f := pool.Fault{Path: fmt.Sprintf("labels[%q]", key), Reason: "is missing, and the caller's token is for pools with " + s.String() + " only", Valid: fmt.Sprintf("%q", s[key])}
		if ok {
			f.Value, f.Reason = fmt.Sprintf("%q", value), "is not the one that the caller's token is for"
		}
		faults = append(faults, f)
	}
	return faults
}

// Caller is who asks.
type Caller struct {
	Author string // as it is recorded
	Role   Role
	Scope  Scope
}

// Overreach is what of a role and a scope a caller cannot give away, because it does not have it.
func (c Caller) Overreach(role Role, scope Scope) (faults pool.Faults) {
	if !c.Role.Covers(role) {
		faults = append(faults, pool.Fault{Path: "role", Value: fmt.Sprintf("%q", role), Reason: "is more than the caller's own", Valid: string(c.Role) + " at most"})
	}
	return append(faults, c.Scope.Faults(scope)...)
}

// Need is what an operation asks of its caller. The zero Need is met by nobody.
type Need struct {
	Open  bool // nobody has to be known
	Least Role
	All   bool // it is about all pools, so a scope is not enough
}

// Refuses says why a caller does not meet the need; empty if it does.
func (n Need) Refuses(c Caller) string {
	switch {
	case n.Open:
	case !c.Role.Covers(n.Least):
		return fmt.Sprintf("this needs the role %s, and %s has the role %s", n.Least, c.Author, c.Role)
	case n.All && len(c.Scope) > 0:
		return fmt.Sprintf("this needs the role %s for all pools, and %s is for pools with %s only", n.Least, c.Author, c.Scope)
	}
	return ""
}

type contextKey struct{}

// With carries the caller of a request.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// Of is the caller of a request; there is none for what the manager does by itself.
func Of(ctx context.Context) (c Caller, known bool) {
	c, known = ctx.Value(contextKey{}).(Caller)
	return c, known
}
