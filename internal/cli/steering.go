package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// steer is a command that changes how a pool goes on.
func (s *session) steer(use, short string, call func(client.Manager, context.Context, string, client.Change) (pool.View, error)) *cobra.Command {
	return &cobra.Command{
		Use:   use + " NAME|UID",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			v, err := call(m, cmd.Context(), args[0], s.change())
			if err != nil {
				return err
			}
			return s.print(cmd, v, func() *table { return poolTable(v) })
		},
	}
}

func (s *session) poolPause() *cobra.Command {
	return s.steer("pause", "Stop everything that is done with a pool's workers but their leases", client.Manager.Pause)
}

func (s *session) poolResume() *cobra.Command {
	return s.steer("resume", "Go on with a paused pool, or a rollout that waits after its failure", client.Manager.Resume)
}

func (s *session) rolloutPromote() *cobra.Command {
	return s.steer("promote", "Have the rest of a rollout follow its canary", client.Manager.Promote)
}

func (s *session) rolloutAbort() *cobra.Command {
	return s.steer("abort", "End a rollout: the pool returns to its last good revision", client.Manager.Abort)
}

func (s *session) rolloutRevert() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use:   "revert NAME|UID REVISION",
		Short: "Give a pool the template and contract of one of its revisions",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			revision, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil || revision < 1 {
				return &usageError{fmt.Errorf("the revision is %q; valid: a number out of 'poolkeeper pool revisions'", args[1])}
			}
			m, err := s.connect()
			if err != nil {
				return err
			}
			accepted, err := m.Revert(cmd.Context(), args[0], revision, s.change())
			if err != nil {
				return err
			}
			return s.follow(cmd, m, accepted, w)
		},
	}
	w.register(cmd)
	return cmd
}

// steerWorker is a command that changes how a worker goes on.
func (s *session) steerWorker(use, short string, call func(client.Manager, context.Context, string, string, client.Change) (pool.Worker, error)) *cobra.Command {
	return &cobra.Command{
		Use:   use + " POOL WORKER",
		Short: short,
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			w, err := call(m, cmd.Context(), args[0], args[1], s.change())
			if err != nil {
				return err
			}
			return s.print(cmd, w, func() *table { return workerTable(w) })
		},
	}
}

func (s *session) workerCordon() *cobra.Command {
	return s.steerWorker("cordon", "Keep a worker from getting new leases", client.Manager.Cordon)
}

func (s *session) workerUncordon() *cobra.Command {
	return s.steerWorker("uncordon", "Let a worker get leases again", client.Manager.Uncordon)
}

func (s *session) workerExtend() *cobra.Command {
	var by time.Duration
	cmd := s.steerWorker("extend", "Give a draining worker more time", func(m client.Manager, ctx context.Context, name, workerID string, c client.Change) (pool.Worker, error) {
		if by <= 0 {
			return pool.Worker{}, &usageError{errors.New("--by says how much longer, like 10m")}
		}
		return m.ExtendDrain(ctx, name, workerID, by, c)
	})
	cmd.Flags().DurationVar(&by, "by", 0, "how much longer, like 10m")
	return cmd
}

func (s *session) workerDrain() *cobra.Command {
	var w waiting
	var shrink bool
	cmd := &cobra.Command{
		Use:   "drain POOL WORKER",
		Short: "Replace a worker: its successor first, then it drains",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			accepted, err := m.DrainWorker(cmd.Context(), args[0], args[1], !shrink, s.change())
			if err != nil {
				return err
			}
			return s.follow(cmd, m, accepted, w)
		},
	}
	cmd.Flags().BoolVar(&shrink, "shrink", false, "replace it by nobody: the pool gets smaller by one")
	w.register(cmd)
	return cmd
}

func (s *session) registry() *cobra.Command {
	watch := false
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "List the workers that serve, pool by pool, as schedulers see them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			show := func(r api.Registry) error {
				return s.print(cmd, r, func() *table { return registryTable(r) })
			}
			if watch {
				return m.WatchRegistry(cmd.Context(), show)
			}
			r, err := m.Registry(cmd.Context())
			if err != nil {
				return err
			}
			return show(r)
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it again whenever it changes, until interrupted")
	return cmd
}

func registryTable(r api.Registry) *table {
	t := &table{header: []string{"POOL", "WORKER", "HOST", "PORTS", "LEASED", "SLOTS"}}
	for _, p := range r.Pools {
		for _, e := range p.Endpoints {
			t.add(p.Name, e.WorkerID, p.Host, ports(e.Ports), e.Leased, e.Slots)
		}
	}
	return t
}
