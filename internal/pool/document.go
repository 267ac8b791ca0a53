package pool

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const oneDocument = "one JSON or YAML document"

// parse reads one JSON or YAML document into nodes that know their places.
func parse(data []byte) (*yaml.Node, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if utf8.Valid(data) && json.Valid(data) {
		return parseJSON(data), nil
	}
	root, err := parseYAML(data)
	if err == nil {
		return root, nil
	}
	// A document that is neither is told what is wrong with it as what it was meant to be.
	if fault, broken := jsonFault(data); broken && meantAsJSON(data) {
		return nil, Faults{fault}
	}
	return nil, err
}

func meantAsJSON(data []byte) bool {
	inside, isObject := bytes.CutPrefix(bytes.TrimSpace(data), []byte("{"))
	return isObject && bytes.HasPrefix(bytes.TrimSpace(inside), []byte(`"`))
}

// jsonFault says where the text stops being JSON.
func jsonFault(data []byte) (Fault, bool) {
	var syntax *json.SyntaxError
	if !errors.As(json.Unmarshal(data, new(any)), &syntax) {
		return Fault{}, false
	}
	at := int(syntax.Offset)
	if at < len(data) || strings.HasPrefix(syntax.Error(), "invalid character") {
		at-- // the offset is behind the character at fault
	}
	f := Fault{Reason: syntax.Error(), Valid: oneDocument}
	f.Line, f.Column = (&cursor{data: data}).at(max(at, 0))
	return f, true
}

func parseYAML(data []byte) (*yaml.Node, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF), err == nil && isBlank(doc):
		return nil, Faults{{Reason: "the document is empty", Valid: oneDocument}}
	case err != nil:
		return nil, Faults{yamlFault(data, err)}
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, Faults{{Line: second.Line, Column: max(second.Column, 1), Reason: "a second document follows", Valid: oneDocument}}
	case !errors.Is(err, io.EOF):
		return nil, Faults{yamlFault(data, err)}
	}
	return doc.Content[0], nil
}

// isBlank says that a document is there, but has nothing in it.
func isBlank(doc yaml.Node) bool {
	return len(doc.Content) == 0 || isNull(doc.Content[0]) && doc.Content[0].Value == ""
}

// yamlFault gives the loader's error the place that it knows.
func yamlFault(data []byte, err error) Fault {
	f := Fault{Reason: strings.TrimPrefix(err.Error(), "yaml: "), Valid: oneDocument}
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return f
	}
	f.Reason, f.Line, f.Column = load.Message, load.Mark.Line, load.Mark.Column
	places := &cursor{data: data}
	if f.Line == 0 { // the loader does not say where it met a character that cannot be in any document
		if i := unreadable(data); i >= 0 {
			f.Line, f.Column = places.at(i)
		}
	} else if line, column := places.at(len(data)); f.Line > line { // the end of the text counts as a line of its own
		f.Line, f.Column = line, column
	}
	return f
}

// unreadable is the index of the first byte that is not UTF-8, or of the first control character; -1 if
// there is none.
func unreadable(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == '\x7f' {
			return i
		}
		i += size
	}
	return -1
}

// cursor turns indexes into lines and columns, both from 1, columns in characters. It only moves forward.
type cursor struct {
	data         []byte
	index        int
	lines, runes int // before index: line ends, and characters since the last one
}

func (c *cursor) at(index int) (line, column int) {
	passed := c.data[c.index:index]
	if end := bytes.LastIndexByte(passed, '\n'); end >= 0 {
		c.lines += bytes.Count(passed, []byte("\n"))
		c.runes = 0
		passed = passed[end+1:]
	}
	c.runes += utf8.RuneCount(passed)
	c.index = index
	return c.lines + 1, c.runes + 1
}

// parseJSON reads valid JSON. It is not left to the YAML parser, which knows no surrogate pairs.
func parseJSON(data []byte) *yaml.Node {
	r := jsonReader{dec: json.NewDecoder(bytes.NewReader(data)), places: cursor{data: data}}
	r.dec.UseNumber()
	return r.node()
}

type jsonReader struct {
	dec    *json.Decoder
	places cursor
}

// node reads the next value. The recursion is bounded, because json.Valid bounds the depth.
func (r *jsonReader) node() *yaml.Node {
	start := int(r.dec.InputOffset())
	start += len(r.places.data[start:]) - len(bytes.TrimLeft(r.places.data[start:], " \t\r\n,:"))
	n := &yaml.Node{Kind: yaml.ScalarNode}
	n.Line, n.Column = r.places.at(start)
	token, err := r.dec.Token()
	if err != nil {
		panic("JSON that was found valid is not: " + err.Error())
	}
	switch v := token.(type) {
	case json.Delim:
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if v == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		for r.dec.More() {
			n.Content = append(n.Content, r.node()) // of an object: keys and values in turn
		}
		_, _ = r.dec.Token() // the closing delimiter
	case string:
		n.Tag, n.Value = "!!str", v
	case json.Number:
		n.Tag, n.Value = "!!int", v.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case bool:
		n.Tag, n.Value = "!!bool", "false"
		if v {
			n.Value = "true"
		}
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n
}
