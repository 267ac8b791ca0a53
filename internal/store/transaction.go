package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// statements runs SQL on one connection. The SQL is the same for every engine: $1 parameters, ON CONFLICT,
// RETURNING, whole numbers for times, text for JSON. What it finds in columns that are true or false, engines
// may keep as numbers.
type statements interface {
	exec(ctx context.Context, query string, args ...any) (sql.Result, error)
	query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	// limit bounds one statement, with all of its rows.
	limit(ctx context.Context) (context.Context, context.CancelFunc)
	// explained gives a query's failure the meaning that callers branch on.
	explained(ctx context.Context, err error) error
}

var errTransactionOver = errors.New("the transaction is over")

// transaction is Reader and Writer on one open transaction. Its first failed statement dooms it, as in
// PostgreSQL: what follows fails likewise, and nothing of it is kept.
type transaction struct {
	ctx     context.Context // of all its statements, because Reader and Writer take none
	sql     statements
	decoded *decoded
	failed  error
}

// finish makes every later use an error, and says whether a statement failed.
func (t *transaction) finish() error {
	failed := t.failed
	t.failed = errTransactionOver
	return failed
}

func (t *transaction) fail(err error) error {
	t.failed = err
	return err
}

// exec returns how many rows were changed.
func (t *transaction) exec(query string, args ...any) (int64, error) {
	if t.failed != nil {
		return 0, t.failed
	}
	result, err := t.sql.exec(t.ctx, query, args...)
	if err != nil {
		return 0, t.fail(err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, t.fail(err)
	}
	return n, nil
}

// each visits the rows of a query's answer.
func (t *transaction) each(visit func(scan func(...any) error) error, query string, args ...any) error {
	if t.failed != nil {
		return t.failed
	}
	ctx, cancel := t.sql.limit(t.ctx)
	defer cancel()
	rows, err := t.sql.query(ctx, query, args...)
	if err != nil {
		return t.fail(t.sql.explained(t.ctx, err))
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows.Scan); err != nil {
			return t.fail(err)
		}
	}
	if err := rows.Err(); err != nil {
		return t.fail(t.sql.explained(t.ctx, err))
	}
	return nil
}

// scalar scans the only row of a query's answer. It errs with ErrNotFound if there is none.
func (t *transaction) scalar(into any, query string, args ...any) error {
	found := false
	err := t.each(func(scan func(...any) error) error {
		found = true
		return scan(into)
	}, query, args...)
	if err == nil && !found {
		return ErrNotFound
	}
	return err
}

// list decodes the records that a query answers with. Every record starts as blank.
func list[T any](t *transaction, blank T, what, query string, args ...any) ([]T, error) {
	var records []T
	err := t.each(func(scan func(...any) error) error {
		var data sql.RawBytes
		if err := scan(&data); err != nil {
			return err
		}
		record := blank
		if err := json.Unmarshal(data, &record); err != nil {
			return fmt.Errorf("decode a stored record: %w", err)
		}
		records = append(records, record)
		return nil
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return records, nil
}

// one decodes the only record that a query answers with. It errs with ErrNotFound if there is none.
func one[T any](t *transaction, blank T, what, query string, args ...any) (T, error) {
	return only[T](what)(list(t, blank, what, query, args...))
}

// only is the first of the records that were listed. It errs with ErrNotFound if there is none.
func only[T any](what string) func([]T, error) (T, error) {
	return func(records []T, err error) (none T, _ error) {
		switch {
		case err != nil:
			return none, err
		case len(records) == 0:
			return none, fmt.Errorf("%s: %w", what, ErrNotFound)
		}
		return records[0], nil
	}
}

// bound is a limit for SQL: 0 means none.
func bound(limit int) int64 {
	if limit <= 0 {
		return math.MaxInt64
	}
	return int64(limit)
}
