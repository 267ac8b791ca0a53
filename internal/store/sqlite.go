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
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/oklog/ulid/v2"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// maxViews bounds how many views run at once, each on a connection of its own.
const maxViews = 8

// A SQLite file is marked as a store of Poolkeeper ("pkpr").
const (
	applicationID     = 0x706b7072
	markAsApplication = `PRAGMA application_id = 0x706b7072`
)

// sqliteStore is a Store in one SQLite file. One connection writes, several read.
type sqliteStore struct {
	identity Identity
	lock     *flock.Flock
	files    files
	writing  *sql.DB
	reading  *sql.DB
	commits  *committer
	decoded  decoded
	views    chan *session // one place for each view that may run; nil: its connection is yet to be opened
	close    func() error

	mu       sync.Mutex
	closed   bool
	inFlight sync.WaitGroup
}

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

func openSQLite(ctx context.Context, path string) (_ *sqliteStore, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	s := &sqliteStore{views: make(chan *session, maxViews)}
	s.close = sync.OnceValue(s.shutDown)
	if s.lock, err = lockFile(path + ".lock"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := makePrivate(path); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnwritable, err)
	}
	if s.reading, err = openDatabase(path, "query_only(1)"); err != nil {
		return nil, err
	}
	if err := inspect(ctx, s.reading); err != nil {
		return nil, err
	}
	if s.writing, err = openDatabase(path, "journal_mode(wal)", "synchronous(full)", "journal_size_limit(67108864)"); err != nil {
		return nil, err
	}
	if err := prepareSchema(ctx, s.writing); err != nil {
		return nil, err
	}
	if s.identity, err = identify(ctx, s.writing); err != nil {
		return nil, err
	}
	for range maxViews {
		s.views <- nil
	}
	writer, err := openSession(ctx, s.writing, explainSQLite)
	if err != nil {
		return nil, err
	}
	// The log, too, stays the same file as long as a connection is open.
	if s.files, err = lookAtFiles(path, path+"-wal"); err != nil {
		return nil, errors.Join(err, writer.close())
	}
	s.commits = startCommitter(writer, &s.decoded, s.files.inPlace)
	return s, nil
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

// identify returns the identity in the database; the first time it makes one.
func identify(ctx context.Context, db *sql.DB) (id Identity, err error) {
	made := Identity{"m_" + strings.ToLower(ulid.Make().String()), "i_" + strings.ToLower(ulid.Make().String())}
	_, err = db.ExecContext(ctx, `INSERT INTO manager (singleton, id, incarnation, created_at) VALUES (1, $1, $2, $3)
		ON CONFLICT (singleton) DO NOTHING`, made.ManagerID, made.Incarnation, micros(time.Now()))
	if err == nil {
		err = db.QueryRowContext(ctx, `SELECT id, incarnation FROM manager`).Scan(&id.ManagerID, &id.Incarnation)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read the manager's identity: %w", explainSQLite(err))
	}
	return id, nil
}

func (s *sqliteStore) Identity() Identity { return s.identity }

func (s *sqliteStore) View(ctx context.Context, read func(Reader) error) (err error) {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.inFlight.Done()
	var reader *session
	select {
	case reader = <-s.views:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.views <- reader }()
	if reader == nil {
		if err := s.files.inPlace(); err != nil { // it would open others, and make what is missing
			return fmt.Errorf("open a connection: %w", err)
		}
		if reader, err = openSession(ctx, s.reading, explainSQLite); err != nil {
			return fmt.Errorf("open a connection: %w", err)
		}
	}
	if _, err := reader.exec(context.WithoutCancel(ctx), "BEGIN"); err != nil {
		return fmt.Errorf("begin a view: %w", err)
	}
	tx := &transaction{ctx: ctx, sql: reader, decoded: &s.decoded}
	defer func() {
		failed := tx.finish()
		if err == nil {
			err = failed
		}
		if _, endErr := reader.exec(context.WithoutCancel(ctx), "ROLLBACK"); endErr != nil {
			err = errors.Join(err, fmt.Errorf("end a view: %w", endErr), reader.close())
			reader = nil
		}
	}()
	return read(tx)
}

func (s *sqliteStore) Update(ctx context.Context, change func(Writer) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.inFlight.Done()
	return s.commits.update(ctx, change)
}

func (s *sqliteStore) Close() error { return s.close() }

// enter counts a call in, so that Close waits for it.
func (s *sqliteStore) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.inFlight.Add(1)
	return nil
}

// shutDown closes as much as was opened, and gives the lock back last.
func (s *sqliteStore) shutDown() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.inFlight.Wait()
	var errs []error
	if s.commits != nil {
		errs = append(errs, s.commits.stop())
	}
	for len(s.views) > 0 {
		if reader := <-s.views; reader != nil {
			errs = append(errs, reader.close())
		}
	}
	for _, db := range []*sql.DB{s.reading, s.writing} { // the writer last: its end empties the log file
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Unlock())...)
}
