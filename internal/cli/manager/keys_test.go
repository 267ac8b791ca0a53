package manager

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/seal"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

func TestWhereTheKeysOfTheSecretsAre(t *testing.T) {
	key, other := seal.NewKey(), seal.NewKey()
	for _, c := range []struct {
		name     string
		variable string
		own      string // what the data directory's file holds; empty: it is not there
		given    string // what the named file holds; empty: none is named, "-": it is not there
		sealed   bool   // the store holds secrets
		want     string // the newest key; empty: a new one
		err      string
	}{
		{name: "one is made where none was", want: ""},
		{name: "the one that was made", own: key, sealed: true, want: key},
		{name: "a file that is named", own: other, given: key + "\n" + other, want: key},
		{name: "the environment", variable: key, own: other, given: other, want: key},
		{name: "a named file that is not there is not made", given: "-", err: "given.key: no such file"},
		{name: "one that is lost is not made anew", sealed: true, err: "secrets.key is gone, and the store holds secrets that key k1 has sealed: put the file back"},
		{name: "a file of something else", own: "swordfish", err: "secrets.key: line 1 is no key"},
		{name: "an environment of something else", variable: "swordfish", err: "POOLKEEPER_SECRETS_KEY: line 1 is no key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			records, err := store.OpenSQLite(t.Context(), filepath.Join(dir, "manager.db"))
			require.NoError(t, err)
			defer records.Close()
			if c.sealed {
				require.NoError(t, records.Update(t.Context(), func(w store.Writer) error {
					if err := w.InsertPool(pool.Pool{UID: "p_1", Name: "web"}); err != nil {
						return err
					}
					return w.PutSecret(pool.Secret{PoolUID: "p_1", Version: 1, KeyID: "k1"})
				}))
			}
			m := instance{dir: embedded.DataDir(dir), log: hclog.NewNullLogger()}
			if c.own != "" {
				require.NoError(t, os.WriteFile(m.dir.SecretsKey(), []byte(c.own), 0o600))
			}
			if c.given != "" {
				m.keyFile = filepath.Join(dir, "given.key")
			}
			if c.given != "" && c.given != "-" {
				require.NoError(t, os.WriteFile(m.keyFile, []byte(c.given), 0o600))
			}
			t.Setenv(keysVariable, c.variable)
			keys, err := m.keys(t.Context(), records)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				require.NotContains(t, err.Error(), "swordfish")
				return
			}
			require.NoError(t, err)
			if c.want != "" {
				want, err := seal.Parse(c.want)
				require.NoError(t, err)
				require.Equal(t, want.IDs()[0], keys.IDs()[0])
				return
			}
			stat, err := os.Stat(m.dir.SecretsKey())
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), stat.Mode().Perm())
			again, err := m.keys(t.Context(), records)
			require.NoError(t, err)
			require.Equal(t, keys.IDs(), again.IDs(), "it is the same at the next start")
		})
	}
}
