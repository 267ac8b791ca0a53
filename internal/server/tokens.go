package server

import (
	"context"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

type makeTokenInput struct{ Body api.TokenRequest }

type newTokenOutput struct{ Body api.NewToken }

func (s *Server) makeToken(ctx context.Context, in *makeTokenInput) (*newTokenOutput, error) {
	made, err := s.config.Manager.MakeToken(ctx, in.Body)
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
	return &tokenOutput{t}, s.answer(err)
}
