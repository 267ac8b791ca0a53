package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (s *session) poolResize() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use:   "resize NAME|UID SIZE",
		Short: "Change how many workers a pool has",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			size, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil || size < 0 {
				return noSize(args[1])
			}
			m, err := s.connect()
			if err != nil {
				return err
			}
			accepted, err := m.Resize(cmd.Context(), args[0], size, s.change())
			if err != nil {
				return err
			}
			return s.follow(cmd, m, accepted, w)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		var unknown *pflag.NotExistError
		if errors.As(err, &unknown) && strings.Trim(unknown.GetSpecifiedShortnames(), "0123456789") == "" {
			return noSize("-" + unknown.GetSpecifiedShortnames()) // a negative size looks like a flag
		}
		return err
	})
	w.register(cmd)
	return cmd
}

func noSize(word string) error {
	return &usageError{fmt.Errorf("the size is %q; valid: a whole number from 0", word)}
}

func (s *session) poolRestart() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use:   "restart NAME|UID",
		Short: "Replace all workers of a pool, step by step",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			accepted, err := m.Restart(cmd.Context(), args[0], s.change())
			if err != nil {
				return err
			}
			return s.follow(cmd, m, accepted, w)
		},
	}
	w.register(cmd)
	return cmd
}

func (s *session) poolDelete() *cobra.Command {
	var w waiting
	var force bool
	cmd := &cobra.Command{
		Use:   "delete NAME|UID",
		Short: "Drain a pool and destroy it",
		Long:  "Drain a pool's workers and destroy it. Once accepted this is final. With --force the workers are stopped without waiting for their work; that also hurries a deletion that already runs.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			accepted, err := m.Delete(cmd.Context(), args[0], force, s.change())
			if err != nil {
				return err
			}
			return s.follow(cmd, m, accepted, w)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "stop the workers without waiting for their work")
	w.register(cmd)
	return cmd
}
