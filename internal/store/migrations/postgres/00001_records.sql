-- +goose Up

-- A record is stored whole, as JSON; beside it stand only the columns that a query reads. Times are
-- microseconds since 1970, 0 for none. Text is ordered by its bytes, whatever the database's locale.

CREATE TABLE manager (
    singleton   INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    id          TEXT    NOT NULL,
    incarnation TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL
);

-- Who writes: a row for each time that a manager opened the store. commits counts its commits, in the same
-- transactions, so that it is known of each whether it was.
CREATE TABLE writers (
    number   BIGINT  NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name     TEXT    NOT NULL,
    began_at BIGINT  NOT NULL,
    commits  BIGINT  NOT NULL DEFAULT 0,
    replaced BOOLEAN NOT NULL DEFAULT false
);

CREATE TABLE pools (
    uid    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name   TEXT COLLATE "C" NOT NULL,
    phase  TEXT COLLATE "C" NOT NULL,
    record TEXT NOT NULL
);

CREATE UNIQUE INDEX pools_living ON pools (name) WHERE phase <> 'destroyed';

-- The labels of pools that are not destroyed, to find them by.
CREATE TABLE pool_labels (
    key      TEXT COLLATE "C" NOT NULL,
    value    TEXT COLLATE "C" NOT NULL,
    pool_uid TEXT COLLATE "C" NOT NULL REFERENCES pools (uid),
    PRIMARY KEY (key, value, pool_uid)
);

CREATE INDEX labels_of_pool ON pool_labels (pool_uid);

CREATE TABLE revisions (
    pool_uid TEXT COLLATE "C" NOT NULL REFERENCES pools (uid),
    number   BIGINT NOT NULL,
    record   TEXT   NOT NULL,
    PRIMARY KEY (pool_uid, number)
);

CREATE TABLE workers (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    pool_uid   TEXT COLLATE "C" NOT NULL REFERENCES pools (uid),
    ended      BOOLEAN NOT NULL,
    created_at BIGINT  NOT NULL,
    ended_at   BIGINT  NOT NULL,
    record     TEXT    NOT NULL,
    -- what a slot is found by
    template_hash TEXT COLLATE "C" NOT NULL,
    serving       BOOLEAN NOT NULL,
    slots         BIGINT  NOT NULL,
    -- marks: written by others than the pool's controller, and not part of the record
    leased      BIGINT  NOT NULL DEFAULT 0,
    leases      BIGINT  NOT NULL DEFAULT 0,
    spent       BOOLEAN NOT NULL DEFAULT false,
    cordoned    BOOLEAN NOT NULL DEFAULT false,
    extended_to BIGINT  NOT NULL DEFAULT 0
);

CREATE INDEX workers_living ON workers (pool_uid, created_at, id) WHERE NOT ended;
CREATE INDEX workers_ended ON workers (pool_uid, ended_at, id) WHERE ended;
CREATE INDEX workers_with_room ON workers (pool_uid, template_hash, (slots - leased), id)
    WHERE serving AND NOT cordoned AND NOT spent AND leased < slots;

-- number is the order in which slots were asked for: the queue. ttl is a lease's time to live, in microseconds;
-- selector is what one asks for that names no pool, as JSON.
CREATE TABLE leases (
    number     BIGINT NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id         TEXT COLLATE "C" NOT NULL UNIQUE,
    pool_uid   TEXT COLLATE "C" REFERENCES pools (uid), -- null while it waits for any pool of a selector
    worker_id  TEXT COLLATE "C" REFERENCES workers (id) ON DELETE SET NULL,
    state      TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT NOT NULL,
    record     TEXT   NOT NULL,
    ttl        BIGINT NOT NULL,
    selector   TEXT COLLATE "C" NOT NULL
);

CREATE INDEX leases_waiting ON leases (pool_uid, number) WHERE state = 'waiting';
CREATE INDEX leases_waiting_for_any ON leases (selector, number) WHERE state = 'waiting';
CREATE INDEX leases_held ON leases (pool_uid, number) WHERE state = 'held';
CREATE INDEX leases_of_worker ON leases (worker_id, state);
CREATE INDEX leases_living ON leases (expires_at) WHERE state IN ('waiting', 'held');
CREATE INDEX leases_ended ON leases (ended_at) WHERE state NOT IN ('waiting', 'held');

-- number counts in the order of insertion: clocks step back, and ids of one instant are unordered.
CREATE TABLE operations (
    number   BIGINT NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id       TEXT COLLATE "C" NOT NULL UNIQUE,
    pool_uid TEXT COLLATE "C" NOT NULL REFERENCES pools (uid),
    ended    BOOLEAN NOT NULL,
    record   TEXT    NOT NULL
);

CREATE INDEX operations_of_pool ON operations (pool_uid, number);
CREATE INDEX operations_running ON operations (pool_uid, number) WHERE NOT ended;

-- A log may outlive its pool and may tell of a pool that the store does not know. newest_at is when its newest
-- event happened: no manager's clock starts before that.
CREATE TABLE event_logs (
    pool_uid  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    newest    BIGINT NOT NULL,
    newest_at BIGINT NOT NULL
);

CREATE TABLE events (
    pool_uid TEXT COLLATE "C" NOT NULL REFERENCES event_logs (pool_uid),
    sequence BIGINT NOT NULL,
    record   TEXT   NOT NULL,
    PRIMARY KEY (pool_uid, sequence)
);

CREATE TABLE idempotent_replies (
    author       TEXT COLLATE "C" NOT NULL,
    key          TEXT COLLATE "C" NOT NULL,
    request_hash TEXT   NOT NULL,
    answered     TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (author, key)
);

CREATE INDEX idempotent_replies_by_age ON idempotent_replies (created_at);
