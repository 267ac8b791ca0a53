package cli

import (
	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// printSchema writes the JSON Schema that editors check a pool's file by. It is JSON in every format.
func printSchema(cmd *cobra.Command) error {
	schema, err := pool.JSONSchema()
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(schema)
	return err
}
