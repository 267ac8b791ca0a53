package cli

import (
	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

func (s *session) tokenCreate() *cobra.Command {
	want := api.TokenRequest{}
	var role string
	var labels map[string]string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an access token, which is printed this once",
		Long: "Make an access token for clients over TCP. It is printed this once and kept nowhere. What is done with it has the author token:NAME. " +
			"A viewer reads; an operator also resizes, restarts, steers, drains and leases; an admin also makes, declares and destroys pools and gives out tokens. " +
			"With --label it is for pools that have all these labels, and sees no others.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			want.Name, want.Role, want.Labels = args[0], access.Role(role), labels
			m, err := s.connect()
			if err != nil {
				return err
			}
			made, err := m.MakeToken(cmd.Context(), want)
			if err != nil {
				return err
			}
			return s.print(cmd, made, func() *table {
				t := tokenCard(made.Token)
				t.add("Token:", made.Secret)
				return t
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", string(access.Viewer), "what it may do: "+access.RoleNames())
	cmd.Flags().StringToStringVar(&labels, "label", nil, "label that its pools have, like team=core; again for more")
	cmd.Flags().StringVar(&want.TTL, "ttl", "24h", "how long it lives, at most 2160h (90 days)")
	return cmd
}

func (s *session) tokenList() *cobra.Command {
	var ended bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List access tokens from the one that was made last",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			tokens, err := m.Tokens(cmd.Context(), ended)
			if err != nil {
				return err
			}
			return s.print(cmd, api.TokenList{Tokens: tokens}, func() *table {
				t := &table{header: []string{"ID", "NAME", "ROLE", "LABELS", "AUTHOR", "CREATED", "EXPIRES", "REVOKED"}}
				for _, one := range tokens {
					t.add(one.ID, one.Name, one.Role, one.Labels, one.Author, one.CreatedAt, one.ExpiresAt, one.RevokedAt)
				}
				return t
			})
		},
	}
	cmd.Flags().BoolVar(&ended, "ended", false, "also those that have ended in the last 30 days")
	return cmd
}

func (s *session) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End an access token now",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := s.connect()
			if err != nil {
				return err
			}
			ended, err := m.RevokeToken(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(cmd, ended, func() *table { return tokenCard(ended) })
		},
	}
}

func tokenCard(one api.Token) *table {
	t := &table{}
	t.add("ID:", one.ID)
	t.add("Name:", one.Name)
	t.add("Role:", one.Role)
	t.add("Labels:", one.Labels)
	t.add("Author:", one.Author)
	t.add("Expires:", one.ExpiresAt)
	if !one.RevokedAt.IsZero() {
		t.add("Revoked:", because(cell(one.RevokedAt), one.RevokedBy))
	}
	return t
}
