package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

func secret(poolUID string, version int64, keyID string) pool.Secret {
	return pool.Secret{PoolUID: poolUID, Version: version, Names: []string{"A", "B"}, KeyID: keyID, Sealed: []byte{0, 255, byte(version)}, CreatedAt: noon.Add(time.Duration(version) * time.Hour)}
}

var secretCases = []testCase{
	{"a secret comes back as it was put in, by its pool and version", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		insertPool(t, s, "u2", "ci")
		first, second, others := secret("u1", 1, "k1"), secret("u1", 2, "k1"), secret("u2", 1, "k2")
		update(t, s, func(w store.Writer) error {
			for _, one := range []pool.Secret{second, first, others} {
				if err := w.PutSecret(one); err != nil {
					return err
				}
			}
			return nil
		})
		view(t, s, func(r store.Reader) error {
			got, err := r.Secret("u1", 2)
			require.Equal(t, stored(second), got)
			require.NoError(t, err)
			all, err := r.Secrets("u1")
			require.Equal(t, []pool.Secret{stored(first), stored(second)}, all)
			require.NoError(t, err)
			_, err = r.Secret("u2", 2)
			require.ErrorIs(t, err, store.ErrNotFound)
			return nil
		})
	}},
	{"a secret can be sealed anew with another key", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		update(t, s, func(w store.Writer) error {
			for version := range int64(3) {
				if err := w.PutSecret(secret("u1", version+1, "k1")); err != nil {
					return err
				}
			}
			return w.PutSecret(secret("u1", 2, "k2"))
		})
		view(t, s, func(r store.Reader) error {
			keys, err := r.SecretKeys()
			require.Equal(t, []string{"k1", "k2"}, keys)
			require.NoError(t, err)
			older, err := r.SecretsSealedBy("k1", 0)
			require.Equal(t, []pool.Secret{stored(secret("u1", 1, "k1")), stored(secret("u1", 3, "k1"))}, older)
			require.NoError(t, err)
			some, err := r.SecretsSealedBy("k1", 1)
			require.Len(t, some, 1)
			return err
		})
	}},
	{"the secrets of one pool are deleted without the others", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		insertPool(t, s, "u2", "ci")
		update(t, s, func(w store.Writer) error {
			for _, uid := range []string{"u1", "u2"} {
				if err := w.PutSecret(secret(uid, 1, "k1")); err != nil {
					return err
				}
			}
			return w.DeleteSecrets("u1")
		})
		view(t, s, func(r store.Reader) error {
			gone, err := r.Secrets("u1")
			require.Empty(t, gone)
			require.NoError(t, err)
			kept, err := r.Secrets("u2")
			require.Len(t, kept, 1)
			return err
		})
	}},
	{"there is no secret without its pool", func(t *testing.T, s store.Store) {
		err := s.Update(t.Context(), func(w store.Writer) error { return w.PutSecret(secret("none", 1, "k1")) })
		require.ErrorIs(t, err, store.ErrNotFound)
	}},
}
