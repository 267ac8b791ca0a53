package server

import (
	"context"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

type makeTokenInput struct{ Body api.TokenRequest }

type newTokenOutput struct{ Body api.NewToken }

func (s *Server) makeToken(ctx context.Context, in *makeTokenInput) (*newTokenOutput, error) {
	made, err := s.config.Manager.MakeToken(ctx, in.Body)
	if err == nil {
		s.config.Logger.Info("a token was made", "id", made.ID, "name", made.Name, "role", string(made.Role),
			"labels", made.Labels.String(), "expires", made.ExpiresAt.Format(time.RFC3339), "author", made.Author)
	}
	return &newTokenOutput{made}, s.answer(err)
}

type listTokensInput struct {
	Ended bool `query:"ended" doc:"Whether those are listed too that have ended in the last 30 days"`
}

type tokensOutput struct{ Body api.TokenList }

func (s *Server) listTokens(ctx context.Context, in *listTokensInput) (*tokensOutput, error) {
	tokens, err := s.config.Manager.Tokens(ctx, in.Ended)
	return &tokensOutput{api.TokenList{Tokens: append([]api.Token{}, tokens...)}}, s.answer(err)
}

// TokenRef is the path parameter of a token.
type TokenRef struct {
	Token string `path:"token" maxLength:"100" doc:"Id of the token"`
}

type tokenOutput struct{ Body api.Token }

func (s *Server) revokeToken(ctx context.Context, in *TokenRef) (*tokenOutput, error) {
	t, err := s.config.Manager.RevokeToken(ctx, in.Token)
	if err == nil {
		s.config.Logger.Info("a token has ended", "id", t.ID, "name", t.Name, "revoked_by", t.RevokedBy)
	}
	return &tokenOutput{t}, s.answer(err)
}
