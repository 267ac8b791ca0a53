package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

func token(id string, expiresAt time.Time) store.Token {
	return store.Token{ID: id, Name: "ci", Hash: "hash of " + id, Role: "viewer", Author: "token", CreatedAt: noon, ExpiresAt: expiresAt}
}

func ids(tokens []store.Token) (ids []string) {
	for _, t := range tokens {
		ids = append(ids, t.ID)
	}
	return ids
}

var tokenCases = []testCase{
	{"a token comes back as it was put in, by its id and by its hash", func(t *testing.T, s store.Store) {
		put := full[store.Token](t)
		update(t, s, func(w store.Writer) error { return w.PutToken(put) })
		view(t, s, func(r store.Reader) error {
			byID, err := r.Token(put.ID)
			require.NoError(t, err)
			require.Equal(t, stored(put), byID)
			byHash, err := r.TokenByHash(put.Hash)
			require.NoError(t, err)
			require.Equal(t, stored(put), byHash)
			_, err = r.Token(put.Hash)
			require.ErrorIs(t, err, store.ErrNotFound)
			_, err = r.TokenByHash(put.ID)
			require.ErrorIs(t, err, store.ErrNotFound)
			return nil
		})
	}},
	{"tokens are listed from the one that was made last, by when they end", func(t *testing.T, s store.Store) {
		revoked := token("t4", noon.Add(9*time.Hour))
		revoked.RevokedAt = noon.Add(time.Minute)
		update(t, s, func(w store.Writer) error {
			for _, one := range []store.Token{token("t2", noon.Add(time.Hour)), token("t1", noon.Add(3*time.Hour)), token("t3", noon.Add(2*time.Hour)), revoked} {
				if err := w.PutToken(one); err != nil {
					return err
				}
			}
			return w.PutToken(token("t2", noon.Add(time.Hour))) // once more is not later
		})
		view(t, s, func(r store.Reader) error {
			for _, c := range []struct {
				after time.Time
				want  []string
			}{
				{time.Time{}, []string{"t4", "t3", "t1", "t2"}},
				{noon, []string{"t4", "t3", "t1", "t2"}},
				{noon.Add(time.Minute), []string{"t3", "t1", "t2"}},
				{noon.Add(time.Hour), []string{"t3", "t1"}},
				{noon.Add(3 * time.Hour), nil},
			} {
				got, err := r.Tokens(c.after)
				require.NoError(t, err)
				require.Equal(t, c.want, ids(got), "after %s", c.after)
			}
			return nil
		})
	}},
	{"a token that is revoked late ends when it expires", func(t *testing.T, s store.Store) {
		late := token("t1", noon.Add(time.Hour))
		late.RevokedAt = noon.Add(2 * time.Hour)
		update(t, s, func(w store.Writer) error { return w.PutToken(late) })
		view(t, s, func(r store.Reader) error {
			got, err := r.Tokens(noon.Add(time.Hour))
			require.Empty(t, got)
			return err
		})
	}},
	{"no two tokens have one hash", func(t *testing.T, s store.Store) {
		update(t, s, func(w store.Writer) error { return w.PutToken(token("t1", noon)) })
		other := token("t2", noon)
		other.Hash = token("t1", noon).Hash
		require.Error(t, s.Update(t.Context(), func(w store.Writer) error { return w.PutToken(other) }))
	}},
	{"tokens that ended long ago are pruned, the oldest first", func(t *testing.T, s store.Store) {
		update(t, s, func(w store.Writer) error {
			for i, id := range []string{"t3", "t2", "t1"} {
				if err := w.PutToken(token(id, noon.Add(time.Duration(3-i)*time.Hour))); err != nil {
					return err
				}
			}
			return w.PruneTokens(noon.Add(3*time.Hour), 1)
		})
		left := func(want ...string) {
			view(t, s, func(r store.Reader) error {
				got, err := r.Tokens(time.Time{})
				require.Equal(t, want, ids(got))
				return err
			})
		}
		left("t2", "t3")
		update(t, s, func(w store.Writer) error { return w.PruneTokens(noon.Add(3*time.Hour), 0) })
		left("t3")
	}},
}
