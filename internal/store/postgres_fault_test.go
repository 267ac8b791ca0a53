//go:build unix

package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store/pgtest"
)

// proxied is an empty database, the way to it that a test can make worse, and its URL on that way.
func proxied(t *testing.T, server *pgtest.Server) (database string, way pgtest.Proxy, location string) {
	t.Helper()
	database = server.Database(t)
	way = pgtest.NewProxy(t, server.Address(t))
	return database, way, pgtest.Through(t, database, way.Address())
}

func TestWhatAnUpdateAnswersIsTrueWhateverBreaks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		harm   func(t *testing.T, server *pgtest.Server, way pgtest.Proxy, database string)
		mend   func(t *testing.T, server *pgtest.Server, way pgtest.Proxy)
		rounds int
	}{
		{"connections cut",
			func(_ *testing.T, _ *pgtest.Server, way pgtest.Proxy, _ string) { way.Cut() },
			func(t *testing.T, _ *pgtest.Server, way pgtest.Proxy) { way.Mend(t) }, 10},
		{"answers lost",
			func(t *testing.T, _ *pgtest.Server, way pgtest.Proxy, _ string) { way.Mute(t) },
			func(t *testing.T, _ *pgtest.Server, way pgtest.Proxy) { way.Mend(t) }, 10},
		{"questions lost",
			func(t *testing.T, _ *pgtest.Server, way pgtest.Proxy, _ string) { way.Deafen(t) },
			func(t *testing.T, _ *pgtest.Server, way pgtest.Proxy) { way.Mend(t) }, 10},
		{"sessions ended by the server",
			func(t *testing.T, server *pgtest.Server, _ pgtest.Proxy, database string) {
				server.Execute(t, database, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'poolkeeper%' AND datname = current_database()`)
			},
			func(*testing.T, *pgtest.Server, pgtest.Proxy) {}, 10},
		{"the server crashed",
			func(t *testing.T, server *pgtest.Server, _ pgtest.Proxy, _ string) { server.Crash(t) },
			func(t *testing.T, server *pgtest.Server, _ pgtest.Proxy) { server.Resume(t) }, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			var server pgtest.Server
			t.Cleanup(func() { require.NoError(t, server.Stop()) })
			database, way, location := proxied(t, &server)
			s := open(t, location)

			var answers answered
			var callers sync.WaitGroup
			done := make(chan struct{})
			for caller := range 8 {
				callers.Go(func() { answers.ask(t, s, caller, done) })
			}
			for range c.rounds {
				answers.awaitMore(t, 40)
				c.harm(t, &server, way, database)
				pause(t, 100*time.Millisecond)
				c.mend(t, &server, way)
			}
			answers.awaitMore(t, 40)
			close(done)
			callers.Wait()

			kept := map[string]bool{}
			for _, m := range messages(t, s) {
				kept[m] = true
			}
			require.NotEmpty(t, answers.refused, "nothing was in the way of the %d updates", len(answers.accepted))
			t.Logf("%d updates were accepted, %d refused", len(answers.accepted), len(answers.refused))
			for _, m := range answers.accepted {
				require.True(t, kept[m], "%s was accepted and is lost", m)
			}
			for m, err := range answers.refused {
				require.False(t, kept[m], "%s was refused and is there: %v", m, err)
			}
		})
	}
}

// answered is what updates were answered.
type answered struct {
	mu       sync.Mutex
	accepted []string
	refused  map[string]error
}

// ask updates a store until done.
func (a *answered) ask(t *testing.T, s store.Store, caller int, done <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		message := fmt.Sprint(caller, "/", i)
		err := tryEvent(s, message)
		a.mu.Lock()
		switch {
		case err == nil:
			a.accepted = append(a.accepted, message)
		case errors.Is(err, store.ErrUnwritable):
			if a.refused == nil {
				a.refused = map[string]error{}
			}
			a.refused[message] = err
		default:
			t.Errorf("%s: %v", message, err)
		}
		a.mu.Unlock()
		if err != nil {
			pause(t, 5*time.Millisecond)
		}
	}
}

// awaitMore waits until so many more updates were accepted.
func (a *answered) awaitMore(t *testing.T, n int) {
	t.Helper()
	count := func() int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.accepted)
	}
	want := count() + n
	require.Eventually(t, func() bool { return count() >= want }, time.Minute, 5*time.Millisecond, "no update is accepted any more")
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func TestACommitWhoseAnswerWasLostIsFoundOut(t *testing.T) {
	for _, c := range []struct {
		name      string
		lose      func(pgtest.Proxy, *testing.T)
		committed bool
	}{
		{"on the way back", func(way pgtest.Proxy, t *testing.T) { way.Mute(t) }, true},
		{"on the way there", func(way pgtest.Proxy, t *testing.T) { way.Deafen(t) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			database, way, location := proxied(t, &postgres)
			s := open(t, location)
			appendEvent(t, s, "before")
			outcome := make(chan error, 1)
			go func() {
				outcome <- s.Update(context.Background(), func(w store.Writer) error {
					err := w.AppendEvents(pool.Event{PoolUID: "p", Message: "in doubt"})
					c.lose(way, t) // what comes next is the commit
					return err
				})
			}()
			if c.committed {
				require.Eventually(t, func() bool { return events(t, database) == 2 }, time.Minute, 5*time.Millisecond, "the commit reaches the server")
			} else {
				pause(t, 200*time.Millisecond)
			}
			select {
			case err := <-outcome:
				require.Fail(t, "the update returned before anybody could know", "%v", err)
			default:
			}
			way.Mend(t)
			if err := <-outcome; c.committed {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, store.ErrUnwritable)
			}
			appendEvent(t, s, "after")
			want := map[bool][]string{true: {"before", "in doubt", "after"}, false: {"before", "after"}}
			require.Equal(t, want[c.committed], messages(t, s))
		})
	}
}

func TestWhoeverWaitsBehindACommitInDoubtIsRefused(t *testing.T) {
	database, way, location := proxied(t, &postgres)
	s, err := store.OpenPostgresWithin(t.Context(), location, 2*time.Second, time.Second)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	outcome := make(chan error, 1)
	go func() {
		outcome <- s.Update(context.Background(), func(w store.Writer) error {
			err := w.AppendEvents(pool.Event{PoolUID: "p", Message: "in doubt"})
			way.Mute(t)
			return err
		})
	}()
	require.Eventually(t, func() bool { return events(t, database) == 1 }, time.Minute, 5*time.Millisecond, "the commit reaches the server")
	for range 3 {
		require.ErrorIs(t, tryEvent(s, "behind it"), store.ErrUnwritable)
	}
	require.Empty(t, outcome, "nobody can know yet")
	way.Mend(t)
	require.NoError(t, <-outcome)
	appendEvent(t, s, "after")
	require.Equal(t, []string{"in doubt", "after"}, messages(t, s))
}

func TestAServerThatCannotBeReachedIsToldToAllWhoWaitAtOnce(t *testing.T) {
	_, way, location := proxied(t, &postgres)
	const patience = 2 * time.Second
	s, err := store.OpenPostgresWithin(t.Context(), location, patience, time.Hour)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	appendEvent(t, s, "before")
	way.Mute(t)
	start := time.Now()
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			if err := tryEvent(s, "into the void"); !errors.Is(err, store.ErrUnwritable) {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	require.Less(t, time.Since(start), 10*patience)
	way.Mend(t)
	require.Equal(t, []string{"before"}, messages(t, s))
}

func TestClosingDoesNotWaitForEverForAServerThatIsGone(t *testing.T) {
	_, way, location := proxied(t, &postgres)
	s := open(t, location)
	outcome := make(chan error, 1)
	go func() {
		outcome <- s.Update(context.Background(), func(w store.Writer) error {
			err := w.AppendEvents(pool.Event{PoolUID: "p", Message: "in doubt"})
			way.Cut()
			return err
		})
	}()
	require.Eventually(t, func() bool {
		return errors.Is(s.View(t.Context(), func(store.Reader) error { return nil }), store.ErrUnwritable)
	}, time.Minute, 5*time.Millisecond, "the server is gone")
	start := time.Now()
	require.NoError(t, s.Close())
	require.Less(t, time.Since(start), 20*time.Second)
	err := <-outcome
	require.ErrorContains(t, err, "before it is known whether the change was kept")
	require.NotErrorIs(t, err, store.ErrUnwritable, "which says that nothing was changed")
}

func TestAServerThatAnswersNothingIsAsGoodAsGone(t *testing.T) {
	_, way, location := proxied(t, &postgres)
	s, err := store.OpenPostgresWithin(t.Context(), location, 2*time.Second, time.Second)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	appendEvent(t, s, "before")
	view := func() error {
		return s.View(context.Background(), func(r store.Reader) error {
			_, err := r.Events("p", 0, 0)
			return err
		})
	}
	require.NoError(t, view())
	way.Mute(t)
	require.ErrorIs(t, tryEvent(s, "into the void"), store.ErrUnwritable)
	require.ErrorIs(t, view(), store.ErrUnwritable)
	way.Mend(t)
	appendEvent(t, s, "after")
	require.Equal(t, []string{"before", "after"}, messages(t, s))
}

func TestAServerThatIsSlowByTwoSecondsIsWaitedFor(t *testing.T) {
	t.Parallel()
	_, way, location := proxied(t, &postgres)
	s := open(t, location)
	appendEvent(t, s, "before")
	require.Equal(t, []string{"before"}, messages(t, s))
	way.Slow(t, 2*time.Second)
	start := time.Now()
	appendEvent(t, s, "slowly")
	require.Greater(t, time.Since(start), 2*time.Second)
	require.Equal(t, []string{"before", "slowly"}, messages(t, s))
}

func TestAReadOnlyPostgresChangesNothingAndMends(t *testing.T) {
	location := postgres.Database(t)
	s := open(t, location)
	appendEvent(t, s, "before")
	postgres.Set(t, location, "default_transaction_read_only", "on")
	endSessions(t, location) // those that are open need not obey
	for range 2 {
		require.ErrorIs(t, tryEvent(s, "refused"), store.ErrUnwritable)
		require.Equal(t, []string{"before"}, messages(t, s), "what is there can be read")
	}
	t.Run("nor is it opened", func(t *testing.T) {
		closeStore(t, s)
		_, err := store.Open(t.Context(), location)
		require.ErrorIs(t, err, store.ErrUnwritable)
	})
	postgres.Set(t, location, "default_transaction_read_only", "off")
	s = open(t, location)
	postgres.Set(t, location, "default_transaction_read_only", "on")
	endSessions(t, location)
	require.ErrorIs(t, tryEvent(s, "refused"), store.ErrUnwritable)
	postgres.Set(t, location, "default_transaction_read_only", "off")
	appendEvent(t, s, "after")
	require.Equal(t, []string{"before", "after"}, messages(t, s))
}

func TestAServerWithoutConnectionsLeftIsUnwritable(t *testing.T) {
	server := pgtest.Server{Settings: map[string]string{"max_connections": "8", "superuser_reserved_connections": "0", "max_wal_senders": "0"}}
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	location := server.Database(t)
	s := open(t, location)
	appendEvent(t, s, "before")
	var taken []*pgx.Conn
	for {
		conn, err := pgx.Connect(t.Context(), location)
		if err != nil {
			require.ErrorContains(t, err, "53300")
			break
		}
		taken = append(taken, conn)
	}
	require.NotEmpty(t, taken)
	appendEvent(t, s, "on the connection that is open")
	read := func() error {
		return s.View(t.Context(), func(r store.Reader) error {
			_, err := r.Events("p", 0, 0)
			return err
		})
	}
	require.ErrorIs(t, read(), store.ErrUnwritable)
	_, err := store.Open(t.Context(), location)
	require.ErrorIs(t, err, store.ErrUnwritable)
	for _, conn := range taken {
		require.NoError(t, conn.Close(t.Context()))
	}
	require.Eventually(t, func() bool { return read() == nil }, time.Minute, 5*time.Millisecond, "the server has noticed")
	appendEvent(t, s, "after")
	require.Equal(t, []string{"before", "on the connection that is open", "after"}, messages(t, s))
}

func TestALostConnectionThatTheServerHoldsOnToIsNotInTheWay(t *testing.T) {
	s := open(t, postgres.Database(t))
	appendEvent(t, s, "before")
	store.ForgetSession(s)
	appendEvent(t, s, "after")
	require.Equal(t, []string{"before", "after"}, messages(t, s))
}

func TestAManagerThatWasReplacedWhileItSawNothingChangesNothing(t *testing.T) {
	database, way, location := proxied(t, &postgres)
	first := open(t, location)
	appendEvent(t, first, "first")
	way.Cut()
	second := open(t, database)
	appendEvent(t, second, "second")
	way.Mend(t)
	refused := func() {
		t.Helper()
		err := tryEvent(first, "out of date")
		require.ErrorIs(t, err, store.ErrUnwritable)
		require.ErrorIs(t, err, store.ErrInUse)
		require.ErrorContains(t, err, "must be restarted")
	}
	refused()
	closeStore(t, second)
	refused()
	require.Equal(t, []string{"first", "second"}, messages(t, first), "what is there can be read")
	open(t, database)
}

func TestAManagerThatWasReplacedChangesNothingWhateverItHolds(t *testing.T) {
	location := postgres.Database(t)
	s := open(t, location)
	appendEvent(t, s, "before")
	postgres.Execute(t, location, `UPDATE poolkeeper.writers SET replaced = true`)
	require.ErrorIs(t, tryEvent(s, "out of date"), store.ErrInUse)
	require.Equal(t, []string{"before"}, messages(t, s))
}

func TestConnectionsLostBetweenRequestsCostNoAnswer(t *testing.T) {
	location := postgres.Database(t)
	s := open(t, location)
	appendEvent(t, s, "before")
	require.Equal(t, []string{"before"}, messages(t, s))
	endSessions(t, location)
	appendEvent(t, s, "after")
	require.Equal(t, []string{"before", "after"}, messages(t, s))
}

func TestAnIdleStoreIsHeldAgainAfterAFault(t *testing.T) {
	t.Parallel()
	database, way, location := proxied(t, &postgres)
	open(t, location)
	way.Cut()
	require.Eventually(t, func() bool { return !held(t, database) }, time.Minute, 20*time.Millisecond, "the server notices the cut")
	way.Mend(t)
	require.Eventually(t, func() bool { return held(t, database) }, time.Minute, 20*time.Millisecond, "the store is held again")
	_, err := store.Open(t.Context(), database)
	require.ErrorIs(t, err, store.ErrInUse)
}

// events is how many the database has, as a stranger sees it.
func events(t *testing.T, location string) int {
	return number(t, location, `SELECT count(*) FROM poolkeeper.events`)
}

// held says whether a manager holds the store of a database.
func held(t *testing.T, location string) bool {
	return number(t, location, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) > 0
}

func number(t *testing.T, location, query string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), location)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	require.NoError(t, conn.QueryRow(context.Background(), query).Scan(&n))
	return n
}

func endSessions(t *testing.T, location string) {
	t.Helper()
	postgres.Execute(t, location, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name LIKE 'poolkeeper%'`)
}
