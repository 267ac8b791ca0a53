package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

var poolCases = []testCase{
	{"a pool comes back as it was put in", func(t *testing.T, s store.Store) {
		p := full[pool.Pool](t)
		p.UID, p.Name, p.Phase = "u1", "web", pool.PhaseLive
		update(t, s, func(w store.Writer) error { return w.InsertPool(p) })
		view(t, s, func(r store.Reader) error {
			got, err := r.Pool(p.UID)
			require.Equal(t, stored(p), got)
			return err
		})
	}},
	{"a pool with nothing but zeros comes back so", func(t *testing.T, s store.Store) {
		update(t, s, func(w store.Writer) error { return w.InsertPool(pool.Pool{UID: "zero"}) })
		view(t, s, func(r store.Reader) error {
			got, err := r.Pool("zero")
			require.Equal(t, pool.Pool{UID: "zero"}, got)
			require.True(t, got.CreatedAt.IsZero())
			return err
		})
	}},
	{"an update replaces the whole pool", func(t *testing.T, s store.Store) {
		p := insertPool(t, s, "u1", "web")
		changed := full[pool.Pool](t)
		changed.UID, changed.Name, changed.Phase = p.UID, p.Name, pool.PhaseLive
		update(t, s, func(w store.Writer) error { return w.UpdatePool(changed) })
		view(t, s, func(r store.Reader) error {
			got, err := r.PoolByName("web")
			require.Equal(t, stored(changed), got)
			return err
		})
	}},
	{"what is not there is not found", func(t *testing.T, s store.Store) {
		view(t, s, func(r store.Reader) error {
			_, err := r.Pool("none")
			require.ErrorIs(t, err, store.ErrNotFound)
			_, err = r.PoolByName("none")
			require.ErrorIs(t, err, store.ErrNotFound)
			list, err := r.Pools(store.Page{})
			require.Empty(t, list)
			return err
		})
		err := s.Update(t.Context(), func(w store.Writer) error { return w.UpdatePool(samplePool("none", "none")) })
		require.ErrorIs(t, err, store.ErrNotFound)
	}},
	{"a name is taken until its pool is destroyed", func(t *testing.T, s store.Store) {
		first := insertPool(t, s, "u1", "web")
		for _, phase := range []pool.Phase{pool.PhaseCreating, pool.PhaseLive, pool.PhaseDeleting} {
			first.Phase = phase
			update(t, s, func(w store.Writer) error { return w.UpdatePool(first) })
			err := s.Update(t.Context(), func(w store.Writer) error { return w.InsertPool(samplePool("u2", "web")) })
			require.ErrorIs(t, err, store.ErrNameTaken, phase)
			require.ErrorContains(t, err, "web")
		}
		first.Phase = pool.PhaseDestroyed
		update(t, s, func(w store.Writer) error { return w.UpdatePool(first) })
		insertPool(t, s, "u2", "web")
		view(t, s, func(r store.Reader) error {
			living, err := r.PoolByName("web")
			require.NoError(t, err)
			require.Equal(t, "u2", living.UID)
			destroyed, err := r.Pool("u1")
			require.Equal(t, pool.PhaseDestroyed, destroyed.Phase)
			return err
		})
	}},
	{"a taken name does not keep its change from going on", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		update(t, s, func(w store.Writer) error {
			require.ErrorIs(t, w.InsertPool(samplePool("u2", "web")), store.ErrNameTaken)
			return w.InsertPool(samplePool("u2", "web-2"))
		})
		view(t, s, func(r store.Reader) error {
			_, err := r.PoolByName("web-2")
			return err
		})
	}},
	{"a uid is never used again", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		err := s.Update(t.Context(), func(w store.Writer) error { return w.InsertPool(samplePool("u1", "other")) })
		require.Error(t, err)
		require.NotErrorIs(t, err, store.ErrNameTaken)
	}},
	{"pools are listed by name, page by page, without the destroyed", func(t *testing.T, s store.Store) {
		names := []string{"a", "a-1", "b", "ba", "c", "z9"}
		for i := len(names) - 1; i >= 0; i-- {
			insertPool(t, s, fmt.Sprint("u", i), names[i])
		}
		gone := insertPool(t, s, "gone", "b0")
		gone.Phase = pool.PhaseDestroyed
		update(t, s, func(w store.Writer) error { return w.UpdatePool(gone) })
		view(t, s, func(r store.Reader) error {
			all, err := r.Pools(store.Page{})
			require.NoError(t, err)
			require.Equal(t, names, poolNames(all))
			var paged []string
			for page := (store.Page{Limit: 4}); ; page.After = paged[len(paged)-1] {
				next, err := r.Pools(page)
				require.NoError(t, err)
				require.LessOrEqual(t, len(next), 4)
				if len(next) == 0 {
					break
				}
				paged = append(paged, poolNames(next)...)
			}
			require.Equal(t, names, paged)
			return nil
		})
	}},
}

func poolNames(pools []pool.Pool) (names []string) {
	for _, p := range pools {
		names = append(names, p.Name)
	}
	return names
}

var revisionCases = []testCase{
	{"a revision comes back as it was put in", func(t *testing.T, s store.Store) {
		r := full[pool.Revision](t)
		r.PoolUID = insertPool(t, s, "u1", "web").UID
		update(t, s, func(w store.Writer) error { return w.InsertRevision(r) })
		view(t, s, func(read store.Reader) error {
			got, err := read.Revision("u1", r.Number)
			require.Equal(t, stored(r), got)
			return err
		})
	}},
	{"a revision is never rewritten", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		update(t, s, func(w store.Writer) error {
			return w.InsertRevision(pool.Revision{PoolUID: "u1", Number: 1, Author: "first"})
		})
		err := s.Update(t.Context(), func(w store.Writer) error {
			return w.InsertRevision(pool.Revision{PoolUID: "u1", Number: 1, Author: "second"})
		})
		require.Error(t, err)
		view(t, s, func(r store.Reader) error {
			got, err := r.Revision("u1", 1)
			require.Equal(t, "first", got.Author)
			return err
		})
	}},
	{"revisions are listed from the newest, of one pool only", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		insertPool(t, s, "u2", "other")
		update(t, s, func(w store.Writer) error {
			for n := range int64(12) {
				require.NoError(t, w.InsertRevision(pool.Revision{PoolUID: "u1", Number: n + 1}))
			}
			return w.InsertRevision(pool.Revision{PoolUID: "u2", Number: 99})
		})
		view(t, s, func(r store.Reader) error {
			newest, err := r.Revisions("u1", 2)
			require.NoError(t, err)
			require.Len(t, newest, 2)
			require.EqualValues(t, 12, newest[0].Number)
			require.EqualValues(t, 11, newest[1].Number)
			all, err := r.Revisions("u1", 0)
			require.Len(t, all, 12)
			return err
		})
	}},
	{"what is not there is not found", func(t *testing.T, s store.Store) {
		insertPool(t, s, "u1", "web")
		view(t, s, func(r store.Reader) error {
			_, err := r.Revision("u1", 1)
			require.ErrorIs(t, err, store.ErrNotFound)
			none, err := r.Revisions("u1", 0)
			require.Empty(t, none)
			return err
		})
		err := s.Update(t.Context(), func(w store.Writer) error {
			return w.InsertRevision(pool.Revision{PoolUID: "none", Number: 1})
		})
		require.ErrorIs(t, err, store.ErrNotFound)
	}},
}
