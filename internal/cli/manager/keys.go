package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/seal"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// keysVariable holds the keys themselves, where a file of them is not wanted.
const keysVariable = "POOLKEEPER_SECRETS_KEY"

// keys are what the pools' secrets are sealed with: those of the environment, of the file that was named, or of the
// data directory's own file. Only that one is made, and only if nothing was ever sealed.
func (m instance) keys(ctx context.Context, records store.Store) (seal.Keyring, error) {
	if text := os.Getenv(keysVariable); text != "" {
		keys, err := seal.Parse(text)
		if err != nil {
			return keys, fmt.Errorf("read the keys of the secrets from %s: %w", keysVariable, err)
		}
		return keys, nil
	}
	own := m.dir.SecretsKey()
	path := own
	if m.keyFile != "" {
		path = m.keyFile
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && path == own {
		data, err = makeKey(ctx, records, own)
	}
	if err != nil {
		return seal.Keyring{}, fmt.Errorf("read the keys of the secrets: %w", err)
	}
	keys, err := seal.Parse(string(data))
	if err != nil {
		return keys, fmt.Errorf("read the keys of the secrets from %s: %w", path, err)
	}
	if stat, err := os.Stat(path); err == nil && stat.Mode().Perm()&0o077 != 0 {
		m.log.Warn("others than the manager's user may read the keys of the secrets", "file", path, "mode", stat.Mode().Perm().String())
	}
	return keys, nil
}

func makeKey(ctx context.Context, records store.Store, path string) ([]byte, error) {
	var sealing []string
	err := records.View(ctx, func(r store.Reader) (err error) {
		sealing, err = r.SecretKeys()
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(sealing) > 0:
		return nil, fmt.Errorf("%s is gone, and the store holds secrets that key %s has sealed: put the file back", path, strings.Join(sealing, ", "))
	}
	key := []byte("# Seals the secrets of the pools; keep a copy. A newer key goes above it.\n" + seal.NewKey() + "\n")
	return key, embedded.ReplaceFile(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(key)
		return err
	})
}
