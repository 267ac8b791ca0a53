package provider

import (
	"errors"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const invalidSpec = "Invalid pool"

// faultDiagnostic is the one form in which a fault is shown, whoever found it: equal ones are shown once.
func faultDiagnostic(at path.Path, f pool.Fault) diag.Diagnostic {
	f.Line, f.Column = 0, 0 // of a document that the user never saw
	return diag.NewAttributeErrorDiagnostic(at, invalidSpec, inHCL.Replace(f.String()))
}

// faultDiagnostics shows the faults of an error at their attributes; any other error is shown as it is.
func faultDiagnostics(err error) (diags diag.Diagnostics) {
	var faults pool.Faults
	switch {
	case err == nil:
	case errors.As(err, &faults):
		for _, f := range faults {
			diags.Append(faultDiagnostic(placeOf(f.Path), f))
		}
	default:
		diags.AddError(invalidSpec, err.Error())
	}
	return diags
}

// placeOf is the attribute to show a fault at. Terraform looks for the line of a nested attribute by its last
// name among the pool's own attributes, so a port's name would be shown at the pool's: what is named like one
// of them is shown at the object around it.
func placeOf(text string) path.Path {
	if dot := strings.LastIndexByte(text, '.'); dot >= 0 && specTree().member(text[dot+1:]) != nil {
		text = text[:dot]
	}
	return attributePath(text)
}

// attributePath reads a fault's path, like worker.ports[0].name or labels["a.b"]. An empty path, and what
// comes after a step that cannot be read, is left out: the diagnostic then points at the whole around it.
func attributePath(text string) path.Path {
	text = inHCL.Replace(text)
	at := path.Empty()
	for text != "" {
		switch {
		case strings.HasPrefix(text, "["):
			quoted, err := strconv.QuotedPrefix(text[1:])
			if err == nil {
				key, _ := strconv.Unquote(quoted)
				at = at.AtMapKey(key)
				text = strings.TrimPrefix(text[1+len(quoted):], "]")
				continue
			}
			index, rest, closed := strings.Cut(text[1:], "]")
			i, err := strconv.Atoi(index)
			if err != nil || !closed {
				return at
			}
			at, text = at.AtListIndex(i), rest
		default:
			text = strings.TrimPrefix(text, ".")
			end := strings.IndexAny(text, ".[")
			if end < 0 {
				end = len(text)
			}
			if end == 0 {
				return at
			}
			at, text = at.AtName(text[:end]), text[end:]
		}
	}
	return at
}
