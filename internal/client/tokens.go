package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

// MakeToken carries no idempotency key: what a token is cannot be told twice. If the answer is lost, one is left that
// nobody has, and that ends by itself.
func (c *Client) MakeToken(ctx context.Context, want api.TokenRequest) (api.NewToken, error) {
	doing := fmt.Sprintf("make token %q", want.Name)
	body, err := json.Marshal(want)
	if err != nil {
		return api.NewToken{}, fmt.Errorf("%s: %w", doing, err)
	}
	return call[api.NewToken](ctx, c, doing, document(http.MethodPost, "/v1/tokens", body))
}

func (c *Client) Tokens(ctx context.Context, ended bool) ([]api.Token, error) {
	r := get("/v1/tokens")
	if ended {
		r.query = url.Values{"ended": {"true"}}
	}
	list, err := call[api.TokenList](ctx, c, "list the tokens", r)
	return list.Tokens, err
}

func (c *Client) RevokeToken(ctx context.Context, id string) (api.Token, error) {
	return call[api.Token](ctx, c, fmt.Sprintf("revoke token %q", id), request{method: http.MethodDelete, path: "/v1/tokens/" + url.PathEscape(id)})
}
