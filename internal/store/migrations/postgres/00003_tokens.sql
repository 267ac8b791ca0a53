-- +goose Up

-- Access tokens. ends_at is when one ends, or has ended because it was revoked; number is the order in which they
-- were made.
CREATE TABLE tokens (
    number  BIGINT NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id      TEXT COLLATE "C" NOT NULL UNIQUE,
    hash    TEXT COLLATE "C" NOT NULL UNIQUE,
    ends_at BIGINT NOT NULL,
    record  TEXT   NOT NULL
);

CREATE INDEX tokens_by_end ON tokens (ends_at);
