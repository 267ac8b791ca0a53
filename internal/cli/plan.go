package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func (s *session) poolPlan() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "plan [NAME|UID] -f FILE",
		Short: "Say what an apply of a file would do, and do nothing",
		Long:  "Say what an apply of a YAML or JSON file would do to the pool that it declares: which fields change and how, which workers go in which order, and how long that takes if whoever is busy stays so. With the name of a pool, the file is a patch of it, as for pool patch.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := readDocument(cmd, path)
			if err != nil {
				return err
			}
			if _, err := pool.Decode(doc.data); err != nil && len(args) == 0 {
				return doc.located(err)
			}
			m, err := s.connect()
			if err != nil {
				return err
			}
			var plan api.Plan
			if len(args) > 0 {
				plan, err = m.PlanPatch(cmd.Context(), args[0], doc.data)
			} else {
				plan, err = m.Plan(cmd.Context(), doc.data)
			}
			if err != nil {
				return doc.located(err)
			}
			return s.print(cmd, plan, func() *table { return planTable(plan) })
		},
	}
	fileFlag(cmd, &path)
	return cmd
}

func planTable(p api.Plan) *table {
	t := &table{}
	t.add("Action:", p.Action)
	for _, c := range p.Changes {
		t.add("Change:", fmt.Sprintf("%s (%s): %q -> %q", c.Path, c.Change, c.Old, c.New))
	}
	if p.Action == api.PlanReplace || p.Action == api.PlanNone {
		return t
	}
	t.add("Workers:", fmt.Sprintf("starts %d, takes out %d", p.Launches, p.Drains))
	for _, w := range p.Waves {
		t.add("After "+w.After.String()+":", fmt.Sprintf("starts %d, takes out %d", w.Launches, len(w.Drains)))
		for _, v := range w.Drains {
			t.add("  takes out:", because(v.WorkerID, v.Reason))
		}
	}
	if p.WorstTime > 0 || p.Waits == "" {
		t.add("At worst:", p.WorstTime)
	}
	if p.Waits != "" {
		t.add("Then waits:", p.Waits)
	}
	return t
}
