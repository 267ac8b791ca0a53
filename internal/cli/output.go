package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

var formats = []string{"table", "json", "yaml"}

// table is what a person reads; columns are separated by tabs.
type table struct {
	header []string
	rows   [][]string
}

func (t *table) add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = cell(c)
	}
	t.rows = append(t.rows, row)
}

// cell is one value on one line, printable, and never empty, so that columns stay countable.
func cell(v any) string {
	text := fmt.Sprint(v)
	if at, ok := v.(time.Time); ok {
		text = ""
		if !at.IsZero() {
			text = at.UTC().Format(time.RFC3339)
		}
	}
	text = printable(strings.Join(strings.Fields(text), " "))
	if text == "" {
		return "-"
	}
	return text
}

func (t *table) write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows := t.rows
	if t.header != nil {
		rows = append([][]string{t.header}, rows...)
	}
	for _, row := range rows {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// print writes a value as the flags ask for: as it is in the API, or as a table for people.
func (s *session) print(cmd *cobra.Command, value any, people func() *table) error {
	switch s.flags.output {
	case "json":
		return writeJSON(cmd.OutOrStdout(), value)
	case "yaml":
		return writeYAML(cmd.OutOrStdout(), value)
	}
	return people().write(cmd.OutOrStdout())
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func writeYAML(w io.Writer, value any) error {
	document, err := pool.YAML(value)
	if err != nil {
		return err
	}
	_, err = w.Write(document)
	return err
}

// note tells a person how things are going, beside the output.
func note(cmd *cobra.Command, format string, arguments ...any) {
	fmt.Fprintln(cmd.ErrOrStderr(), printable(fmt.Sprintf(format, arguments...)))
}
