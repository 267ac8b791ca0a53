package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

func writerOf(s Store) sqliteWriter { return s.(*database).commits.writer.(sqliteWriter) }

// LimitPages keeps the database of an idle store from growing past n pages, as a full disk does.
func LimitPages(ctx context.Context, s Store, n int) error {
	_, err := writerOf(s).conn.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", n))
	return err
}

// Setting is the value of a pragma on the writing connection of an idle store.
func Setting(ctx context.Context, s Store, pragma string) (value string, err error) {
	err = writerOf(s).conn.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&value)
	return value, err
}

// OpenPostgresWithin opens a store that waits for no answer for longer than answer, and lets no change wait for longer
// than queue.
func OpenPostgresWithin(ctx context.Context, location string, answer, queue time.Duration) (Store, error) {
	config, err := pgx.ParseConfig(location)
	if err != nil {
		return nil, err
	}
	d, err := openPostgres(ctx, config, answer)
	if err != nil {
		return nil, err
	}
	d.commits.patience = queue
	return d, nil
}

// ForgetSession makes an idle store believe that its writing connection is lost, which the server does not know.
func ForgetSession(s Store) { s.(*database).commits.writer.(*postgresWriter).session = nil }

// PostgresSetting is a setting of the writing connection of an idle store.
func PostgresSetting(ctx context.Context, s Store, name string) (value string, err error) {
	err = s.(*database).commits.writer.(*postgresWriter).conn.QueryRowContext(ctx, "SELECT current_setting($1)", name).Scan(&value)
	return value, err
}

// PruneLeases is a query whose plan depends on its limit.
const PruneLeases = pruneLeases

// PostgresPlan is how PostgreSQL would answer a query, in one of its modes of plan_cache_mode.
func PostgresPlan(ctx context.Context, s Store, query, mode string) (plan []string, err error) {
	conn := s.(*database).commits.writer.(*postgresWriter).conn
	parameters := 0
	for strings.Contains(query, fmt.Sprint("$", parameters+1)) {
		parameters++
	}
	execute := "EXECUTE asked"
	if parameters > 0 {
		execute += "('1'" + strings.Repeat(", '1'", parameters-1) + ")"
	}
	for _, statement := range []string{"SET plan_cache_mode = " + mode, "PREPARE asked AS " + query} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	rows, err := conn.QueryContext(ctx, "EXPLAIN "+execute)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var step string
		if err := rows.Scan(&step); err != nil {
			return nil, err
		}
		plan = append(plan, step)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	_, err = conn.ExecContext(ctx, "DEALLOCATE asked")
	return plan, err
}

// Reads are the queries that must not slow down as other pools' records grow.
var Reads = []string{
	selectPool, selectPoolByName, selectPools, selectRevision, selectRevisions, selectWorker, selectWorkers,
	selectEndedWorkers, selectOperation, selectOperations, selectRunningOperations, selectEvents, selectReply,
	pruneWorkers, pruneReplies, selectPoolsByLabel, selectMarks, selectLease, selectHeldLeases, selectWaitingLeases,
	selectWaitingForAny, selectOldestWaiting, selectLeasesOf, selectDueLeases, countHeldLeases, countWaitingLeases, selectRoom, selectRoomOfAny,
	leaseState, pruneLeases,
}

// QueryPlan is how SQLite would answer a query.
func QueryPlan(ctx context.Context, s Store, query string) (plan []string, err error) {
	rows, err := writerOf(s).conn.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, 1, 1, 1)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return nil, err
		}
		plan = append(plan, detail)
	}
	return plan, rows.Err()
}
