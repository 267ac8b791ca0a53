-- +goose Up

-- The secret environments of pools, sealed, by their versions. A record tells the names and the key's id.
CREATE TABLE secrets (
    pool_uid TEXT COLLATE "C" NOT NULL REFERENCES pools (uid),
    version  BIGINT NOT NULL,
    key_id   TEXT COLLATE "C" NOT NULL,
    record   TEXT   NOT NULL,
    PRIMARY KEY (pool_uid, version)
);

CREATE INDEX secrets_by_key ON secrets (key_id);
