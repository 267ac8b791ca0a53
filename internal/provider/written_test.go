package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestTwoSpellingsOfOneValueAreEqual(t *testing.T) {
	for _, row := range []struct {
		kind pool.Kind
		a, b string
		same bool
	}{
		{pool.KindDuration, "300s", "5m", true},
		{pool.KindDuration, "1h0m0s", "60m", true},
		{pool.KindDuration, "5m", "6m", false},
		{pool.KindDuration, "soon", "5m", false},
		{pool.KindDuration, "soon", "soon", true},
		{pool.KindBytes, "1024KiB", "1Mi", true},
		{pool.KindBytes, "1MB", "1MiB", false},
		{pool.KindBytes, "1000000", "1MB", true},
		{pool.KindAmount, "25%", "025%", true},
		{pool.KindAmount, "25%", "25", false},
		{pool.KindString, "a", "a", true},
		{pool.KindString, "01", "1", false},
	} {
		t.Run(string(row.kind)+" "+row.a+" and "+row.b, func(t *testing.T) {
			require.Equal(t, row.same, sameMeaning(row.kind, row.a, row.b))
			a := writtenValue{StringValue: basetypes.NewStringValue(row.a), kind: row.kind}
			b := writtenValue{StringValue: basetypes.NewStringValue(row.b), kind: row.kind}
			equal, diags := a.StringSemanticEquals(t.Context(), b)
			require.Empty(t, diags)
			require.Equal(t, row.same, equal)
			require.Equal(t, row.a == row.b, a.Equal(b), "equality proper is that of the text")
		})
	}
}

func TestAWrittenTypeReadsWhatTerraformHolds(t *testing.T) {
	duration := writtenType{kind: pool.KindDuration}
	for name, raw := range map[string]tftypes.Value{
		"text":    tftypes.NewValue(tftypes.String, "5m"),
		"null":    tftypes.NewValue(tftypes.String, nil),
		"unknown": tftypes.NewValue(tftypes.String, tftypes.UnknownValue),
	} {
		t.Run(name, func(t *testing.T) {
			v, err := duration.ValueFromTerraform(t.Context(), raw)
			require.NoError(t, err)
			require.True(t, v.Type(t.Context()).Equal(duration))
			back, err := v.ToTerraformValue(t.Context())
			require.NoError(t, err)
			require.True(t, back.Equal(raw))
		})
	}
	require.False(t, duration.Equal(writtenType{kind: pool.KindBytes}))
}
