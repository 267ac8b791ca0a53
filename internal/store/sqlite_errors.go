package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// explainSQLite gives SQLite's error codes the meaning that callers branch on.
func explainSQLite(err error) error {
	var cause *sqlite.Error
	if !errors.As(err, &cause) {
		return err
	}
	if cause.Code() == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY {
		return fmt.Errorf("the pool of the record: %w: %w", ErrNotFound, err)
	}
	switch cause.Code() & 0xff { // the primary code of an extended one
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY:
		return fmt.Errorf("%w: %w", ErrUnwritable, err)
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return err
}

var errDamaged = errors.New("the file is damaged or is no SQLite database: restore a backup, or move it away to begin with an empty store")
