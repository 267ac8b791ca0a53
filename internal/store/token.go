package store

import (
	"fmt"
	"time"
)

// Token is an access token as it is kept: by its hash, from which nobody can tell what its holder shows.
// What its role and its labels allow is not the store's to know.
type Token struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Hash      string            `json:"hash"`
	Role      string            `json:"role"`
	Labels    map[string]string `json:"labels,omitempty"`
	Author    string            `json:"author"`
	CreatedAt time.Time         `json:"created_at"`
	ExpiresAt time.Time         `json:"expires_at"`
	RevokedAt time.Time         `json:"revoked_at,omitzero"`
	RevokedBy string            `json:"revoked_by,omitempty"`
}

// EndsAt is when the token ends, or has ended.
func (t Token) EndsAt() time.Time {
	if t.RevokedAt.IsZero() || t.RevokedAt.After(t.ExpiresAt) {
		return t.ExpiresAt
	}
	return t.RevokedAt
}

const (
	selectToken       = `SELECT record FROM tokens WHERE id = $1`
	selectTokenByHash = `SELECT record FROM tokens WHERE hash = $1`
	selectTokens      = `SELECT record FROM tokens WHERE ends_at > $1 ORDER BY number DESC`
	putToken          = `INSERT INTO tokens (id, hash, ends_at, record) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, ends_at = excluded.ends_at, record = excluded.record`
	pruneTokens = `DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE ends_at < $1 ORDER BY ends_at LIMIT $2)`
)

func (t *transaction) Token(id string) (Token, error) {
	return one(t, Token{}, "token "+id, selectToken, id)
}

func (t *transaction) TokenByHash(hash string) (Token, error) {
	return one(t, Token{}, "the token of a hash", selectTokenByHash, hash)
}

func (t *transaction) Tokens(after time.Time) ([]Token, error) {
	return list(t, Token{}, "the tokens", selectTokens, micros(after))
}

func (t *transaction) PutToken(token Token) error {
	data, err := record(token)
	if err != nil {
		return err
	}
	if _, err := t.exec(putToken, token.ID, token.Hash, micros(token.EndsAt()), data); err != nil {
		return fmt.Errorf("put token %s: %w", token.ID, err)
	}
	return nil
}

func (t *transaction) PruneTokens(before time.Time, limit int) error {
	if _, err := t.exec(pruneTokens, micros(before), bound(limit)); err != nil {
		return fmt.Errorf("prune the tokens: %w", err)
	}
	return nil
}
