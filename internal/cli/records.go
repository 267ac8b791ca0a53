package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func (s *session) workerList() *cobra.Command {
	return &cobra.Command{
		Use:   "list NAME|UID",
		Short: "List the workers of a pool: the living, then those that ended last",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			workers, err := m.Workers(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(cmd, api.WorkerList{Workers: workers}, func() *table { return workerTable(workers...) })
		},
	}
}

func workerTable(workers ...pool.Worker) *table {
	t := &table{header: []string{"ID", "STATE", "HEALTH", "PID", "PORTS", "LEASED", "REVISION", "STARTED", "REASON"}}
	for _, w := range workers {
		pid, health, leased := "", string(w.Health), fmt.Sprintf("%d/%d", w.Leased, w.Slots)
		if w.Instance.PID != 0 {
			pid = fmt.Sprint(w.Instance.PID)
		}
		if w.State.Ended() {
			health, leased = "", "" // the last ones say nothing any more
		}
		if w.Cordoned {
			leased += ", cordoned"
		}
		reason := w.Reason
		if w.State == pool.WorkerDraining {
			until := w.DrainBy
			if w.ExtendedTo.After(until) {
				until = w.ExtendedTo
			}
			reason = because(reason, "until "+cell(until))
		}
		t.add(w.ID, w.State, health, pid, ports(w.Instance.Ports), leased, w.Revision, w.StartedAt, reason)
	}
	return t
}

func ports(byName map[string]int) string {
	list := make([]string, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, fmt.Sprintf("%s=%d", name, byName[name]))
	}
	return strings.Join(list, ",")
}

func (s *session) workerLogs() *cobra.Command {
	var most int64
	cmd := &cobra.Command{
		Use:   "logs NAME|UID WORKER",
		Short: "Print the end of a worker's log",
		Long:  "Print the end of a worker's log as the worker wrote it: nothing in it is escaped, so a terminal acts on its control characters. With --output json or yaml it is the text \"log\" of an object.",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			log, err := m.Logs(cmd.Context(), args[0], args[1], most)
			if err != nil {
				return err
			}
			if s.flags.output != formats[0] {
				return s.print(cmd, workerLog{string(log)}, nil)
			}
			_, err = cmd.OutOrStdout().Write(log)
			return err
		},
	}
	cmd.Flags().Int64Var(&most, "max-bytes", 64<<10, "print at most so much of its end, in whole lines; a last line that is longer is cut at its beginning")
	return cmd
}

// workerLog is the end of a worker's log where more than text is asked for.
type workerLog struct {
	Log string `json:"log"`
}

func (s *session) operationGet() *cobra.Command {
	return &cobra.Command{
		Use:   "get ID",
		Short: "Show an operation",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			operation, err := m.Operation(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(cmd, operation, func() *table { return operationDetails(operation) })
		},
	}
}

func (s *session) operationWait() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait ID",
		Short: "Wait until an operation, or the one that took over from it, has ended",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			operation, err := m.Operation(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			ended, err := s.await(cmd, m, operation, timeout)
			if err != nil {
				return err
			}
			if err := s.print(cmd, ended, func() *table { return operationDetails(ended) }); err != nil {
				return err
			}
			return outcome(ended)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time, like 5m (0: never)")
	return cmd
}

func operationDetails(o pool.Operation) *table {
	t := &table{}
	t.add("ID:", o.ID)
	t.add("Pool:", because(o.PoolName, o.PoolUID))
	t.add("Kind:", described(o))
	t.add("Phase:", because(string(o.Phase), o.Reason))
	if o.SupersededBy != "" {
		t.add("Superseded by:", o.SupersededBy)
	}
	t.add("Author:", because(o.Author, o.Comment))
	t.add("Created:", o.CreatedAt)
	t.add("Ended:", o.EndedAt)
	return t
}
