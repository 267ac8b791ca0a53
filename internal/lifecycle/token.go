package lifecycle

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

const (
	// tokenPrefix begins every token, so that people and scanners for secrets know one when they see it.
	tokenPrefix = "pkt_"
	// tokenAge is how long a token that has ended is remembered.
	tokenAge = 30 * 24 * time.Hour
)

// newToken is what a token's holder shows: 32 random bytes.
func newToken() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // it never fails
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
}

// hashOf is what a token is known by. A slow hash would protect words that people choose from being guessed; nobody
// guesses 32 random bytes, and each request has to be judged. Nor does the time of a look-up by it tell anything:
// nobody can choose what a hash begins with.
func hashOf(token string) string {
	hash := sha256.Sum256([]byte(token))
	return hex.EncodeToString(hash[:])
}

// tokenAuthor is who does what is done with a token of the name.
func tokenAuthor(name string) string { return "token:" + name }

// Authenticate says who shows a token, or refuses it.
func (m *Manager) Authenticate(ctx context.Context, token string) (access.Caller, error) {
	unknown := refuse(api.ProblemUnauthorized, "the token that was shown is not this manager's")
	if !strings.HasPrefix(token, tokenPrefix) {
		return access.Caller{}, unknown
	}
	var known store.Token
	err := m.config.Store.View(ctx, func(r store.Reader) (err error) {
		known, err = r.TokenByHash(hashOf(token))
		return err
	})
	switch now := m.config.Now(); {
	case errors.Is(err, store.ErrNotFound):
		return access.Caller{}, unknown
	case err != nil:
		return access.Caller{}, err
	case !known.RevokedAt.IsZero():
		return access.Caller{}, refuse(api.ProblemUnauthorized, "the token that was shown, %q (%s), was revoked at %s", known.Name, known.ID, known.RevokedAt.Format(time.RFC3339))
	case !now.Before(known.ExpiresAt):
		return access.Caller{}, refuse(api.ProblemUnauthorized, "the token that was shown, %q (%s), has expired at %s", known.Name, known.ID, known.ExpiresAt.Format(time.RFC3339))
	}
	return access.Caller{Author: tokenAuthor(known.Name), Role: access.Role(known.Role), Scope: known.Labels}, nil
}

// MakeToken makes a token and tells it, this once. Nobody makes one that may do more than they may.
func (m *Manager) MakeToken(ctx context.Context, want api.TokenRequest) (api.NewToken, error) {
	by, _ := access.Of(ctx)
	ttl, faults := want.Life()
	if len(faults) > 0 {
		return api.NewToken{}, &Refusal{Problem: api.ProblemInvalidToken, Detail: "there can be no such token", Faults: faults}
	}
	if faults := by.Overreach(want.Role, want.Labels); len(faults) > 0 {
		return api.NewToken{}, &Refusal{Problem: api.ProblemForbidden, Detail: fmt.Sprintf("%s cannot give away what it may not do", by.Author), Faults: faults}
	}
	secret, now := newToken(), m.moment()
	made := store.Token{
		ID: m.config.NewID("tok"), Name: want.Name, Hash: hashOf(secret), Role: string(want.Role), Labels: want.Labels,
		Author: by.Author, CreatedAt: now, ExpiresAt: now.Add(ttl),
	}
	err := m.config.Store.Update(ctx, func(tx store.Writer) error {
		living, err := tx.Tokens(now)
		if err != nil {
			return err
		}
		for _, other := range living {
			if other.Name == made.Name && other.Author != by.Author && by.Author != tokenAuthor(made.Name) {
				return refuse(api.ProblemExists, "token %s has the name %q and is %s's: what is done with both would have the same author", other.ID, other.Name, other.Author)
			}
		}
		return tx.PutToken(made)
	})
	if err != nil {
		return api.NewToken{}, err
	}
	return api.NewToken{Token: shownToken(made), Secret: secret}, nil
}

// Tokens lists the tokens that live, or all that are remembered, from the one that was made last. A caller with a scope
// sees those that are for no more than it.
func (m *Manager) Tokens(ctx context.Context, all bool) (tokens []api.Token, err error) {
	after := m.config.Now()
	if all {
		after = time.Time{}
	}
	err = m.config.Store.View(ctx, func(r store.Reader) error {
		found, err := r.Tokens(after)
		for _, t := range found {
			if scopeOf(ctx).Holds(t.Labels) {
				tokens = append(tokens, shownToken(t))
			}
		}
		return err
	})
	return tokens, err
}

// RevokeToken ends a token. Once more is no error.
func (m *Manager) RevokeToken(ctx context.Context, id string) (api.Token, error) {
	by, _ := access.Of(ctx)
	var t store.Token
	err := m.config.Store.Update(ctx, func(tx store.Writer) (err error) {
		t, err = tx.Token(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && !by.Scope.Holds(t.Labels) {
			return refuse(api.ProblemNotFound, "there is no token %q; those that have ended are remembered for %d days", id, tokenAge/(24*time.Hour))
		}
		now := m.moment()
		if err != nil || !now.Before(t.EndsAt()) {
			return err
		}
		t.RevokedAt, t.RevokedBy = now, by.Author
		return tx.PutToken(t)
	})
	return shownToken(t), err
}

// moment is now as records have it, so that what is answered is what is listed.
func (m *Manager) moment() time.Time { return m.config.Now().UTC().Truncate(time.Microsecond) }

// shownToken is all of a token that is ever told again.
func shownToken(t store.Token) api.Token {
	return api.Token{
		ID: t.ID, Name: t.Name, Role: access.Role(t.Role), Labels: t.Labels, Author: t.Author,
		CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, RevokedAt: t.RevokedAt, RevokedBy: t.RevokedBy,
	}
}
