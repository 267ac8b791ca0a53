package pool

import (
	"fmt"
	"strconv"
	"strings"
)

// Fault is one thing that is wrong with a spec.
type Fault struct {
	Path   string `json:"path" doc:"Dotted path of the field at fault, with [i] for list items and [\"key\"] for map keys; empty for the whole spec"`
	Value  string `json:"value,omitempty" doc:"The value as it was given"`
	Reason string `json:"reason" doc:"What is wrong with it"`
	Valid  string `json:"valid,omitempty" doc:"What would be valid"`
	Line   int    `json:"line,omitempty" doc:"Line of the document, from 1, where it was read from one"`
	Column int    `json:"column,omitempty" doc:"Column of the document, from 1"`
}

func (f Fault) String() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", f.Line, f.Column)
	}
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Reason)
	if f.Value != "" {
		fmt.Fprintf(&b, " (got %s)", f.Value)
	}
	if f.Valid != "" {
		b.WriteString("; valid: " + f.Valid)
	}
	return b.String()
}

// quoted is a value as a fault shows it: as much as tells it apart.
func quoted(value string) string {
	const enough = 200
	if runes := []rune(value); len(runes) > enough {
		return strconv.Quote(string(runes[:enough])) + "…"
	}
	return strconv.Quote(value)
}

// Faults is the error of an invalid spec: all of its faults, never empty.
type Faults []Fault

func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// maxFaults bounds how many faults are told, so that a large document of nonsense is answered briefly.
const maxFaults = 100

// bounded are the first faults, and that there are more.
func (fs Faults) bounded() Faults {
	if len(fs) <= maxFaults {
		return fs
	}
	return append(fs[:maxFaults:maxFaults], Fault{Reason: "there are more faults"})
}

// asError is nil for no faults.
func (fs Faults) asError() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}
