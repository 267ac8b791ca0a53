package pool

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// The patterns are ECMA-262's as well as Go's, because editors read them. A negative duration is never valid.
const durationPattern = `^(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`

// keyPatterns and valuePatterns are what the keys and values of maps must match.
var (
	keyPatterns   = map[string]*regexp.Regexp{"labels": labelKey, "worker.env": envName, pathSecretEnv: envName}
	valuePatterns = map[string]*regexp.Regexp{"labels": labelValue}
)

// JSONSchema is the JSON Schema (draft 2020-12) of a spec as it is written, for editors. It admits every
// valid spec, and refuses what can be seen to be invalid without reading several fields together.
func JSONSchema() ([]byte, error) {
	root, err := objectSchema("")
	if err != nil {
		return nil, err
	}
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "Poolkeeper resource pool"
	root.OneOf = []*jsonschema.Schema{{Required: []string{"size"}}, {Required: []string{"autoscaling"}}}
	data, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the JSON Schema: %w", err)
	}
	return append(data, '\n'), nil
}

// objectSchema describes an inner object of the spec, or all of it for "".
func objectSchema(path string) (*jsonschema.Schema, error) {
	object := closedObject()
	var members []string // of which only one can be there
	for _, name := range children(path) {
		at := join(path, name)
		f, isLeaf := FieldAt(at)
		var property *jsonschema.Schema
		var err error
		if isLeaf {
			property, err = f.schema()
		} else {
			property, err = objectSchema(at)
		}
		if err != nil {
			return nil, err
		}
		object.Properties[name] = property
		object.PropertyOrder = append(object.PropertyOrder, name)
		if f.Required || !isLeaf && len(property.Required) > 0 && !isMember(at) {
			object.Required = append(object.Required, name)
		}
		if !isLeaf && isMember(at) {
			members = append(members, name)
		}
	}
	for i, a := range members {
		for _, b := range members[i+1:] {
			object.AllOf = append(object.AllOf, &jsonschema.Schema{Not: &jsonschema.Schema{Required: []string{a, b}}})
		}
	}
	return object, nil
}

func closedObject() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "object", Properties: map[string]*jsonschema.Schema{},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}, // written as false
	}
}

// isMember says whether an object is one of those of which only one can be there.
func isMember(object string) bool {
	for _, f := range Fields {
		if name, ok := strings.CutPrefix(f.Path, object+"."); ok && f.OneOf && !strings.Contains(name, ".") {
			return true
		}
	}
	return false
}

// schema describes a leaf.
func (f Field) schema() (*jsonschema.Schema, error) {
	s := &jsonschema.Schema{Description: f.schemaDoc(), Pattern: f.Pattern, WriteOnly: f.Secret}
	for _, v := range f.Enum {
		s.Enum = append(s.Enum, v)
	}
	if f.Default != "" {
		value, err := json.Marshal(f.Kind.value(f.Default))
		if err != nil {
			return nil, fmt.Errorf("encode the default of %s: %w", f.Path, err)
		}
		s.Default = value
	}
	switch f.Kind {
	case KindString:
		s.Type = "string"
	case KindBool:
		s.Type = "boolean"
	case KindInt:
		s.Type = "integer"
		s.Minimum, s.Maximum = f.bound(f.Min), f.bound(f.Max)
	case KindDuration:
		s.Type, s.Pattern = "string", durationPattern
	case KindBytes:
		s.Types, s.Pattern = []string{"string", "integer"}, bytesPattern()
		s.Minimum, s.Maximum = f.bound(f.Min), f.bound(f.Max)
	case KindAmount:
		s.Types, s.Pattern = []string{"string", "integer"}, `^[0-9]+%?$`
		s.Minimum = jsonschema.Ptr(0.0)
	case KindList:
		s.Type, s.Items = "array", &jsonschema.Schema{Type: "string"}
		if f.Required {
			s.MinItems = jsonschema.Ptr(1)
		}
	case KindMap:
		s.Type, s.AdditionalProperties = "object", &jsonschema.Schema{Type: "string"}
		if keys := keyPatterns[f.Path]; keys != nil {
			s.PropertyNames = &jsonschema.Schema{Pattern: keys.String()}
		}
		if values := valuePatterns[f.Path]; values != nil {
			s.AdditionalProperties.Pattern = values.String()
		}
	case KindPorts:
		port := closedObject()
		port.Properties["name"] = &jsonschema.Schema{Type: "string", Pattern: portName.String(), Description: "Name of the port."}
		port.Required = []string{"name"}
		s.Type, s.Items = "array", port
	case KindWindows:
		window := closedObject()
		for _, m := range f.Kind.Members() {
			window.Properties[m.Name] = &jsonschema.Schema{Type: "string", Description: m.Doc}
		}
		window.Properties["duration"].Pattern = durationPattern
		window.Required = []string{"cron", "duration"}
		s.Type, s.Items = "array", window
	default:
		return nil, fmt.Errorf("%s is of a kind that has no JSON Schema: %s", f.Path, f.Kind)
	}
	return s, nil
}

// schemaDoc is the leaf's sentence, and the bounds that JSON Schema has no words for.
func (f Field) schemaDoc() string {
	switch {
	case f.Kind == KindDuration, f.Kind == KindBytes:
		return fmt.Sprintf("%s From %s to %s.", f.Doc, f.Min, f.Max)
	case f.Kind == KindAmount && f.Max != "":
		return fmt.Sprintf("%s At most %s.", f.Doc, f.Max)
	}
	return f.Doc
}

// bound is a written bound of whole numbers or sizes as a number; nil for none.
func (f Field) bound(written string) *float64 {
	n, err := ParseBytes(written) // which reads plain numbers too
	if err != nil {
		return nil
	}
	return jsonschema.Ptr(float64(n))
}

func bytesPattern() string {
	var units []string
	for _, u := range byteUnits {
		if u.suffix != "" {
			units = append(units, u.suffix)
		}
	}
	return "^[0-9]+(" + strings.Join(units, "|") + ")?$"
}
