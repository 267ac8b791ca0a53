package cli

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func (s *session) leaseList() *cobra.Command {
	return &cobra.Command{
		Use:   "list POOL",
		Short: "List the leases of a pool: those that are held, then those that wait",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			leases, err := m.Leases(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(cmd, api.LeaseList{Leases: leases}, func() *table {
				t := &table{header: []string{"ID", "STATE", "WORKER", "HOLDER", "SINCE", "EXPIRES"}}
				for _, l := range leases {
					since := l.CreatedAt
					if l.State == pool.LeaseHeld {
						since = l.GrantedAt
					}
					t.add(l.ID, l.State, l.WorkerID, l.Holder, since, l.ExpiresAt)
				}
				return t
			})
		},
	}
}

func (s *session) leaseAcquire() *cobra.Command {
	var want api.LeaseRequest
	cmd := &cobra.Command{
		Use:   "acquire [POOL]",
		Short: "Claim a slot of a worker, and wait in the queue while none is free",
		Long:  "Claim a slot of a worker of a pool, or of any pool with the labels of --selector. While none is free the claim waits in the queue. The lease must be renewed within its time to live, which the output tells.",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			want.Pool = strings.Join(args, "")
			if (want.Pool == "") == (len(want.Selector) == 0) {
				return &usageError{errors.New("give the pool, or else --selector")}
			}
			m, err := s.connect()
			if err != nil {
				return err
			}
			l, err := m.Acquire(cmd.Context(), want)
			if err != nil {
				return err
			}
			return s.printLease(cmd, l)
		},
	}
	cmd.Flags().StringToStringVar(&want.Selector, "selector", nil, "labels that the pool has to have, like team=core,os=linux")
	cmd.Flags().StringVar(&want.Holder, "holder", "", "who will hold it, for people: a job's or a machine's name")
	return cmd
}

func (s *session) leaseRenew() *cobra.Command {
	return &cobra.Command{
		Use:   "renew ID",
		Short: "Give a lease its whole time to live again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			l, err := m.Renew(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.printLease(cmd, l)
		},
	}
}

func (s *session) leaseRelease() *cobra.Command {
	return &cobra.Command{
		Use:   "release ID",
		Short: "End a lease, or give up the wait for one",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			l, err := m.Release(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.printLease(cmd, api.LeaseView{Lease: l})
		},
	}
}

func (s *session) printLease(cmd *cobra.Command, l api.LeaseView) error {
	return s.print(cmd, l, func() *table {
		t := &table{}
		t.add("ID:", l.ID)
		t.add("State:", because(string(l.State), l.Reason))
		t.add("Pool:", because(l.PoolName, l.PoolUID))
		t.add("Worker:", l.WorkerID)
		if l.Worker != nil {
			t.add("Ports:", ports(l.Worker.Ports))
			t.add("Worker state:", l.Worker.State)
			t.add("Drains until:", l.Worker.DrainBy)
		}
		t.add("Holder:", l.Holder)
		t.add("Time to live:", time.Duration(l.TTL))
		t.add("Expires:", l.ExpiresAt)
		return t
	})
}
