//go:build unix

package store_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store/storetest"
)

func TestPostgresDoesWhatAStoreMust(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Database {
		location := postgres.Database(t)
		return func(ctx context.Context) (store.Store, error) { return store.Open(ctx, location) }
	})
}

func TestAnAcknowledgedCommitIsOnPostgresDiskWhateverTheServerIsSetTo(t *testing.T) {
	for set, want := range map[string]string{"off": "on", "on": "on", "local": "local", "remote_apply": "remote_apply"} {
		t.Run(set, func(t *testing.T) {
			location := postgres.Database(t)
			postgres.Set(t, location, "synchronous_commit", set)
			got, err := store.PostgresSetting(t.Context(), open(t, location), "synchronous_commit")
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestNoQueryReadsMoreOfPostgresThanItAnswers(t *testing.T) {
	location := postgres.Database(t)
	s := open(t, location)
	for _, fill := range manyPools {
		postgres.Execute(t, location, fill)
	}
	for _, query := range store.Reads {
		mode := "force_generic_plan"
		if query == store.PruneLeases {
			mode = "force_custom_plan" // which the server prefers as long as it is the cheaper one
		}
		plan, err := store.PostgresPlan(t.Context(), s, query, mode)
		require.NoError(t, err, query)
		text := strings.Join(plan, "\n")
		require.NotContains(t, text, "Seq Scan", "%s\n%s", query, text)
		scans := strings.Count(text, "Index Scan") + strings.Count(text, "Index Only Scan")
		require.Equal(t, scans, strings.Count(text, "Index Cond"), "whole indices are read: %s\n%s", query, text)
	}
}

// manyPools fill a database with what many pools leave in it, and little of each.
var manyPools = []string{
	`INSERT INTO poolkeeper.pools SELECT 'u' || n, 'pool' || n, CASE WHEN n % 10 = 0 THEN 'live' ELSE 'destroyed' END, repeat('x', 1000) FROM generate_series(1, 5000) n`,
	`INSERT INTO poolkeeper.pool_labels SELECT 'team', 't' || n, 'u' || n FROM generate_series(1, 5000) n`,
	`INSERT INTO poolkeeper.revisions SELECT 'u' || n, m, repeat('x', 1000) FROM generate_series(1, 5000) n, generate_series(1, 4) m`,
	`INSERT INTO poolkeeper.workers
		SELECT 'w' || n, 'u' || n % 5000 + 1, n % 4 <> 0, n, n, repeat('x', 500), 'hash', n % 4 = 0, 1, CASE WHEN n % 8 = 0 THEN 1 ELSE 0 END
		FROM generate_series(1, 40000) n`,
	`INSERT INTO poolkeeper.leases (id, pool_uid, worker_id, state, expires_at, ended_at, record, ttl, selector)
		SELECT 'l' || n, CASE WHEN n % 100 <> 1 THEN 'u' || n % 5000 + 1 END, CASE WHEN n % 50 > 1 THEN 'w' || n % 40000 + 1 END,
			CASE WHEN n % 50 < 2 THEN 'waiting' WHEN n % 50 < 4 THEN 'held' ELSE 'released' END, n, n, repeat('x', 300), 60000000,
			CASE WHEN n % 100 = 1 THEN '{"team":"t' || n % 300 || '"}' ELSE '' END
		FROM generate_series(1, 60000) n`,
	`INSERT INTO poolkeeper.operations (id, pool_uid, ended, record)
		SELECT 'o' || n, 'u' || n % 5000 + 1, n % 50 <> 0, repeat('x', 300) FROM generate_series(1, 40000) n`,
	`INSERT INTO poolkeeper.event_logs SELECT 'u' || n, 10, 1 FROM generate_series(1, 5000) n`,
	`INSERT INTO poolkeeper.events SELECT 'u' || n, m, repeat('x', 300) FROM generate_series(1, 5000) n, generate_series(1, 10) m`,
	`INSERT INTO poolkeeper.idempotent_replies SELECT 'ann', 'k' || n, 'h', 'o' || n, n FROM generate_series(1, 20000) n`,
	`ANALYZE`,
}

func TestASecondManagerOfPostgresIsToldWhoTheFirstIs(t *testing.T) {
	location := postgres.Database(t)
	open(t, location)
	_, err := store.Open(t.Context(), location)
	require.ErrorIs(t, err, store.ErrInUse)
	host, noHost := os.Hostname()
	require.NoError(t, noHost)
	require.ErrorContains(t, err, fmt.Sprintf("pid %d on %s", os.Getpid(), host))
}

func TestTwoSchemasOfOneDatabaseAreTwoStores(t *testing.T) {
	location := postgres.Database(t)
	postgres.Execute(t, location, `CREATE SCHEMA other`)
	u, err := url.Parse(location)
	require.NoError(t, err)
	query := u.Query()
	query.Set("search_path", "other")
	u.RawQuery = query.Encode()
	a, b := open(t, location), open(t, u.String())
	require.NotEqual(t, a.Identity().ManagerID, b.Identity().ManagerID)
	appendEvent(t, a, "only here")
	require.Empty(t, messages(t, b))
}

func TestTablesOfOtherProgramsAreNotInTheWay(t *testing.T) {
	location := postgres.Database(t)
	postgres.Execute(t, location, `CREATE TABLE events (title TEXT)`)
	postgres.Execute(t, location, `CREATE TABLE goose_db_version (title TEXT)`)
	s := open(t, location)
	appendEvent(t, s, "hello")
	require.Equal(t, []string{"hello"}, messages(t, s))
}

func TestAPostgresSchemaOfANewerPoolkeeperIsRefused(t *testing.T) {
	location := postgres.Database(t)
	closeStore(t, open(t, location))
	postgres.Execute(t, location, `INSERT INTO poolkeeper.goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	_, err := store.Open(t.Context(), location)
	require.ErrorContains(t, err, "9999")
	require.ErrorContains(t, err, "version 3 at most")

	postgres.Execute(t, location, `DELETE FROM poolkeeper.goose_db_version WHERE version_id = 9999`)
	open(t, location)
}

func TestADatabaseThatCannotHoldAllTextIsRefused(t *testing.T) {
	location := postgres.Database(t)
	u, err := url.Parse(location)
	require.NoError(t, err)
	name := strings.TrimPrefix(u.Path, "/") + "_latin1"
	postgres.Execute(t, location, `CREATE DATABASE `+name+` ENCODING 'LATIN1' TEMPLATE template0`)
	t.Cleanup(func() { postgres.Execute(t, location, `DROP DATABASE `+name) })
	u.Path = "/" + name
	_, err = store.Open(t.Context(), u.String())
	require.ErrorContains(t, err, "encoding LATIN1")
}

func TestAnOrdinaryUserOfPostgresCanHaveAStore(t *testing.T) {
	admin := postgres.Database(t)
	postgres.Execute(t, admin, `CREATE ROLE ordinary LOGIN`)
	t.Cleanup(func() { postgres.Execute(t, admin, `DROP ROLE ordinary`) })
	location := postgres.Database(t)
	u, err := url.Parse(location)
	require.NoError(t, err)
	query := u.Query()
	query.Set("user", "ordinary")
	u.RawQuery = query.Encode()

	_, err = store.Open(t.Context(), u.String())
	require.ErrorContains(t, err, "make the schema poolkeeper")
	require.ErrorContains(t, err, "permission denied")
	postgres.Execute(t, location, `GRANT CREATE ON DATABASE `+strings.TrimPrefix(u.Path, "/")+` TO ordinary`)
	s := open(t, u.String())
	appendEvent(t, s, "before")
	_, err = store.Open(t.Context(), u.String())
	require.ErrorContains(t, err, fmt.Sprintf("pid %d on ", os.Getpid()))
	store.ForgetSession(s)
	appendEvent(t, s, "after")
	require.Equal(t, []string{"before", "after"}, messages(t, s))
}

func TestTextIsOrderedByItsBytesWhateverTheLocale(t *testing.T) {
	location := postgres.Database(t)
	u, err := url.Parse(location)
	require.NoError(t, err)
	name := strings.TrimPrefix(u.Path, "/") + "_icu"
	postgres.Execute(t, location, `CREATE DATABASE `+name+` LOCALE_PROVIDER icu ICU_LOCALE 'en' TEMPLATE template0`)
	t.Cleanup(func() { postgres.Execute(t, location, `DROP DATABASE `+name) })
	u.Path = "/" + name
	s, err := store.Open(t.Context(), u.String())
	require.NoError(t, err)
	want := []string{"B", "a", "a-1", "a1", "b"}
	require.NoError(t, s.Update(t.Context(), func(w store.Writer) error {
		for _, name := range want {
			require.NoError(t, w.InsertPool(pool.Pool{UID: name, Name: name, Phase: pool.PhaseLive, Spec: pool.Default()}))
		}
		return nil
	}))
	var got []string
	require.NoError(t, s.View(t.Context(), func(r store.Reader) error {
		for page := (store.Page{Limit: 2}); ; page.After = got[len(got)-1] {
			pools, err := r.Pools(page)
			if err != nil || len(pools) == 0 {
				return err
			}
			for _, p := range pools {
				got = append(got, p.Name)
			}
		}
	}))
	require.Equal(t, want, got)
	closeStore(t, s)
}

func TestAPostgresThatIsNotThereIsUnwritable(t *testing.T) {
	location := postgres.Database(t)
	for name, change := range map[string]func(u *url.URL, query url.Values){
		"no server":   func(_ *url.URL, query url.Values) { query.Set("host", "/nowhere") },
		"no database": func(u *url.URL, _ url.Values) { u.Path += "_none" },
		"no user":     func(_ *url.URL, query url.Values) { query.Set("user", "nobody in particular") },
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(location)
			require.NoError(t, err)
			query := u.Query()
			query.Set("password", "hush hush")
			change(u, query)
			u.RawQuery = query.Encode()
			_, err = store.Open(t.Context(), u.String())
			require.ErrorIs(t, err, store.ErrUnwritable)
			require.ErrorContains(t, err, "postgres://")
			require.NotContains(t, err.Error(), "hush")
		})
	}
}

// open opens the store at a URL until the test ends.
func open(t testing.TB, location string) store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), location)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// tryEvent appends an event, if that can be done.
func tryEvent(s store.Store, message string) error {
	return s.Update(context.Background(), func(w store.Writer) error {
		return w.AppendEvents(pool.Event{PoolUID: "p", Message: message})
	})
}
