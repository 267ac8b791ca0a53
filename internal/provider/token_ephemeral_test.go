package provider

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const tokenType = "poolkeeper_token"

func (tf *core) tokenType() tftypes.Type {
	return tf.schema.EphemeralResourceSchemas[tokenType].ValueType()
}

// openToken opens a token as Terraform does.
func (tf *core) openToken(config object) (result tftypes.Value, resp *tfprotov6.OpenEphemeralResourceResponse) {
	tf.t.Helper()
	resp, err := tf.server.OpenEphemeralResource(tf.t.Context(), &tfprotov6.OpenEphemeralResourceRequest{
		TypeName: tokenType, Config: tf.dynamic(tf.tokenType(), value(tf.t, tf.tokenType(), config)),
	})
	require.NoError(tf.t, err)
	if resp.Result != nil && firstError(resp.Diagnostics) == nil {
		result, err = resp.Result.Unmarshal(tf.tokenType())
		require.NoError(tf.t, err)
	}
	return result, resp
}

func (tf *core) closeToken(ctx context.Context, private []byte) []*tfprotov6.Diagnostic {
	tf.t.Helper()
	resp, err := tf.server.CloseEphemeralResource(ctx, &tfprotov6.CloseEphemeralResourceRequest{TypeName: tokenType, Private: private})
	require.NoError(tf.t, err)
	return resp.Diagnostics
}

// tokenMaker is a manager that makes tokens and nothing else.
type tokenMaker struct {
	unasked
	made    []api.TokenRequest
	revoked []string
	refuse  error
}

func (m *tokenMaker) MakeToken(_ context.Context, want api.TokenRequest) (api.NewToken, error) {
	m.made = append(m.made, want)
	return api.NewToken{
		Token:  api.Token{ID: fmt.Sprintf("tok_%d", len(m.made)), Name: want.Name, ExpiresAt: time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)},
		Secret: "pkt_secret",
	}, m.refuse
}

func (m *tokenMaker) RevokeToken(ctx context.Context, id string) (api.Token, error) {
	m.revoked = append(m.revoked, id)
	return api.Token{}, errors.Join(ctx.Err(), m.refuse)
}

func TestATokenIsMadeWhenItIsOpenedAndRevokedWhenItIsClosed(t *testing.T) {
	maker := &tokenMaker{}
	tf := newTerraform(t, maker)
	result, opened := tf.openToken(object{"name": "ci", "labels": object{"team": "core"}})
	require.Empty(t, summaries(opened.Diagnostics))
	require.Equal(t, []api.TokenRequest{{Name: "ci", Role: "viewer", Labels: map[string]string{"team": "core"}, TTL: "1h"}}, maker.made)
	for name, want := range map[string]string{
		"name": "ci", "role": "viewer", "ttl": "1h", "token": "pkt_secret", "id": "tok_1", "expires_at": "2026-05-06T12:00:00Z",
	} {
		require.Equal(t, want, textAt(result, name), name)
	}
	require.Zero(t, opened.RenewAt, "it is not extended")
	require.NotContains(t, string(opened.Private), "pkt_secret")

	stopped, stop := context.WithCancel(t.Context())
	stop()
	require.Empty(t, summaries(tf.closeToken(stopped, opened.Private)), "although Terraform was told to stop")
	require.Equal(t, []string{"tok_1"}, maker.revoked)
}

func TestATokenThatIsNotRevokedIsAWarningThatSaysWhatToDo(t *testing.T) {
	maker := &tokenMaker{}
	tf := newTerraform(t, maker)
	_, opened := tf.openToken(object{"name": "ci"})
	maker.refuse = client.ErrUnreachable
	diagnostics := tf.closeToken(t.Context(), opened.Private)
	require.NoError(t, firstError(diagnostics))
	require.Len(t, diagnostics, 1)
	require.Contains(t, diagnostics[0].Detail, "It is good until 2026-05-06T12:00:00Z unless it is revoked before: poolkeeper token revoke tok_1")
	maker.refuse = problem(api.ProblemNotFound, 404, "there is no token")
	require.Empty(t, summaries(tf.closeToken(t.Context(), opened.Private)))
}

func TestWhatIsWrongWithATokenIsToldAtItsAttribute(t *testing.T) {
	at := func(d *tfprotov6.Diagnostic) string { return d.Attribute.String() + ": " + d.Detail }
	for name, row := range map[string]struct {
		config   object
		expected []string
	}{
		"a role":                                 {object{"name": "ci", "role": "root"}, []string{`AttributeName("role"): role: is no role (got "root"); valid: viewer, operator, admin`}},
		"a time":                                 {object{"name": "ci", "ttl": "0s"}, []string{`AttributeName("ttl"): ttl: is no time that a token may live (got "0s"); valid: a duration like "1h", from 1s to 2160h`}},
		"a name":                                 {object{"name": "a b"}, []string{`AttributeName("name"): name: is no name (got "a b"); valid: 1 to 63 of a-z, A-Z, 0-9, '.', '_' and '-', starting and ending with a letter or digit`}},
		"what is not known yet is nothing wrong": {object{"name": unknown, "role": unknown, "ttl": unknown, "labels": unknown}, nil},
		"nothing":                                {object{"name": "ci", "labels": object{"team": unknown}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tf := newTerraform(t, &tokenMaker{})
			resp, err := tf.server.ValidateEphemeralResourceConfig(t.Context(), &tfprotov6.ValidateEphemeralResourceConfigRequest{
				TypeName: tokenType, Config: tf.dynamic(tf.tokenType(), value(t, tf.tokenType(), row.config)),
			})
			require.NoError(t, err)
			var got []string
			for _, d := range resp.Diagnostics {
				got = append(got, at(d))
			}
			require.Equal(t, row.expected, got)
		})
	}

	refused := problem(api.ProblemForbidden, 403, "token:ci cannot give away what it may not do")
	refused.Errors = pool.Faults{{Path: "role", Value: `"admin"`, Reason: "is more than the caller's own", Valid: "viewer at most"}, {Path: `labels["team"]`, Reason: "is missing"}}
	_, opened := newTerraform(t, &tokenMaker{refuse: refused}).openToken(object{"name": "ci", "role": "admin"})
	require.Len(t, opened.Diagnostics, 2)
	require.Equal(t, `AttributeName("role"): role: is more than the caller's own (got "admin"); valid: viewer at most`, at(opened.Diagnostics[0]))
	require.Equal(t, `AttributeName("labels").ElementKeyString("team"): labels["team"]: is missing`, at(opened.Diagnostics[1]))

	_, opened = newTerraform(t, &tokenMaker{refuse: problem(api.ProblemForbidden, 403, "this needs the role admin, and token:ci has the role viewer")}).openToken(object{"name": "ci"})
	require.ErrorContains(t, firstError(opened.Diagnostics), "this needs the role admin")
}

func TestATokenWaitsForAnEndpointThatIsNotKnownYet(t *testing.T) {
	maker := &tokenMaker{}
	tf := configured(t, maker, object{"endpoint": unknown}, noEnvironment())
	_, opened := tf.openToken(object{"name": "ci"})
	require.ErrorContains(t, firstError(opened.Diagnostics), "the provider's endpoint is not known yet")
	require.Empty(t, maker.made)
}
