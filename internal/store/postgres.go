package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

const (
	// A store has a schema of its own in its database, unless the URL names another by its search_path.
	postgresSchema = "poolkeeper"

	currentSchema = `SELECT coalesce(current_schema(), ''), current_setting('server_encoding')`
	// Two who make the same schema at once would meet an error that says nothing.
	awaitSchema  = `SELECT pg_advisory_xact_lock(1886089330, 0)`
	createSchema = `CREATE SCHEMA IF NOT EXISTS poolkeeper`

	// What every connection is set to: a commit that has returned is on disk, nobody waits for a lock for longer
	// than lockPatience, and the server notices within half a minute that a client's machine is gone.
	setSession = `SELECT set_config('search_path', $1, false), set_config('lock_timeout', $2, false),
		set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
		set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
		set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '25000', false)`

	beginSnapshot = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`
)

const (
	// statementPatience is how long an answer may take: a server that takes longer is as good as gone.
	statementPatience = 30 * time.Second
	// lockPatience is how long a manager that starts waits for one that ends.
	lockPatience = 2 * time.Second
	// restEvery is how often a connection that nobody uses is looked at: it holds the store for this manager.
	restEvery = 5 * time.Second
	// closePatience is how long closing waits for a server that is gone and was asked to commit.
	closePatience = 5 * time.Second
)

func postgresConfig(location string) (*pgx.ConnConfig, error) {
	if u, err := url.Parse(location); err == nil && ambiguous(u) {
		return nil, invalidLocation(location, errors.New("it has a @ after the host; write %40, and likewise /, ?, # and : in a password"))
	}
	config, err := pgx.ParseConfig(location)
	if err != nil { // which may quote what it could not read
		return nil, invalidLocation(location, errors.New("it cannot be read as the URL of a PostgreSQL database"))
	}
	return config, nil
}

func openPostgresAs(ctx context.Context, location string, config *pgx.ConnConfig) (Store, error) {
	s, err := openPostgres(ctx, config, statementPatience)
	if err != nil {
		return nil, fmt.Errorf("open the store %s: %w", Redacted(location), err)
	}
	return s, nil
}

func openPostgres(ctx context.Context, config *pgx.ConnConfig, patience time.Duration) (_ *database, err error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the name of this host: %w", err)
	}
	name := fmt.Sprintf("pid %d on %s", os.Getpid(), host)
	config.ConnectTimeout = min(config.ConnectTimeout, patience)
	db := postgresDatabase(config, name)
	ending, end := context.WithCancel(context.Background())
	idle := time.NewTicker(restEvery)
	d := newDatabase()
	d.hurry = func() { time.AfterFunc(closePatience, end) }
	d.release = func() error {
		idle.Stop()
		end()
		return db.Close()
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	open := func(ctx context.Context) (*session, error) { return openSession(ctx, db, postgresDialect(patience)) }
	session, err := open(ctx)
	if err != nil {
		return nil, err
	}
	w := &postgresWriter{session: session, open: open, ending: ending}
	defer func() {
		if err != nil {
			w.drop()
		}
	}()
	if err := ensureSchema(ctx, session.conn); err != nil {
		return nil, explainPostgres(err)
	}
	// Whoever holds the store migrates it alone.
	if err := w.hold(ctx, session); err != nil {
		return nil, err
	}
	migrations, err := fs.Sub(postgresMigrations, "migrations/postgres")
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, db, goose.DialectPostgres, migrations); err != nil {
		return nil, explainPostgres(err)
	}
	if d.identity, err = identify(ctx, session.conn, explainPostgres); err != nil {
		return nil, err
	}
	if err := w.register(ctx, name); err != nil {
		return nil, err
	}
	d.views = newViews(open, beginSnapshot, &d.decoded)
	d.commits = startCommitter(w, &d.decoded, idle.C)
	return d, nil
}

// postgresDatabase returns a database whose connections are all set alike. It keeps none by itself: what is
// given back is closed.
func postgresDatabase(config *pgx.ConnConfig, name string) *sql.DB {
	searchPath, given := config.RuntimeParams["search_path"]
	if !given {
		searchPath = postgresSchema
	}
	config.RuntimeParams["application_name"] = "poolkeeper, " + name
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, setSession, pgx.QueryExecModeExec, searchPath, lockPatience.String())
		return err
	}))
	db.SetMaxIdleConns(-1)
	return db
}

func postgresDialect(patience time.Duration) dialect {
	return dialect{explain: explainPostgres, text: postgresText, hangUp: hangUp, patience: patience}
}

// hangUp ends a connection: its statements need not be given back one by one, nor a lost one be told of anything.
func hangUp(conn *sql.Conn) {
	_ = conn.Raw(func(c any) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.(*stdlib.Conn).Conn().Close(ctx)
		return driver.ErrBadConn
	})
}

// ensureSchema makes the store's own schema, and refuses a database that cannot hold all text.
func ensureSchema(ctx context.Context, conn *sql.Conn) error {
	var schema, encoding string
	if err := conn.QueryRowContext(ctx, currentSchema).Scan(&schema, &encoding); err != nil {
		return err
	}
	switch {
	case encoding != "UTF8":
		return fmt.Errorf("the database has the encoding %s: make one with ENCODING 'UTF8'", encoding)
	case schema != "":
		return nil
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, statement := range []string{awaitSchema, createSchema} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return errors.Join(fmt.Errorf("make the schema %s: %w", postgresSchema, err), tx.Rollback())
		}
	}
	return tx.Commit()
}
