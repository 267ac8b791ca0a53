// Package cli is Poolkeeper's command line: every use of the manager's API as a command, and the commands
// that run, look at and end a manager on this machine. It decides nothing about pools; what it prints is
// what the manager answered. Only its package manager knows what a manager is made of.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/cli/manager"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

const about = `Poolkeeper manages pools of workers through their whole life.

The commands reach the manager at --endpoint, or else the one of the data directory on this machine, which
is started when it is needed. A command that changes a pool waits until the change is reached.

Exit codes:
` + exitCodes

// session is what one run of the command line works with.
type session struct {
	version string
	flags   flags
	// connect reaches the manager that the flags name.
	connect func() (client.Manager, error)
	begun   bool // the command line was understood, and a command runs
}

// New is the command line. Run runs it as a program does.
func New(version string) *cobra.Command {
	root, _ := build(version)
	return root
}

func build(version string) (*cobra.Command, *session) {
	s := &session{version: version}
	s.connect = s.reach
	root := &cobra.Command{
		Use:               "poolkeeper",
		Short:             "Manage pools of workers",
		Long:              about,
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return s.begin(cmd) },
	}
	root.SetVersionTemplate(s.versionLine() + "\n")
	s.flags.register(root.PersistentFlags())
	root.AddCommand(
		group("manager", "Run, look at and end the manager",
			manager.Command(version, s.flags.dataDirectory, s.flags.secret), s.managerStatus(), s.managerStop(),
			manager.Install(s.flags.dataDirectory), manager.Uninstall(s.flags.dataDirectory)),
		group("pool", "Look at and change pools",
			s.poolList(), s.poolGet(), s.poolPlan(), s.poolApply(), s.poolPatch(), s.poolResize(), s.poolRestart(), s.poolPause(), s.poolResume(), s.poolDelete(), s.poolRevisions(), s.poolEvents()),
		group("rollout", "Steer the rollouts of pools",
			s.rolloutPromote(), s.rolloutAbort(), s.rolloutRevert()),
		group("worker", "Look at workers",
			s.workerList(), s.workerLogs(), s.workerCordon(), s.workerUncordon(), s.workerDrain(), s.workerExtend()),
		group("lease", "Claim slots of workers, as a scheduler does",
			s.leaseList(), s.leaseAcquire(), s.leaseRenew(), s.leaseRelease()),
		group("token", "Give out access tokens, and end them",
			s.tokenCreate(), s.tokenList(), s.tokenRevoke()),
		group("operation", "Look at and wait for operations",
			s.operationGet(), s.operationWait()),
		s.registry(),
		s.backup(),
		s.restore(),
		s.validate(),
		s.showVersion(),
	)
	return root, s
}

// group is a command that only holds others. Unlike cobra's own, it takes no word that names none of them.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// begin is called once the arguments are known to fit the command.
func (s *session) begin(cmd *cobra.Command) error {
	if err := s.flags.settle(cmd.Flags()); err != nil {
		return err
	}
	s.begun = true
	return nil
}

// Run runs the command line with the process's streams and signals, and returns the exit code.
func Run(version string, arguments []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Whoever asks a second time does not want to wait for a graceful end.
	context.AfterFunc(ctx, stop)
	return run(ctx, version, arguments, nil, os.Stdin, os.Stdout, os.Stderr)
}

// run is Run with everything given; connect, if not nil, stands in for reaching a manager.
func run(ctx context.Context, version string, arguments []string, connect func() (client.Manager, error), in io.Reader, out, errOut io.Writer) int {
	root, s := build(version)
	if connect != nil {
		s.connect = connect
	}
	root.SetArgs(arguments)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteContextC(ctx)
	var usage *usageError
	if err != nil && !s.begun && !errors.As(err, &usage) {
		err = &usageError{err}
	}
	if err != nil {
		fmt.Fprintln(errOut, "Error:", printable(err.Error()))
	}
	if errors.As(err, &usage) {
		fmt.Fprintf(errOut, "Run '%s --help' for what it takes.\n", cmd.CommandPath())
	}
	return exitCode(err)
}
