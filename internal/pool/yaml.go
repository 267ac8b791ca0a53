package pool

import (
	"bytes"
	"encoding/json"

	"go.yaml.in/yaml/v4"
)

// YAML writes a value's JSON as YAML: the same names, the same order.
func YAML(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text.Bytes(), &document); err != nil {
		return nil, err
	}
	block(&document)
	var out bytes.Buffer
	blocks := yaml.NewEncoder(&out)
	blocks.SetIndent(2)
	if err := blocks.Encode(&document); err != nil {
		return nil, err
	}
	return out.Bytes(), blocks.Close()
}

// block forgets that a node was written as JSON. The tags stay, so a text that looks like a number is
// still quoted.
func block(n *yaml.Node) {
	n.Style = 0
	if (n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode) && len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	for _, c := range n.Content {
		block(c)
	}
}
