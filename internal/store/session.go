package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// dialect is what engines differ in on one connection.
type dialect struct {
	explain  func(error) error   // turns the driver's errors into the package's
	text     func(string) string // a string as the engine can hold it; nil: as it is
	hangUp   func(*sql.Conn)     // ends the connection before it is given back; nil: it is only given back
	patience time.Duration       // how long one statement may take; 0: no bound
}

// session is one connection with the statements that were prepared on it. It serves one caller at a time.
type session struct {
	dialect
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
}

func openSession(ctx context.Context, db *sql.DB, d dialect) (*session, error) {
	s := &session{dialect: d, prepared: map[string]*sql.Stmt{}}
	limited, cancel := s.limit(ctx)
	defer cancel()
	var err error
	if s.conn, err = db.Conn(limited); err != nil {
		return nil, s.explained(ctx, err)
	}
	return s, nil
}

func (s *session) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := s.prepared[query]; ok {
		return stmt, nil
	}
	stmt, err := s.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare a statement: %w", err)
	}
	s.prepared[query] = stmt
	return stmt, nil
}

func (s *session) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	limited, cancel := s.limit(ctx)
	defer cancel()
	stmt, err := s.prepare(limited, query)
	if err != nil {
		return nil, s.explained(ctx, err)
	}
	result, err := stmt.ExecContext(limited, s.arguments(args)...)
	return result, s.explained(ctx, err)
}

// query answers with rows that live as long as ctx, which is the caller's to limit.
func (s *session) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := s.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, s.arguments(args)...)
}

// scan reads the first row of an answer. It errs with ErrNotFound if there is none.
func (s *session) scan(ctx context.Context, query string, args []any, into ...any) error {
	limited, cancel := s.limit(ctx)
	defer cancel()
	stmt, err := s.prepare(limited, query)
	if err != nil {
		return s.explained(ctx, err)
	}
	err = stmt.QueryRowContext(limited, s.arguments(args)...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return s.explained(ctx, err)
}

// limit is the context of one statement.
func (s *session) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.patience <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.patience)
}

func (s *session) arguments(args []any) []any {
	if s.text == nil {
		return args
	}
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = s.text(text)
		}
	}
	return args
}

// explained leaves what the end of the caller's context has done as it is.
func (s *session) explained(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	return s.explain(err)
}

func (s *session) close() error {
	if s.hangUp != nil {
		s.hangUp(s.conn)
		_ = s.conn.Close() // there is nothing left to be said on it
		return nil
	}
	var errs []error
	for _, stmt := range s.prepared {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, s.conn.Close())...)
}
