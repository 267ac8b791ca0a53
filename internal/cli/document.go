package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// document is a file that a user wrote.
type document struct {
	name string
	data []byte
}

// fileFlag registers the flag that names a document.
func fileFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "file", "f", "", "file with the document, as YAML or JSON; - is standard input")
}

// besidesFile takes so many words, and says of a file among them how it is named.
func besidesFile(words int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > words {
			return fmt.Errorf("%q is one word too many; name a file with -f: -f %s", args[words], args[words])
		}
		return cobra.ExactArgs(words)(cmd, args)
	}
}

// readDocument reads what -f names.
func readDocument(cmd *cobra.Command, path string) (document, error) {
	var from io.Reader
	switch path {
	case "":
		return document{}, &usageError{errors.New("no document is given; name one with -f, or - for standard input")}
	case "-":
		path, from = "standard input", cmd.InOrStdin()
	default:
		file, err := os.Open(path)
		if err != nil {
			return document{}, err
		}
		defer file.Close()
		from = file
	}
	data, err := io.ReadAll(io.LimitReader(from, api.MaxBody+1))
	if err != nil {
		return document{}, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > api.MaxBody {
		return document{}, fmt.Errorf("%s is too large: a manager takes at most %d bytes", path, api.MaxBody)
	}
	return document{path, data}, nil
}

// faultsError is an invalid document: one line for each fault, as compilers write them.
type faultsError struct {
	name   string
	faults pool.Faults
}

func (e *faultsError) Error() string {
	count := "1 fault"
	if len(e.faults) != 1 {
		count = fmt.Sprintf("%d faults", len(e.faults))
	}
	lines := make([]string, 0, 1+len(e.faults))
	lines = append(lines, fmt.Sprintf("%s is not valid: %s", e.name, count))
	for _, f := range e.faults {
		at := e.name
		if f.Line > 0 {
			at = fmt.Sprintf("%s:%d:%d", e.name, f.Line, f.Column)
			f.Line, f.Column = 0, 0
		}
		lines = append(lines, at+": "+f.String())
	}
	return strings.Join(lines, "\n")
}

// located turns an error about the document into one that shows where in it each fault is. Other errors,
// and a refusal for another reason than the document, stay as they are.
func (d document) located(err error) error {
	var (
		faults  pool.Faults
		problem *client.Problem
	)
	switch {
	case errors.As(err, &faults):
	case errors.As(err, &problem) && len(problem.Errors) > 0:
		faults = problem.Errors
	default:
		return err
	}
	located := make(pool.Faults, len(faults))
	for i, f := range faults {
		if f.Line == 0 {
			f.Line, f.Column = d.position(f.Path)
		}
		located[i] = f
	}
	return &faultsError{d.name, located}
}

// position is where in the document the value at a fault's path is, or the nearest object around it that
// is written there; zeros if there is no document.
func (d document) position(path string) (line, column int) {
	var root yaml.Node
	if yaml.Unmarshal(d.data, &root) != nil || len(root.Content) == 0 {
		return 0, 0
	}
	node := root.Content[0]
	line, column = node.Line, node.Column
	for _, step := range steps(path) {
		key, value := child(node, step)
		if value == nil {
			break
		}
		node, line, column = value, value.Line, value.Column
		if key != nil && value.Kind != yaml.ScalarNode {
			line, column = key.Line, key.Column
		}
	}
	return line, column
}

// steps splits a fault's path: names, [i] for list items and ["key"] for map keys.
func steps(path string) []string {
	var split []string
	for path != "" {
		if rest, ok := strings.CutPrefix(path, "["); ok {
			if quoted, err := strconv.QuotedPrefix(rest); err == nil {
				key, _ := strconv.Unquote(quoted)
				split, path = append(split, key), strings.TrimPrefix(rest[len(quoted):], "]")
				continue
			}
			index, rest, _ := strings.Cut(rest, "]")
			split, path = append(split, index), rest
			continue
		}
		path = strings.TrimPrefix(path, ".")
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		split, path = append(split, path[:end]), path[end:]
	}
	return split
}

// child finds a member of an object, with its key, or an item of a list.
func child(n *yaml.Node, step string) (key, value *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i], n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return nil, n.Content[i]
		}
	}
	return nil, nil
}
