package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/sethvargo/go-retry"
)

const (
	// The lock of a store is named "pkpr" and its schema.
	holdStore    = `SELECT pg_advisory_lock(1886089330, (SELECT oid FROM pg_namespace WHERE nspname = current_schema())::int)`
	selectHolder = `SELECT coalesce(nullif(a.application_name, ''), 'the server process ' || a.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND l.classid = 1886089330 AND l.objid = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND l.objsubid = 2`

	selectBackend = `SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()`
	endBackend    = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2`

	replaceWriters = `UPDATE writers SET replaced = true WHERE NOT replaced`
	insertWriter   = `INSERT INTO writers (name, began_at) VALUES ($1, $2) RETURNING number`
	pruneWriters   = `DELETE FROM writers WHERE number < $1`
	selectWriter   = `SELECT commits, replaced FROM writers WHERE number = $1`
	newestWriter   = `SELECT name FROM writers ORDER BY number DESC LIMIT 1`
	countCommit    = `UPDATE writers SET commits = commits + 1 WHERE number = $1 AND NOT replaced RETURNING commits`
)

// keptWriters is how many rows of writers are kept, for one that comes back late.
const keptWriters = 1000

const lockNotAvailable = "55P03"

// postgresWriter is the connection that a store's changes are made on, one transaction after the other, in
// groups that share a commit.
//
// It is one connection because a change runs exactly once: concurrent transactions would have to be run again when
// the server finds that they cannot be put in an order. That order is also what numbers events without gaps, keeps
// queues fair, and makes leasing and draining exclude each other.
//
// The connection holds the store: a lock that the server gives back the moment the connection ends, also that of a
// manager that was killed. Nothing is written but on the connection that holds it. Beside that, every transaction
// begins with counting itself in the manager's row of writers, which does three things. It locks the row, so that
// the transactions of several managers stand in one order whatever became of the lock; it finds out whether another
// manager has opened the store since, whose memory is newer than this one's; and it tells afterwards what became
// of a commit whose answer was lost. pg_xact_status would not: a server that has crashed may use the number of a
// transaction again that had left no trace on its disk.
type postgresWriter struct {
	*session // nil: it was lost
	open     func(context.Context) (*session, error)
	ending   context.Context // done when nobody waits for an answer any more
	backend  backend         // the server's end of the session that held the store last
	number   int64           // of the row in writers
	commits  int64           // what the row counts if the open transaction is committed
	replaced error           // not nil: another manager has opened the store
}

// backend identifies a process of the server.
type backend struct {
	pid   int
	start string
}

// hold makes s the session that holds the store. It errs with ErrInUse if another has it.
func (w *postgresWriter) hold(ctx context.Context, s *session) error {
	var b backend
	if err := s.scan(ctx, selectBackend, nil, &b.pid, &b.start); err != nil {
		return fmt.Errorf("look at the connection: %w", err)
	}
	_, err := s.exec(ctx, holdStore)
	var said *pgconn.PgError
	if errors.As(err, &said) && said.Code == lockNotAvailable {
		name := "a session that has just ended"
		if err := s.scan(ctx, selectHolder, nil, &name); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		return fmt.Errorf("%w (%s): stop it first, or use another store", ErrInUse, name)
	}
	if err == nil {
		w.backend = b
	}
	return err
}

// register makes this manager the only one whose changes count.
func (w *postgresWriter) register(ctx context.Context, name string) error {
	err := w.run("BEGIN")
	if err == nil {
		_, err = w.exec(ctx, replaceWriters)
	}
	if err == nil {
		err = w.scan(ctx, insertWriter, []any{name, micros(time.Now())}, &w.number)
	}
	if err == nil {
		_, err = w.exec(ctx, pruneWriters, w.number-keptWriters)
	}
	if err == nil {
		err = w.run("COMMIT")
	}
	if err != nil {
		return fmt.Errorf("register as the store's writer: %w", err)
	}
	return nil
}

func (w *postgresWriter) begin() error {
	if w.session != nil {
		err := w.enter()
		if !errors.Is(err, ErrUnwritable) {
			return err
		}
		w.drop() // what it was set to when it began, or where it leads to, may be out of date
	}
	if _, err := w.reconnect(context.Background()); err != nil {
		return err
	}
	return w.enter()
}

// enter begins a transaction and counts it.
func (w *postgresWriter) enter() error {
	if err := w.run("BEGIN ISOLATION LEVEL READ COMMITTED"); err != nil {
		return err
	}
	err := w.scan(context.Background(), countCommit, []any{w.number}, &w.commits)
	if errors.Is(err, ErrNotFound) {
		err = w.wasReplaced(w.session)
		w.drop()
	}
	return err
}

func (w *postgresWriter) commit() error {
	err := w.conn.Raw(func(c any) error {
		ctx, cancel := w.limit(context.Background())
		defer cancel()
		tag, err := c.(*stdlib.Conn).Conn().Exec(ctx, "COMMIT")
		if err == nil && tag.String() != "COMMIT" {
			err = fmt.Errorf("the server answered a commit with %s", tag)
		}
		return err
	})
	if err == nil {
		return nil
	}
	return w.findOut(err)
}

// findOut asks, for as long as it takes, whether a commit whose answer was lost has taken place.
func (w *postgresWriter) findOut(lost error) error {
	w.drop()
	var commits int64
	err := retry.Do(w.ending, retry.WithCappedDuration(time.Second, retry.NewFibonacci(20*time.Millisecond)), func(ctx context.Context) (err error) {
		commits, err = w.reconnect(ctx)
		if err != nil && w.replaced == nil {
			return retry.RetryableError(err)
		}
		return nil
	})
	switch {
	case err != nil:
		// Not ErrUnwritable, which would say that nothing was changed.
		return fmt.Errorf("the store is closed before it is known whether the change was kept: the server was lost while it committed (%v) and cannot be asked (%v)", lost, err) //nolint:errorlint // see above
	case commits < w.commits:
		return fmt.Errorf("%w: the server was lost before it committed: %w", ErrUnwritable, lost)
	}
	return nil
}

func (w *postgresWriter) rollback() {
	if w.session != nil && w.run("ROLLBACK") != nil {
		w.drop()
	}
}

// rest keeps the store held: a connection that was lost unseen is replaced before somebody else opens the store.
func (w *postgresWriter) rest() {
	if w.session != nil {
		if w.run("SELECT 1") == nil {
			return
		}
		w.drop()
	}
	_, _ = w.reconnect(context.Background()) // the next one who writes tries, too, and is told why not
}

// reconnect holds the store by a new session, and returns how many of this manager's commits have taken place. If
// another manager has replaced this one, it returns them with the error.
func (w *postgresWriter) reconnect(ctx context.Context) (commits int64, err error) {
	if w.replaced != nil {
		return 0, w.replaced
	}
	s, err := w.open(ctx)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	// The server may take long to notice that the lost connection is lost, and holds the store by it so long.
	if _, err := s.exec(ctx, endBackend, w.backend.pid, w.backend.start); err != nil {
		return 0, err
	}
	held := w.hold(ctx, s)
	var replaced bool
	if err := s.scan(ctx, selectWriter, []any{w.number}, &commits, &replaced); err != nil {
		return 0, fmt.Errorf("find this manager among the writers: %w", err)
	}
	switch {
	case replaced:
		return commits, w.wasReplaced(s)
	case held != nil:
		return 0, fmt.Errorf("%w: %w", ErrUnwritable, held)
	}
	w.session = s
	return commits, nil
}

// wasReplaced is the answer to every change from now on: what this manager remembers is out of date.
func (w *postgresWriter) wasReplaced(s *session) error {
	name := "another manager"
	_ = s.scan(context.Background(), newestWriter, nil, &name) // the name is not what matters
	w.replaced = fmt.Errorf("%w: %w: %s has opened it while this one could not reach it; this one must be restarted", ErrUnwritable, ErrInUse, name)
	return w.replaced
}

// drop ends the session, and with it what it holds.
func (w *postgresWriter) drop() {
	if w.session != nil {
		_ = w.session.close()
		w.session = nil
	}
}

func (w *postgresWriter) close() error {
	w.drop()
	return nil
}

func (w *postgresWriter) run(query string) error {
	_, err := w.exec(context.Background(), query)
	return err
}
