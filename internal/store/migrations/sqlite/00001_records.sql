-- +goose Up

-- A record is stored whole, as JSON; beside it stand only the columns that a query reads. Times are
-- microseconds since 1970, 0 for none.

CREATE TABLE manager (
    singleton   INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    id          TEXT    NOT NULL,
    incarnation TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE pools (
    uid    TEXT NOT NULL PRIMARY KEY,
    name   TEXT NOT NULL,
    phase  TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX pools_living ON pools (name) WHERE phase <> 'destroyed';

-- The labels of pools that are not destroyed, to find them by.
CREATE TABLE pool_labels (
    key      TEXT NOT NULL,
    value    TEXT NOT NULL,
    pool_uid TEXT NOT NULL REFERENCES pools (uid),
    PRIMARY KEY (key, value, pool_uid)
) STRICT, WITHOUT ROWID;

CREATE INDEX labels_of_pool ON pool_labels (pool_uid);

CREATE TABLE revisions (
    pool_uid TEXT    NOT NULL REFERENCES pools (uid),
    number   INTEGER NOT NULL,
    record   TEXT    NOT NULL,
    PRIMARY KEY (pool_uid, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
    id         TEXT    NOT NULL PRIMARY KEY,
    pool_uid   TEXT    NOT NULL REFERENCES pools (uid),
    ended      INTEGER NOT NULL CHECK (ended IN (0, 1)),
    created_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    record     TEXT    NOT NULL,
    -- what a slot is found by
    template_hash TEXT    NOT NULL,
    serving       INTEGER NOT NULL CHECK (serving IN (0, 1)),
    slots         INTEGER NOT NULL,
    -- marks: written by others than the pool's controller, and not part of the record
    leased      INTEGER NOT NULL DEFAULT 0,
    leases      INTEGER NOT NULL DEFAULT 0,
    cordoned    INTEGER NOT NULL DEFAULT 0 CHECK (cordoned IN (0, 1)),
    extended_to INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX workers_living ON workers (pool_uid, created_at, id) WHERE NOT ended;
CREATE INDEX workers_ended ON workers (pool_uid, ended_at, id) WHERE ended;
CREATE INDEX workers_with_room ON workers (pool_uid, template_hash, (slots - leased), id)
    WHERE serving AND NOT cordoned AND leased < slots;

-- number is the order in which slots were asked for: the queue.
CREATE TABLE leases (
    number     INTEGER NOT NULL PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    pool_uid   TEXT    REFERENCES pools (uid), -- null while it waits for any pool of a selector
    worker_id  TEXT    REFERENCES workers (id) ON DELETE SET NULL,
    state      TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    record     TEXT    NOT NULL
) STRICT;

CREATE INDEX leases_waiting ON leases (pool_uid, number) WHERE state = 'waiting';
CREATE INDEX leases_held ON leases (pool_uid, number) WHERE state = 'held';
CREATE INDEX leases_of_worker ON leases (worker_id, state);
CREATE INDEX leases_living ON leases (expires_at) WHERE state IN ('waiting', 'held');
CREATE INDEX leases_ended ON leases (ended_at) WHERE state NOT IN ('waiting', 'held');

-- number counts in the order of insertion: clocks step back, and ids of one instant are unordered.
CREATE TABLE operations (
    number   INTEGER NOT NULL PRIMARY KEY,
    id       TEXT    NOT NULL UNIQUE,
    pool_uid TEXT    NOT NULL REFERENCES pools (uid),
    ended    INTEGER NOT NULL CHECK (ended IN (0, 1)),
    record   TEXT    NOT NULL
) STRICT;

CREATE INDEX operations_of_pool ON operations (pool_uid, number);
CREATE INDEX operations_running ON operations (pool_uid, number) WHERE NOT ended;

-- A log may outlive its pool and may tell of a pool that the store does not know.
CREATE TABLE event_logs (
    pool_uid TEXT    NOT NULL PRIMARY KEY,
    newest   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    pool_uid TEXT    NOT NULL REFERENCES event_logs (pool_uid),
    sequence INTEGER NOT NULL,
    record   TEXT    NOT NULL,
    PRIMARY KEY (pool_uid, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotent_replies (
    author       TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    request_hash TEXT    NOT NULL,
    answered     TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (author, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotent_replies_by_age ON idempotent_replies (created_at);
