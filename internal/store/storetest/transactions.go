package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

var errRefused = errors.New("refused by the change")

var transactionCases = []testCase{
	{"a change reads its own writes", func(t *testing.T, s store.Store) {
		update(t, s, func(w store.Writer) error {
			require.NoError(t, w.InsertPool(samplePool("u1", "web")))
			got, err := w.PoolByName("web")
			require.Equal(t, "u1", got.UID)
			return err
		})
	}},
	{"an error of a change undoes all of it", func(t *testing.T, s store.Store) {
		err := s.Update(t.Context(), func(w store.Writer) error {
			require.NoError(t, w.InsertPool(samplePool("u1", "web")))
			require.NoError(t, w.AppendEvents(pool.Event{PoolUID: "u1"}))
			return errRefused
		})
		require.ErrorIs(t, err, errRefused)
		view(t, s, func(r store.Reader) error {
			_, err := r.Pool("u1")
			require.ErrorIs(t, err, store.ErrNotFound)
			require.Empty(t, eventLog(t, r, "u1"))
			return nil
		})
	}},
	{"a failed statement undoes a change that ignores it", func(t *testing.T, s store.Store) {
		err := s.Update(t.Context(), func(w store.Writer) error {
			require.NoError(t, w.InsertPool(samplePool("u1", "web")))
			require.Error(t, w.InsertRevision(pool.Revision{PoolUID: "none"}))
			require.Error(t, w.InsertPool(samplePool("u2", "other")), "the transaction is doomed")
			return nil
		})
		require.ErrorIs(t, err, store.ErrNotFound)
		view(t, s, func(r store.Reader) error {
			all, err := r.Pools(store.Page{})
			require.Empty(t, all)
			return err
		})
	}},
	{"one of many concurrent changes fails alone", concurrentChanges},
	{"a panic of a change reaches its caller and harms nobody else", func(t *testing.T, s store.Store) {
		amongOthers(t, s, func() {
			require.PanicsWithValue(t, "at the disco", func() {
				_ = s.Update(context.Background(), func(w store.Writer) error {
					_ = w.InsertPool(samplePool("panicked", "panicked"))
					panic("at the disco")
				})
			})
		})
		view(t, s, func(r store.Reader) error {
			_, err := r.Pool("panicked")
			require.ErrorIs(t, err, store.ErrNotFound)
			return nil
		})
	}},
	{"a change that ends its goroutine harms nobody else", func(t *testing.T, s store.Store) {
		amongOthers(t, s, func() {
			var wg sync.WaitGroup
			wg.Go(func() {
				_ = s.Update(context.Background(), func(w store.Writer) error {
					_ = w.InsertPool(samplePool("exited", "exited"))
					runtime.Goexit()
					return nil
				})
			})
			wg.Wait()
		})
		view(t, s, func(r store.Reader) error {
			_, err := r.Pool("exited")
			require.ErrorIs(t, err, store.ErrNotFound)
			return nil
		})
	}},
	{"a panic of a view reaches its caller and harms nobody else", func(t *testing.T, s store.Store) {
		for range 100 {
			require.Panics(t, func() { _ = s.View(context.Background(), func(store.Reader) error { panic("at the disco") }) })
		}
		insertPool(t, s, "u1", "web")
		view(t, s, func(r store.Reader) error {
			_, err := r.Pool("u1")
			return err
		})
	}},
	{"a view sees one moment, and every update that has returned before", func(t *testing.T, s store.Store) {
		p := insertPool(t, s, "u1", "web")
		view(t, s, func(r store.Reader) error {
			before, err := r.Pool("u1")
			require.NoError(t, err)
			p.Generation = 7
			update(t, s, func(w store.Writer) error { return w.UpdatePool(p) })
			insertPool(t, s, "u2", "other")
			after, err := r.Pool("u1")
			require.NoError(t, err)
			require.Equal(t, before, after)
			_, err = r.Pool("u2")
			require.ErrorIs(t, err, store.ErrNotFound)
			view(t, s, func(r store.Reader) error {
				newest, err := r.Pool("u1")
				require.EqualValues(t, 7, newest.Generation)
				return err
			})
			return nil
		})
	}},
	{"a view does not see a change that is not committed", func(t *testing.T, s store.Store) {
		update(t, s, func(w store.Writer) error {
			require.NoError(t, w.InsertPool(samplePool("u1", "web")))
			view(t, s, func(r store.Reader) error {
				_, err := r.Pool("u1")
				require.ErrorIs(t, err, store.ErrNotFound)
				return nil
			})
			return nil
		})
	}},
	{"a done context keeps a change and a view from starting", func(t *testing.T, s store.Store) {
		done, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, s.Update(done, func(store.Writer) error { panic("it ran") }), context.Canceled)
		require.ErrorIs(t, s.View(done, func(store.Reader) error { return nil }), context.Canceled)
	}},
	{"a waiting change is dropped when its context is done", func(t *testing.T, s store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		dropped := make(chan error)
		update(t, s, func(store.Writer) error {
			go func() { dropped <- s.Update(ctx, func(store.Writer) error { panic("it ran") }) }()
			cancel()
			require.ErrorIs(t, <-dropped, context.Canceled)
			return nil
		})
	}},
	{"a started change runs to its end and is answered", func(t *testing.T, s store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, s.Update(ctx, func(w store.Writer) error {
			cancel()
			return w.InsertPool(samplePool("u1", "web"))
		}))
		view(t, s, func(r store.Reader) error {
			_, err := r.Pool("u1")
			return err
		})
	}},
	{"a view ends with its context and leaves its place to others", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			require.Error(t, s.View(ctx, func(r store.Reader) error {
				cancel()
				_, err := r.Pool("u1")
				return err
			}))
		}
		view(t, s, func(r store.Reader) error {
			_, err := r.Pool("u1")
			return err
		})
	}},
	{"a transaction cannot be used once it is over", func(t *testing.T, s store.Store) {
		var late store.Writer
		update(t, s, func(w store.Writer) error { late = w; return nil })
		require.Error(t, late.InsertPool(samplePool("u1", "web")))
		var reader store.Reader
		view(t, s, func(r store.Reader) error { reader = r; return nil })
		_, err := reader.Pool("u1")
		require.Error(t, err)
		require.NotErrorIs(t, err, store.ErrNotFound)
	}},
	{"many views run while changes go on", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				for range 20 {
					err := s.View(context.Background(), func(r store.Reader) error {
						_, err := r.Pool("u1")
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 20 {
			update(t, s, func(w store.Writer) error { return w.AppendEvents(pool.Event{PoolUID: "u1"}) })
		}
		wg.Wait()
	}},
}

// amongOthers runs act while other callers change the store, and checks that all of them were served.
func amongOthers(t *testing.T, s store.Store, act func()) {
	t.Helper()
	const callers, each = 8, 10
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for range each {
				if err := s.Update(context.Background(), func(w store.Writer) error {
					return w.AppendEvents(pool.Event{PoolUID: fmt.Sprint("others-", c)})
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		act()
	}
	wg.Wait()
	view(t, s, func(r store.Reader) error {
		for c := range callers {
			require.Len(t, eventLog(t, r, fmt.Sprint("others-", c)), each)
		}
		return nil
	})
}

// concurrentChanges has every third change fail, each after it has written, and looks for gaps.
func concurrentChanges(t *testing.T, s store.Store) {
	const callers, each = 24, 15
	insertPool(t, s, "u1", "web")
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("w-%d-%d", c, i)
				err := s.Update(context.Background(), func(w store.Writer) error {
					if err := w.PutWorkers(sampleWorker(id, "u1", pool.WorkerPending, noon)); err != nil {
						return err
					}
					if err := w.AppendEvents(pool.Event{PoolUID: "u1", WorkerID: id}, pool.Event{PoolUID: "u1", WorkerID: id}); err != nil {
						return err
					}
					if i%3 == 0 {
						return errRefused
					}
					return nil
				})
				if refused := errors.Is(err, errRefused); refused != (i%3 == 0) || (err != nil && !refused) {
					t.Errorf("%s: %v", id, err)
				}
			}
		})
	}
	wg.Wait()
	view(t, s, func(r store.Reader) error {
		events, err := r.Events("u1", 0, 0)
		require.NoError(t, err)
		told := map[string]int{}
		for i, e := range events {
			require.EqualValues(t, i+1, e.Sequence, "no gaps")
			told[e.WorkerID]++
		}
		for c := range callers {
			for i := range each {
				id, want := fmt.Sprintf("w-%d-%d", c, i), 2
				_, err := r.Worker(id)
				if i%3 == 0 {
					want = 0
					require.ErrorIs(t, err, store.ErrNotFound, id)
				} else {
					require.NoError(t, err)
				}
				require.Equal(t, want, told[id], id)
			}
		}
		return nil
	})
}
