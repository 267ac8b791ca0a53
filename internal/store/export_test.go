package store

import (
	"context"
	"fmt"
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
