-- +goose Up

-- A lease's time to live, in microseconds: one that is over because of a break only is not in the way of others.
ALTER TABLE leases ADD COLUMN ttl INTEGER NOT NULL DEFAULT 0;

-- What a lease asks for that names no pool, as JSON: the oldest of each selector is found without the rest.
ALTER TABLE leases ADD COLUMN selector TEXT NOT NULL DEFAULT '';
UPDATE leases SET selector = coalesce(json_extract(record, '$.selector'), '');
CREATE INDEX leases_waiting_for_any ON leases (selector, number) WHERE state = 'waiting';
