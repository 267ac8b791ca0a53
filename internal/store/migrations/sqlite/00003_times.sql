-- +goose Up

-- When the newest event of a log happened: no manager's clock starts before that.
ALTER TABLE event_logs ADD COLUMN newest_at INTEGER NOT NULL DEFAULT 0;
