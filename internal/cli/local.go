package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
)

// standing is whether the manager runs and what it says of itself.
type standing struct {
	Running  bool         `json:"running"`
	Endpoint string       `json:"endpoint"`
	Manager  *api.Manager `json:"manager,omitempty"`
}

// present looks for the manager that the flags name and starts none. dir is empty if it has an endpoint.
func (s *session) present(ctx context.Context) (c *client.Client, found standing, dir embedded.DataDir, err error) {
	found.Endpoint = s.flags.endpoint
	if found.Endpoint == "" {
		if dir, err = embedded.Resolve(s.flags.dataDir); err != nil {
			return nil, found, dir, err
		}
		found.Endpoint = dir.Endpoint()
		_, running, err := dir.Running()
		if err != nil || !running {
			return nil, found, dir, err
		}
	}
	if c, err = s.direct(found.Endpoint, -1); err != nil {
		return nil, found, dir, err
	}
	described, err := c.Manager(ctx)
	switch {
	case err == nil:
	case dir != "":
		pid, _, _ := dir.Running()
		return nil, found, dir, fmt.Errorf("a manager (pid %d) lives in data directory %q, but does not answer: %w; its log is %s", pid, dir, err, dir.Log())
	case errors.Is(err, client.ErrUnreachable):
		return nil, found, dir, fmt.Errorf("%w: %w", errNotRunning, err)
	default:
		return nil, found, dir, err
	}
	found.Running, found.Manager = true, &described
	return c, found, dir, nil
}

func (s *session) managerStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show whether the manager runs, and start none",
		Long:  "Show whether the manager runs, and start none. Exits with 3 if it does not.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, found, _, err := s.present(cmd.Context())
			if err != nil {
				return err
			}
			if !found.Running && s.flags.output == formats[0] {
				return fmt.Errorf("%w at %s", errNotRunning, found.Endpoint)
			}
			if err := s.print(cmd, found, func() *table { return managerDetails(*found.Manager) }); err != nil {
				return err
			}
			if !found.Running {
				return fmt.Errorf("%w at %s", errNotRunning, found.Endpoint)
			}
			return nil
		},
	}
}

func managerDetails(m api.Manager) *table {
	t := &table{}
	t.add("Manager:", m.ID)
	t.add("Version:", m.Version)
	t.add("PID:", m.PID)
	t.add("Host:", m.Host)
	t.add("Started:", m.StartedAt)
	t.add("Data directory:", m.DataDir)
	ends := "stays until it is stopped"
	if m.Embedded {
		ends = "ends by itself some time after its last pool is gone"
	}
	t.add("Life:", ends)
	t.add("Pools:", m.Pools)
	t.add("Foreign instances:", len(m.Foreign))
	for _, f := range m.Foreign {
		t.add("", fmt.Sprintf("pid %d, worker %s of pool %s (%s): not in the store, and not touched", f.PID, f.WorkerID, f.PoolName, f.PoolUID))
	}
	return t
}

func (s *session) managerStop() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "End the manager now; its workers go on running",
		Long:  "End the manager now. Its workers go on running, and the next manager of the data directory adopts them; until then none of them is healed or replaced.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, found, dir, err := s.present(cmd.Context())
			if err != nil {
				return err
			}
			if !found.Running {
				fmt.Fprintf(cmd.OutOrStdout(), "No manager runs at %s.\n", found.Endpoint)
				return nil
			}
			// The answer may be lost with the manager; where its lock can be seen, that is what counts.
			err = c.Stop(cmd.Context())
			if err != nil && (dir == "" || !errors.Is(err, client.ErrUnreachable)) {
				return err
			}
			if dir != "" {
				ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
				defer cancel()
				if err := dir.AwaitEnd(ctx); err != nil {
					return err
				}
			}
			left := "It had no pools."
			if n := found.Manager.Pools; n > 0 {
				left = fmt.Sprintf("The workers of its pools (%d) go on running, unwatched; the next manager adopts them.", n)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The manager with pid %d was ended. %s\n", found.Manager.PID, left)
			return nil
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "time that a manager on this machine has to end")
	return cmd
}

func (s *session) showVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			version := map[string]string{"version": s.version, "go": runtime.Version(), "platform": platform}
			return s.print(cmd, version, func() *table {
				t := &table{}
				t.add(s.versionLine())
				return t
			})
		},
	}
}

const platform = runtime.GOOS + "/" + runtime.GOARCH

func (s *session) versionLine() string {
	return fmt.Sprintf("poolkeeper %s (%s, %s)", s.version, runtime.Version(), platform)
}
