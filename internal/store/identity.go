package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

const (
	makeIdentity = `INSERT INTO manager (singleton, id, incarnation, created_at) VALUES (1, $1, $2, $3)
		ON CONFLICT (singleton) DO NOTHING`
	selectIdentity = `SELECT id, incarnation FROM manager`
)

// identifier is a database or one connection to it.
type identifier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// identify returns the identity in the database; the first time it makes one.
func identify(ctx context.Context, db identifier, explain func(error) error) (id Identity, err error) {
	made := Identity{"m_" + strings.ToLower(ulid.Make().String()), "i_" + strings.ToLower(ulid.Make().String())}
	_, err = db.ExecContext(ctx, makeIdentity, made.ManagerID, made.Incarnation, micros(time.Now()))
	if err == nil {
		err = db.QueryRowContext(ctx, selectIdentity).Scan(&id.ManagerID, &id.Incarnation)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read the manager's identity: %w", explain(err))
	}
	return id, nil
}
