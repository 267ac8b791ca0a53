package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

var lifeCases = []struct {
	behaviour string
	test      func(t *testing.T, open Database)
}{
	{"records and identity survive closing", func(t *testing.T, open Database) {
		s := opened(t, open)
		id := s.Identity()
		require.Regexp(t, `^m_[0-9a-z]{26}$`, id.ManagerID)
		require.Regexp(t, `^i_[0-9a-z]{26}$`, id.Incarnation)
		p := insertPool(t, s, "u1", "web")
		update(t, s, func(w store.Writer) error { return w.AppendEvents(pool.Event{PoolUID: "u1"}) })
		require.NoError(t, s.Close())

		s = opened(t, open)
		require.Equal(t, id, s.Identity())
		update(t, s, func(w store.Writer) error { return w.AppendEvents(pool.Event{PoolUID: "u1"}) })
		view(t, s, func(r store.Reader) error {
			got, err := r.Pool("u1")
			require.NoError(t, err)
			require.Equal(t, p, got)
			require.Equal(t, []string{"1 ", "2 "}, eventLog(t, r, "u1"))
			return nil
		})
	}},
	{"a second manager is refused until the first has closed", func(t *testing.T, open Database) {
		first := opened(t, open)
		_, err := open(t.Context())
		require.ErrorIs(t, err, store.ErrInUse)
		insertPool(t, first, "u1", "web")
		require.NoError(t, first.Close())
		view(t, opened(t, open), func(r store.Reader) error {
			_, err := r.Pool("u1")
			return err
		})
	}},
	{"closing waits for what was begun and refuses what comes after", func(t *testing.T, open Database) {
		s := opened(t, open)
		var acknowledged, refused atomic.Int64
		var wg sync.WaitGroup
		started := make(chan struct{}, 16)
		for c := range 16 {
			wg.Go(func() {
				for i := 0; ; i++ {
					err := s.Update(context.Background(), func(w store.Writer) error {
						return w.AppendEvents(pool.Event{PoolUID: "u1", Message: fmt.Sprint(c, "/", i)})
					})
					if i == 0 {
						started <- struct{}{}
					}
					if err != nil {
						if errors.Is(err, store.ErrClosed) {
							refused.Add(1)
						}
						return
					}
					acknowledged.Add(1)
				}
			})
		}
		for range 16 {
			<-started
		}
		require.NoError(t, s.Close())
		wg.Wait()
		require.NoError(t, s.Close(), "closing again does nothing")
		require.ErrorIs(t, s.View(t.Context(), func(store.Reader) error { return nil }), store.ErrClosed)
		require.EqualValues(t, 16, refused.Load())
		view(t, opened(t, open), func(r store.Reader) error {
			require.Len(t, eventLog(t, r, "u1"), int(acknowledged.Load()))
			return nil
		})
	}},
	{"a done context opens nothing", func(t *testing.T, open Database) {
		done, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := open(done)
		require.ErrorIs(t, err, context.Canceled)
		opened(t, open)
	}},
}

func opened(t *testing.T, open Database) store.Store {
	t.Helper()
	s, err := open(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}
