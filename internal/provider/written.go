package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// meanings reads the kinds that can be written in several ways into something that compares with ==.
var meanings = map[pool.Kind]func(text string) (any, error){
	pool.KindDuration: func(text string) (any, error) { return pool.ParseDuration(text) },
	pool.KindBytes:    func(text string) (any, error) { return pool.ParseBytes(text) },
	pool.KindAmount:   func(text string) (any, error) { return pool.ParseAmount(text) },
}

// sameMeaning says that two spellings of a kind are one value: "300s" and "5m".
func sameMeaning(kind pool.Kind, a, b string) bool {
	read, ok := meanings[kind]
	if !ok {
		return a == b
	}
	x, errX := read(a)
	y, errY := read(b)
	if errX != nil || errY != nil {
		return a == b
	}
	return x == y
}

// writtenType is the type of strings of one kind, which keep the spelling that the user wrote. Whether a
// text is a value of the kind is judged by the domain's validator with everything else.
type writtenType struct {
	basetypes.StringType
	kind pool.Kind
}

// writtenValue is a value of a writtenType.
type writtenValue struct {
	basetypes.StringValue
	kind pool.Kind
}

var (
	_ basetypes.StringTypable                    = writtenType{}
	_ basetypes.StringValuableWithSemanticEquals = writtenValue{}
)

func (t writtenType) String() string { return fmt.Sprintf("provider.writtenType[%s]", t.kind) }

func (t writtenType) Equal(other attr.Type) bool {
	o, ok := other.(writtenType)
	return ok && o.kind == t.kind
}

func (t writtenType) ValueType(context.Context) attr.Value { return writtenValue{kind: t.kind} }

func (t writtenType) ValueFromString(_ context.Context, v basetypes.StringValue) (basetypes.StringValuable, diag.Diagnostics) {
	return writtenValue{StringValue: v, kind: t.kind}, nil
}

func (t writtenType) ValueFromTerraform(ctx context.Context, v tftypes.Value) (attr.Value, error) {
	value, err := t.StringType.ValueFromTerraform(ctx, v)
	if err != nil {
		return nil, err
	}
	text, ok := value.(basetypes.StringValue)
	if !ok {
		return nil, fmt.Errorf("a %s was read as %T", t.kind, value)
	}
	return writtenValue{StringValue: text, kind: t.kind}, nil
}

func (v writtenValue) Type(context.Context) attr.Type { return writtenType{kind: v.kind} }

func (v writtenValue) Equal(other attr.Value) bool {
	o, ok := other.(writtenValue)
	return ok && o.kind == v.kind && o.StringValue.Equal(v.StringValue)
}

// StringSemanticEquals makes the framework keep the older of two spellings of one value.
func (v writtenValue) StringSemanticEquals(_ context.Context, other basetypes.StringValuable) (bool, diag.Diagnostics) {
	o, ok := other.(writtenValue)
	return ok && o.kind == v.kind && sameMeaning(v.kind, v.ValueString(), o.ValueString()), nil
}
