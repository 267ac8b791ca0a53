package lifecycle_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/backup"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

var everything = lifecycle.BackupWant{Events: true, Secrets: true}

// backedUp is a backup of pools.
func (s *stage) backedUp(want lifecycle.BackupWant) (file []byte, kept []backup.Pool) {
	s.t.Helper()
	var out bytes.Buffer
	require.NoError(s.t, s.m.Backup(s.t.Context(), want, &out))
	_, err := backup.Read(bytes.NewReader(out.Bytes()), func(p backup.Pool) error {
		kept = append(kept, p)
		return nil
	})
	require.NoError(s.t, err)
	return out.Bytes(), kept
}

// restored brings a pool back, and waits until it is there.
func (s *stage) restored(kept backup.Pool) api.Restored {
	s.t.Helper()
	done, err := s.m.Restore(s.t.Context(), lifecycle.Request{Author: author, Comment: "by mistake"}, kept, false)
	require.NoError(s.t, err)
	s.world.mu.Lock()
	s.uids[done.UID] = true
	s.world.mu.Unlock()
	s.succeeds(lifecycle.Accepted{Operation: *done.Operation})
	return done
}

// elsewhere plays a scene with a manager of the same keys, in a world and on a store of its own.
func (s *stage) elsewhere(scene func(other *stage)) {
	s.t.Helper()
	records, err := store.OpenSQLite(s.t.Context(), filepath.Join(quickDir(s.t), "manager.db"))
	require.NoError(s.t, err)
	defer records.Close()
	other := &stage{t: s.t, world: newWorld(), journal: newJournal(records), uids: map[string]bool{}, keys: s.keys, ids: 1000}
	other.open()
	defer other.close()
	scene(other)
}

func called(name string) func(*pool.Spec) { return func(s *pool.Spec) { s.Name = name } }

func TestAPoolThatIsGoneComesBackAsItWas(t *testing.T) {
	playSecrets(t, func(t *testing.T, s *stage, given map[string]string) {
		uid := s.created(spec(2, secretEnv(1, "swordfish"))).Pool.UID
		s.succeeds(s.change(spec(3, secretEnv(2, "haddock"))))
		before, events := s.view("web"), s.events(uid)
		file, kept := s.backedUp(everything)
		require.NotContains(t, string(file), "swordfish")
		require.Len(t, kept, 1)
		require.Equal(t, events, kept[0].Events)

		// In another store, as after the loss of this one, the pool has its uid again.
		s.elsewhere(func(other *stage) {
			other.world.launching = s.world.launching
			done := other.restored(kept[0])
			require.Equal(t, []any{uid, api.PlanCreate}, []any{done.UID, done.Action})
			v := other.view("web")
			require.Equal(t, before.Spec, v.Spec)
			require.Equal(t, []int64{before.Revision, before.Generation + 1}, []int64{v.Revision, v.Generation})
			require.Equal(t, before.CreatedAt, v.CreatedAt)
			require.Len(t, other.living("web"), 3)
			require.Equal(t, []string{"haddock", "haddock", "haddock"}, other.tokens(given))
			log := other.events(uid)
			require.Equal(t, events, log[:len(events)])
			require.Equal(t, []any{pool.EventPoolRestored, author, "by mistake"}, []any{log[len(events)].Type, log[len(events)].Author, log[len(events)].Comment})
			revert, err := other.m.Revert(t.Context(), asChange, "web", 1)
			require.NoError(t, err)
			other.succeeds(revert)
			require.Equal(t, "swordfish", other.tokens(given)[0], "its older secrets came along")
		})

		// In this one, where a tombstone has the uid, it is another pool.
		s.succeeds(s.destroy("web"))
		done := s.restored(kept[0])
		require.NotEqual(t, uid, done.UID)
		require.Equal(t, done.UID, s.view("web").UID)
		require.Equal(t, "haddock", s.tokens(given)[0])
	})
}

func TestAPoolThatLivesIsChangedToWhatItWas(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		uid := s.created(spec(2)).Pool.UID
		_, kept := s.backedUp(everything)
		by := lifecycle.Request{Author: author}

		same, err := s.m.Restore(t.Context(), by, kept[0], false)
		require.NoError(t, err)
		require.Equal(t, []any{uid, api.PlanNone}, []any{same.UID, same.Action})

		s.succeeds(s.change(spec(3, command("serve", "better"))))
		wouldBe, err := s.m.Restore(t.Context(), by, kept[0], true)
		require.NoError(t, err)
		require.Equal(t, api.PlanUpdate, wouldBe.Action)
		require.Nil(t, wouldBe.Operation)
		require.Equal(t, int64(2), s.view("web").Generation, "a dry run changes nothing")

		done := s.restored(kept[0])
		require.Equal(t, wouldBe.Changes, done.Changes)
		require.Equal(t, []any{uid, int64(3)}, []any{done.UID, s.view("web").Revision}, "its own history goes on")
		require.Len(t, s.living("web"), 2)
	})
}

func TestWhatABackupHolds(t *testing.T) {
	playSecrets(t, func(t *testing.T, s *stage, _ map[string]string) {
		s.created(spec(1, secretEnv(1, "swordfish")))
		s.created(spec(1, called("ci")))
		s.created(spec(0, called("going")))
		s.destroy("going")
		_, kept := s.backedUp(lifecycle.BackupWant{})
		require.Equal(t, []string{"ci", "web"}, slices.Collect(func(yield func(string) bool) {
			for _, p := range kept {
				require.Empty(t, p.Events)
				require.Empty(t, p.Secrets)
				yield(p.Pool.Name)
			}
		}))
		_, kept = s.backedUp(lifecycle.BackupWant{Pools: []string{"web"}, Secrets: true})
		require.Len(t, kept, 1)
		require.Len(t, kept[0].Secrets, 1)
		require.ErrorContains(t, s.m.Backup(t.Context(), lifecycle.BackupWant{Pools: []string{"nobody"}}, &bytes.Buffer{}), `there is no pool "nobody"`)
	})
}

func TestWhatCannotBeRestoredIsRefusedWhole(t *testing.T) {
	playSecrets(t, func(t *testing.T, s *stage, _ map[string]string) {
		s.created(spec(1, secretEnv(1, "swordfish")))
		_, kept := s.backedUp(everything)
		s.succeeds(s.destroy("web"))
		for refusal, change := range map[string]func(*backup.Pool){
			"worker.secret_env: is not there":           func(p *backup.Pool) { p.Secrets = nil },
			"cannot be read":                            func(p *backup.Pool) { p.Secrets[0].KeyID = "lost" },
			"sealed as something else":                  func(p *backup.Pool) { p.Secrets[0].PoolUID = "p_other" },
			"revision 2 stands where revision 1 should": func(p *backup.Pool) { p.Revisions[0].Number = 2 },
			"there are 0":                               func(p *backup.Pool) { p.Revisions = nil },
			"it is deleting":                            func(p *backup.Pool) { p.Pool.Phase = pool.PhaseDeleting },
			"worker.command: is required":               func(p *backup.Pool) { p.Pool.Spec.Worker.Command = nil },
		} {
			broken := kept[0]
			broken.Revisions, broken.Secrets = slices.Clone(broken.Revisions), slices.Clone(broken.Secrets)
			change(&broken)
			_, err := s.m.Restore(t.Context(), lifecycle.Request{Author: author}, broken, false)
			require.ErrorContains(t, err, refusal)
			_, err = s.m.Pool(t.Context(), "web")
			require.ErrorContains(t, err, "there is no pool", "nothing of it is there")
		}
	})
}
