package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func (s *session) poolApply() *cobra.Command {
	var path string
	var w waiting
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Create a pool, or change it to what a file declares",
		Long:  "Create the pool that a YAML or JSON file declares, or change it to that. What the file leaves out has its default.",
		Args:  besidesFile(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			doc, err := readDocument(cmd, path)
			if err != nil {
				return err
			}
			spec, err := pool.Decode(doc.data)
			if err != nil {
				return doc.located(err)
			}
			if spec.Name == "" {
				return doc.located(pool.ValidateCreation(spec, nil))
			}
			m, err := s.connect()
			if err != nil {
				return err
			}
			accepted, err := s.put(cmd, m, spec)
			if err != nil {
				return doc.located(err)
			}
			return s.follow(cmd, m, accepted, w)
		},
	}
	fileFlag(cmd, &path)
	w.register(cmd)
	return cmd
}

// put creates the pool, or updates the one that is there. Who comes second at creating, updates.
func (s *session) put(cmd *cobra.Command, m client.Manager, spec pool.Spec) (api.Accepted, error) {
	for first := true; ; first = false {
		view, err := m.Pool(cmd.Context(), spec.Name)
		if err == nil {
			change := s.change()
			change.ETag = api.ETag(view.Pool)
			return m.Update(cmd.Context(), spec, change)
		}
		if !isProblem(err, api.ProblemNotFound) && !errors.Is(err, embedded.ErrNoStore) {
			return api.Accepted{}, err
		}
		accepted, err := m.Create(cmd.Context(), spec, s.change())
		if first && isProblem(err, api.ProblemExists) {
			continue
		}
		return accepted, err
	}
}

func (s *session) poolPatch() *cobra.Command {
	var path string
	var w waiting
	cmd := &cobra.Command{
		Use:   "patch NAME|UID -f FILE",
		Short: "Change some fields of a pool",
		Long:  "Change the fields that a file holds (a JSON merge patch, as YAML or JSON) and leave the others. A null returns a field to its default.",
		Args:  besidesFile(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := readDocument(cmd, path)
			if err != nil {
				return err
			}
			m, err := s.connect()
			if err != nil {
				return err
			}
			accepted, err := m.Patch(cmd.Context(), args[0], doc.data, s.change())
			if err != nil {
				return doc.located(err)
			}
			return s.follow(cmd, m, accepted, w)
		},
	}
	fileFlag(cmd, &path)
	w.register(cmd)
	return cmd
}

func (s *session) validate() *cobra.Command {
	var path string
	var schema bool
	cmd := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Check a pool's file without a manager",
		Args:  besidesFile(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if schema && path != "" {
				return &usageError{errors.New("--schema and --file ask for two things; give one of them")}
			}
			if schema {
				return printSchema(cmd)
			}
			doc, err := readDocument(cmd, path)
			if err != nil {
				return err
			}
			spec, err := pool.Decode(doc.data)
			if err == nil {
				err = pool.ValidateCreation(spec, nil)
			}
			if err != nil {
				return doc.located(err)
			}
			return s.print(cmd, api.Validated{Spec: spec}, func() *table {
				t := &table{}
				t.add(doc.name + " is valid")
				return t
			})
		},
	}
	fileFlag(cmd, &path)
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of a pool's file, for editors")
	return cmd
}
