package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func (s *session) poolList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the pools",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			pools, err := m.Pools(cmd.Context())
			if err != nil {
				return err
			}
			return s.print(cmd, api.PoolList{Pools: pools}, func() *table { return poolTable(pools...) })
		},
	}
}

func poolTable(pools ...pool.View) *table {
	t := &table{header: []string{"NAME", "STATE", "HEALTH", "DESIRED", "CURRENT", "READY", "REVISION", "UPDATED"}}
	for _, p := range pools {
		t.add(p.Name, shownState(p), p.Status.Health, p.Status.Desired, p.Status.Current, p.Status.Ready, p.Revision, p.UpdatedAt)
	}
	return t
}

// shownState is a pool's state, and that nothing is done about it while the pool is paused.
func shownState(p pool.View) string {
	if p.Paused {
		return string(p.Status.State) + ", paused"
	}
	return string(p.Status.State)
}

func (s *session) poolGet() *cobra.Command {
	return &cobra.Command{
		Use:   "get NAME|UID",
		Short: "Show a pool; by its uid also one that is destroyed",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			view, err := poolByRef(cmd, m, args[0])
			if err != nil {
				return err
			}
			return s.print(cmd, view, func() *table { return poolDetails(view) })
		},
	}
}

// poolByRef tells a uid from a name by the underscore, which no name has.
func poolByRef(cmd *cobra.Command, m client.Manager, ref string) (pool.View, error) {
	if strings.Contains(ref, "_") {
		return m.PoolByUID(cmd.Context(), ref)
	}
	return m.Pool(cmd.Context(), ref)
}

func poolDetails(p pool.View) *table {
	t := &table{}
	t.add("Name:", p.Name)
	t.add("UID:", p.UID)
	if p.Spec.Description != "" {
		t.add("Description:", p.Spec.Description)
	}
	t.add("State:", because(shownState(p), p.Status.Reason))
	t.add("Health:", because(string(p.Status.Health), strings.Join(p.Status.HealthReasons, "; ")))
	t.add("Workers:", workerCounts(p.Status))
	if a := p.Spec.Autoscaling; a != nil {
		least, most := a.Bounds()
		t.add("Autoscaling:", fmt.Sprintf("from %d to %d workers", least, most))
	}
	t.add("Command:", strings.Join(p.Spec.Worker.Command, " "))
	t.add("Host:", p.Host)
	t.add("Revision:", p.Revision)
	t.add("Generation:", fmt.Sprintf("%d (%d reached)", p.Generation, p.ConvergedGeneration))
	if o := p.Status.Operation; o != nil {
		t.add("Operation:", because(fmt.Sprintf("%s %s %s", o.ID, o.Kind, o.Phase), o.Reason))
	}
	if o := p.Status.Rollout; o != nil {
		t.add("Rollout:", because(fmt.Sprintf("%s %s %s", o.ID, o.Kind, o.Phase), o.Reason))
	}
	t.add("Created:", because(cell(p.CreatedAt), "by "+p.Author))
	t.add("Updated:", p.UpdatedAt)
	return t
}

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + " (" + why + ")"
}

// workerCounts names only the counts that say something.
func workerCounts(s pool.Status) string {
	text := fmt.Sprintf("%d of %d available", s.Available, s.Desired)
	for _, c := range []struct {
		count int
		what  string
	}{
		{s.Old, "old"}, {s.Draining, "draining"}, {s.Unhealthy, "unhealthy"}, {s.Missing, "missing"},
	} {
		if c.count > 0 {
			text += fmt.Sprintf(", %d %s", c.count, c.what)
		}
	}
	return text
}

func (s *session) poolRevisions() *cobra.Command {
	return &cobra.Command{
		Use:   "revisions NAME|UID",
		Short: "List the accepted specs of a pool, from the newest",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			revisions, err := m.Revisions(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(cmd, api.RevisionList{Revisions: revisions}, func() *table {
				t := &table{header: []string{"REVISION", "CREATED", "AUTHOR", "REASON"}}
				for _, r := range revisions {
					t.add(r.Number, r.CreatedAt, r.Author, r.Reason)
				}
				return t
			})
		},
	}
}

func (s *session) poolEvents() *cobra.Command {
	var after int64
	cmd := &cobra.Command{
		Use:   "events NAME|UID",
		Short: "Print the log of a pool",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			log := api.EventList{Events: []pool.Event{}, Next: after}
			for {
				part, err := m.Events(cmd.Context(), args[0], log.Next)
				if err != nil {
					return err
				}
				if len(part.Events) == 0 || part.Next <= log.Next {
					break
				}
				log.Events, log.Next = append(log.Events, part.Events...), part.Next
			}
			return s.print(cmd, log, func() *table {
				t := &table{header: []string{"SEQUENCE", "TIME", "TYPE", "WORKER", "AUTHOR", "MESSAGE"}}
				for _, e := range log.Events {
					t.add(e.Sequence, e.Time, e.Type, e.WorkerID, e.Author, because(e.Message, e.Comment))
				}
				return t
			})
		},
	}
	cmd.Flags().Int64Var(&after, "after", 0, "print only what follows this sequence")
	return cmd
}

// isProblem says that the manager answered with the problem of that name.
func isProblem(err error, name string) bool {
	var problem *client.Problem
	return errors.As(err, &problem) && problem.Name() == name
}
