package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// A SQLite file is marked as a store of Poolkeeper ("pkpr").
const (
	applicationID     = 0x706b7072
	markAsApplication = `PRAGMA application_id = 0x706b7072`
)

// OpenSQLite opens the store in the file at path, and makes it if it is not there; its directory must be.
// ErrInUse if another manager has it open, ErrUnwritable if the file cannot be written. A file of a newer
// Poolkeeper, of another program or damaged is refused and left as it is.
func OpenSQLite(ctx context.Context, path string) (Store, error) {
	s, err := openSQLite(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open the store %s: %w", path, err)
	}
	return s, nil
}

func openSQLite(ctx context.Context, path string) (_ *database, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	var reading, writing *sql.DB
	d := newDatabase()
	d.release = func() error {
		var errs []error
		for _, db := range []*sql.DB{reading, writing} { // the writer last: its end empties the log file
			if db != nil {
				errs = append(errs, db.Close())
			}
		}
		return errors.Join(append(errs, lock.Unlock())...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := makePrivate(path); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnwritable, err)
	}
	if reading, err = openDatabase(path, "query_only(1)"); err != nil {
		return nil, err
	}
	if err := inspect(ctx, reading); err != nil {
		return nil, err
	}
	if writing, err = openDatabase(path, "journal_mode(wal)", "synchronous(full)", "journal_size_limit(67108864)"); err != nil {
		return nil, err
	}
	if err := prepareSchema(ctx, writing); err != nil {
		return nil, err
	}
	if d.identity, err = identify(ctx, writing, explainSQLite); err != nil {
		return nil, err
	}
	writer, err := openSession(ctx, writing, sqliteDialect)
	if err != nil {
		return nil, err
	}
	// The log, too, stays the same file as long as a connection is open.
	files, err := lookAtFiles(path, path+"-wal")
	if err != nil {
		return nil, errors.Join(err, writer.close())
	}
	d.views = newViews(func(ctx context.Context) (*session, error) {
		if err := files.inPlace(); err != nil { // it would open others, and make what is missing
			return nil, err
		}
		return openSession(ctx, reading, sqliteDialect)
	}, "BEGIN", &d.decoded)
	d.commits = startCommitter(sqliteWriter{writer, files}, &d.decoded, nil)
	return d, nil
}

var sqliteDialect = dialect{explain: explainSQLite}

// sqliteWriter is the connection that holds SQLite's lock of writers.
type sqliteWriter struct {
	*session
	files files
}

func (w sqliteWriter) begin() error { return w.run("BEGIN IMMEDIATE") }

func (w sqliteWriter) commit() error {
	if err := w.files.inPlace(); err != nil { // what is committed now would be lost
		return err
	}
	return w.run("COMMIT")
}

func (w sqliteWriter) rollback() {
	// Some failures end a transaction by themselves; then there is nothing left to undo.
	_ = w.run("ROLLBACK")
}

func (w sqliteWriter) rest() {}

func (w sqliteWriter) run(query string) error {
	_, err := w.exec(context.Background(), query)
	return err
}

// makePrivate makes the file readable for its owner only; SQLite gives its companions the same mode.
func makePrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Chmod(0o600), file.Close())
}

// openDatabase returns a database whose connections all have the pragmas.
func openDatabase(path string, pragmas ...string) (*sql.DB, error) {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // a drive letter
	}
	name := url.URL{Scheme: "file", Path: slashed, RawQuery: url.Values{
		"_pragma": append([]string{"busy_timeout(5000)", "foreign_keys(1)"}, pragmas...),
	}.Encode()}
	connector, err := sqlite.NewConnector(name.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// inspect refuses a database that is damaged or not ours, without changing it.
func inspect(ctx context.Context, db *sql.DB) error {
	var owner, tables int64
	var check string
	err := cmp.Or(
		db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&owner),
		db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables),
		db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&check),
	)
	switch {
	case err != nil:
		return explainSQLite(err)
	case check != "ok":
		return fmt.Errorf("%w: %s", errDamaged, check)
	case owner != applicationID && (owner != 0 || tables != 0):
		return errors.New("it is a SQLite database of another program: use another path")
	}
	return nil
}

// prepareSchema marks the database as ours and brings its schema up to date.
func prepareSchema(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, markAsApplication); err != nil {
		return explainSQLite(err)
	}
	migrations, err := fs.Sub(sqliteMigrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	return explainSQLite(migrate(ctx, db, goose.DialectSQLite3, migrations))
}
