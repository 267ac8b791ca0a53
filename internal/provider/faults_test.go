package provider

import (
	"errors"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestAFaultsPathIsReadAsTheAttributesPath(t *testing.T) {
	for text, expected := range map[string]path.Path{
		"":                     path.Empty(),
		"size":                 path.Root("size"),
		"drain.timeout":        path.Root("drain").AtName("timeout"),
		"worker.command[2]":    path.Root("worker").AtName("command").AtListIndex(2),
		"worker.ports[0].name": path.Root("worker").AtName("ports").AtListIndex(0).AtName("name"),
		`labels["a.b"]`:        path.Root("labels").AtMapKey("a.b"),
		`labels["a]\"[0]"]`:    path.Root("labels").AtMapKey(`a]"[0]`),
		`worker.env["X"]`:      path.Root("worker").AtName("env").AtMapKey("X"),
		"worker.command[x]":    path.Root("worker").AtName("command"),
		"worker.command[1":     path.Root("worker").AtName("command"),
		"worker..command":      path.Root("worker"),
	} {
		t.Run(text, func(t *testing.T) {
			require.Equal(t, expected.String(), attributePath(text).String())
		})
	}
}

func TestAFaultIsShownWhereTerraformFindsItsLine(t *testing.T) {
	for text, expected := range map[string]string{
		"worker.ports[1].name": "worker.ports[1]", // the last name alone would be the pool's
		"name":                 "name",
		"health.http.path":     "health.http.path",
		"update.max_surge":     "update.max_surge",
		`labels["a.name"]`:     `labels["a.name"]`,
	} {
		diags := faultDiagnostics(pool.Faults{{Path: text, Reason: "is wrong"}})
		at, ok := diags[0].(diag.DiagnosticWithPath)
		require.True(t, ok)
		require.Equal(t, expected, at.Path().String())
	}
}

func TestFaultsAreShownOneByOneAndOtherErrorsWhole(t *testing.T) {
	diags := faultDiagnostics(pool.Faults{{Path: "size", Reason: "is required", Line: 3, Column: 4}, {Path: "name", Reason: "is required"}})
	require.Len(t, diags, 2)
	at, ok := diags[0].(diag.DiagnosticWithPath)
	require.True(t, ok)
	require.Equal(t, "size", at.Path().String())
	require.Equal(t, "size: is required", diags[0].Detail(), "a line of a document that nobody wrote is not shown")

	diags = faultDiagnostics(errors.New("out of paper"))
	require.Len(t, diags, 1)
	require.Equal(t, "out of paper", diags[0].Detail())
	require.Empty(t, faultDiagnostics(nil))
}
