-- +goose Up

-- Access tokens. ends_at is when one ends, or has ended because it was revoked; number is the order in which they
-- were made.
CREATE TABLE tokens (
    number  INTEGER NOT NULL PRIMARY KEY,
    id      TEXT    NOT NULL UNIQUE,
    hash    TEXT    NOT NULL UNIQUE,
    ends_at INTEGER NOT NULL,
    record  TEXT    NOT NULL
) STRICT;

CREATE INDEX tokens_by_end ON tokens (ends_at);
