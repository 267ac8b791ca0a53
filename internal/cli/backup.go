package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/backup"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
)

func (s *session) backup() *cobra.Command {
	var pools []string
	var events, noSecrets bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write pools, with their histories, to a file",
		Long: "Write the pools as they are at one moment, with their revisions, to a file (- is standard output), while the manager runs. " +
			"Secrets stay encrypted: without the manager's key nobody can read them. Workers and leases are not in it.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			made, err := m.Backup(cmd.Context(), pools, events, !noSecrets)
			if err != nil {
				return err
			}
			if args[0] == "-" {
				_, err := cmd.OutOrStdout().Write(made.File)
				return err
			}
			err = embedded.ReplaceFile(args[0], 0o600, func(w io.Writer) error {
				_, err := w.Write(made.File)
				return err
			})
			if err != nil {
				return fmt.Errorf("write the backup: %w", err)
			}
			note(cmd, "%d pools in %s (%d bytes)", made.Pools, args[0], len(made.File))
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&pools, "pool", nil, "only this pool; may be repeated")
	cmd.Flags().BoolVar(&events, "events", false, "with the event logs")
	cmd.Flags().BoolVar(&noSecrets, "no-secrets", false, "without the secrets; pools that have any cannot be restored from it where they are gone")
	return cmd
}

func (s *session) restore() *cobra.Command {
	var pools []string
	var dryRun bool
	var w waiting
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Bring the pools of a backup back",
		Long: "Bring the pools of a backup back. One that is gone is made again as it was, with its uid and its history, and gets new workers. " +
			"One that lives under the name is changed to the spec that it had, as an apply would. " +
			"Each pool is restored whole or not at all; a file that is cut short, altered or of a newer Poolkeeper is refused before anything is done. " +
			"Instances that run already and that the manager does not know are left alone.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kept, err := readBackup(args[0], pools)
			if err != nil {
				return err
			}
			m, err := s.connect()
			if err != nil {
				return err
			}
			restored, failed := s.restoreEach(cmd, m, kept, dryRun)
			if !dryRun && w.wait && !w.noWait {
				failed = errors.Join(failed, s.awaitRestored(cmd, m, restored, w))
			}
			return errors.Join(failed, s.print(cmd, restored, func() *table { return restoredTable(restored) }))
		},
	}
	cmd.Flags().StringArrayVar(&pools, "pool", nil, "only this pool; may be repeated")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what it would do, and do nothing")
	w.register(cmd)
	return cmd
}

// readBackup reads a whole backup, and the pools of it that are asked for: none named stands for all.
func readBackup(path string, names []string) (kept []backup.Pool, err error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	missing := slices.Clone(names)
	_, err = backup.Read(bytes.NewReader(file), func(p backup.Pool) error {
		if len(names) == 0 || slices.Contains(names, p.Pool.Name) {
			kept = append(kept, p)
		}
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == p.Pool.Name })
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	case len(missing) > 0:
		return nil, fmt.Errorf("%s has no pool %s", path, strings.Join(missing, ", "))
	}
	return kept, nil
}

// restoreEach asks for one pool after the other. One that cannot be restored does not hold up the others.
func (s *session) restoreEach(cmd *cobra.Command, m client.Manager, kept []backup.Pool, dryRun bool) (restored []api.Restored, failed error) {
	restored = []api.Restored{}
	for _, p := range kept {
		done, err := m.Restore(cmd.Context(), p, dryRun, s.change())
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		restored = append(restored, done)
	}
	return restored, failed
}

func (s *session) awaitRestored(cmd *cobra.Command, m client.Manager, restored []api.Restored, w waiting) (failed error) {
	for i := range restored {
		if restored[i].Action == api.PlanNone {
			continue
		}
		ended, err := s.await(cmd, m, *restored[i].Operation, w.timeout)
		if err == nil {
			err = outcome(ended)
		}
		restored[i].Operation = &ended
		failed = errors.Join(failed, err)
	}
	return failed
}

func restoredTable(restored []api.Restored) *table {
	t := &table{header: []string{"NAME", "UID", "ACTION", "OPERATION", "PHASE", "CHANGES"}}
	for _, r := range restored {
		var changes []string
		for _, c := range r.Changes {
			changes = append(changes, c.Path)
		}
		id, phase := "", ""
		if r.Operation != nil {
			id, phase = r.Operation.ID, string(r.Operation.Phase)
		}
		t.add(r.Name, r.UID, r.Action, id, phase, strings.Join(changes, ", "))
	}
	return t
}
