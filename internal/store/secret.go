package store

import (
	"fmt"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const (
	selectSecret        = `SELECT record FROM secrets WHERE pool_uid = $1 AND version = $2`
	selectSecrets       = `SELECT record FROM secrets WHERE pool_uid = $1 ORDER BY version`
	selectSecretKeys    = `SELECT DISTINCT key_id FROM secrets ORDER BY key_id`
	selectSecretsSealed = `SELECT record FROM secrets WHERE key_id = $1 ORDER BY pool_uid, version LIMIT $2`
	putSecret           = `INSERT INTO secrets (pool_uid, version, key_id, record) VALUES ($1, $2, $3, $4)
		ON CONFLICT (pool_uid, version) DO UPDATE SET key_id = excluded.key_id, record = excluded.record`
	deleteSecrets = `DELETE FROM secrets WHERE pool_uid = $1`
)

func (t *transaction) Secret(poolUID string, version int64) (pool.Secret, error) {
	return one(t, pool.Secret{}, fmt.Sprintf("version %d of the secrets of pool %s", version, poolUID), selectSecret, poolUID, version)
}

func (t *transaction) Secrets(poolUID string) ([]pool.Secret, error) {
	return list(t, pool.Secret{}, "the secrets of pool "+poolUID, selectSecrets, poolUID)
}

func (t *transaction) SecretKeys() (ids []string, err error) {
	err = t.each(func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, selectSecretKeys)
	if err != nil {
		return nil, fmt.Errorf("read which keys the secrets are sealed with: %w", err)
	}
	return ids, nil
}

func (t *transaction) SecretsSealedBy(keyID string, limit int) ([]pool.Secret, error) {
	return list(t, pool.Secret{}, "the secrets that key "+keyID+" has sealed", selectSecretsSealed, keyID, bound(limit))
}

func (t *transaction) PutSecret(s pool.Secret) error {
	data, err := record(s)
	if err != nil {
		return err
	}
	if _, err := t.exec(putSecret, s.PoolUID, s.Version, s.KeyID, data); err != nil {
		return fmt.Errorf("put version %d of the secrets of pool %s: %w", s.Version, s.PoolUID, err)
	}
	return nil
}

func (t *transaction) DeleteSecrets(poolUID string) error {
	if _, err := t.exec(deleteSecrets, poolUID); err != nil {
		return fmt.Errorf("delete the secrets of pool %s: %w", poolUID, err)
	}
	return nil
}
