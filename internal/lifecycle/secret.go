package lifecycle

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/seal"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// The values of a pool's secret environment are in no spec that is recorded or answered: they are sealed beside it,
// by their version, and opened when something is started with them.

// sealedAs says what a sealed environment is, so that no other can be put in its place.
func sealedAs(poolUID string, version int64) string {
	return fmt.Sprintf("secret environment %s/%d", poolUID, version)
}

func openSecret(keys seal.Keyring, s pool.Secret) (values map[string]string, err error) {
	plain, err := keys.Open(s.KeyID, s.Sealed, sealedAs(s.PoolUID, s.Version))
	if err == nil {
		err = json.Unmarshal(plain, &values)
	}
	return values, err
}

func sealSecret(keys seal.Keyring, s pool.Secret, values map[string]string) (pool.Secret, error) {
	plain, err := json.Marshal(values)
	if err != nil {
		return s, err
	}
	s.Names = slices.Sorted(maps.Keys(values))
	s.KeyID, s.Sealed, err = keys.Seal(plain, sealedAs(s.PoolUID, s.Version))
	return s, err
}

// keepSecrets records the secret values that a spec of that version came with. A version stands for the same values
// for good, so those of a known one may be left out, and must not differ.
func (m *Manager) keepSecrets(tx store.Writer, poolUID string, version int64, values map[string]string) error {
	known, err := m.judgeSecrets(tx, poolUID, version, values)
	if err != nil || known || version == 0 {
		return err
	}
	if values == nil {
		return unknownSecrets(tx, poolUID, version)
	}
	s, err := sealSecret(m.config.Keys, pool.Secret{PoolUID: poolUID, Version: version, CreatedAt: m.config.Now()}, values)
	if err != nil {
		return fmt.Errorf("seal the secrets: %w", err)
	}
	return tx.PutSecret(s)
}

// judgeSecrets says whether a version is known, and errs if it stands for other values than those.
func (m *Manager) judgeSecrets(r store.Reader, poolUID string, version int64, values map[string]string) (known bool, err error) {
	s, err := r.Secret(poolUID, version)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil || values == nil:
		return true, err
	}
	before, err := openSecret(m.config.Keys, s)
	if err != nil {
		return true, fmt.Errorf("read the secrets: %w", err)
	}
	if !maps.Equal(before, values) {
		return true, invalid(pool.Faults{{
			Path: "worker.secret_env_version", Value: strconv.FormatInt(version, 10),
			Reason: "stands for other values already", Valid: "a version that was not used yet, with every change of worker.secret_env",
		}})
	}
	return true, nil
}

func unknownSecrets(r store.Reader, poolUID string, version int64) error {
	secrets, err := r.Secrets(poolUID)
	if err != nil {
		return err
	}
	valid := "the values"
	if len(secrets) > 0 {
		var versions []string
		for _, s := range secrets {
			versions = append(versions, strconv.FormatInt(s.Version, 10))
		}
		valid += ", or a version that is known: " + strings.Join(versions, ", ")
	}
	return invalid(pool.Faults{{Path: "worker.secret_env", Reason: fmt.Sprintf("is not there, and version %d is new", version), Valid: valid}})
}

// secretNames are the variables of a pool's secret environment.
func secretNames(r store.Reader, p pool.Pool) ([]string, error) {
	version := p.Spec.Worker.SecretVersion()
	if version == 0 || p.Phase == pool.PhaseDestroyed {
		return nil, nil
	}
	s, err := r.Secret(p.UID, version)
	return s.Names, err
}

// resealBatch is how many secrets are sealed anew in one transaction.
const resealBatch = 100

// keysFit errs unless all that is sealed can be opened.
func keysFit(keys seal.Keyring, sealing []string) error {
	ours := keys.IDs()
	for _, id := range sealing {
		if !slices.Contains(ours, id) {
			return fmt.Errorf("the store holds secrets that key %s has sealed, which is not among the keys of this manager (%s): give it that key beside the newest one", id, cmp.Or(strings.Join(ours, ", "), "none"))
		}
	}
	return nil
}

// renewSeals seals with the newest key what older ones have sealed: they can be taken out of the keyring then.
func (m *Manager) renewSeals(ctx context.Context, sealing []string) error {
	for _, id := range sealing {
		newest := m.config.Keys.IDs()[0]
		if id == newest {
			continue
		}
		if err := m.reseal(ctx, id); err != nil {
			return fmt.Errorf("seal with the newest key what key %s has sealed: %w", id, err)
		}
		m.config.Logger.Info("secrets are sealed with the newest key; the older one is not needed any more", "older", id, "newest", newest)
	}
	return nil
}

func (m *Manager) reseal(ctx context.Context, keyID string) error {
	for more := true; more; {
		err := m.config.Store.Update(ctx, func(tx store.Writer) error {
			secrets, err := tx.SecretsSealedBy(keyID, resealBatch)
			if err != nil {
				return err
			}
			more = len(secrets) == resealBatch
			for _, s := range secrets {
				values, err := openSecret(m.config.Keys, s)
				if err != nil {
					return err
				}
				if s, err = sealSecret(m.config.Keys, s, values); err != nil {
					return err
				}
				if err := tx.PutSecret(s); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// entrusted is a runtime whose instances get the secrets of their pools.
type entrusted struct {
	runtime.Runtime
	store store.Store
	keys  seal.Keyring
}

func (e entrusted) Launch(ctx context.Context, l runtime.Launch) (pool.Instance, error) {
	l, err := e.entrust(ctx, l)
	if err != nil {
		return pool.Instance{}, runtime.LaunchError(l.WorkerID, err)
	}
	return e.Runtime.Launch(ctx, l)
}

func (e entrusted) Exec(ctx context.Context, l runtime.Launch, instance pool.Instance, command pool.Command) (runtime.Executed, error) {
	l, err := e.entrust(ctx, l)
	if err != nil {
		return runtime.Executed{}, err
	}
	return e.Runtime.Exec(ctx, l, instance, command)
}

func (e entrusted) entrust(ctx context.Context, l runtime.Launch) (runtime.Launch, error) {
	version := l.Template.SecretVersion()
	if version == 0 {
		return l, nil
	}
	var s pool.Secret
	err := e.store.View(ctx, func(r store.Reader) (err error) {
		s, err = r.Secret(l.PoolUID, version)
		return err
	})
	if err == nil {
		l.Template.SecretEnv, err = openSecret(e.keys, s)
	}
	if err != nil {
		return l, fmt.Errorf("read its secrets: %w", err)
	}
	return l, nil
}
