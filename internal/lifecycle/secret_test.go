package lifecycle_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/seal"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// secretEnv gives workers a secret; version 0 leaves the version out, no value the values.
func secretEnv(version int64, value string) func(*pool.Spec) {
	return func(s *pool.Spec) {
		s.Worker.SecretEnvVersion = &version
		if value != "" {
			s.Worker.SecretEnv = map[string]string{"TOKEN": value}
		}
	}
}

// playSecrets is play with a key, and what TOKEN each worker was started with.
func playSecrets(t *testing.T, story func(t *testing.T, s *stage, given map[string]string)) {
	play(t, func(t *testing.T, s *stage) {
		s.keyed(seal.NewKey())
		given := map[string]string{}
		s.world.launching = func(_ context.Context, l runtime.Launch) error {
			s.world.mu.Lock()
			defer s.world.mu.Unlock()
			given[l.WorkerID] = l.Template.SecretEnv["TOKEN"]
			return nil
		}
		story(t, s, given)
	})
}

// keyed starts the manager anew with other keys.
func (s *stage) keyed(keys ...string) {
	s.t.Helper()
	s.close()
	var err error
	s.keys, err = seal.Parse(strings.Join(keys, "\n"))
	require.NoError(s.t, err)
	s.open()
}

// tokens are what the living workers were started with.
func (s *stage) tokens(given map[string]string) (tokens []string) {
	s.t.Helper()
	for _, w := range s.living("web") {
		tokens = append(tokens, given[w.ID])
	}
	return tokens
}

// secrets are the secrets of a pool, as they are recorded.
func (s *stage) secrets(uid string) (secrets []pool.Secret) {
	s.t.Helper()
	require.NoError(s.t, s.journal.Store.View(s.t.Context(), func(r store.Reader) (err error) {
		secrets, err = r.Secrets(uid)
		return err
	}))
	return secrets
}

func TestWorkersGetSecretsThatNobodyIsAnswered(t *testing.T) {
	playSecrets(t, func(t *testing.T, s *stage, given map[string]string) {
		done := s.created(spec(2, secretEnv(1, "swordfish")))
		require.Equal(t, []string{"swordfish", "swordfish"}, s.tokens(given))

		v := s.view("web")
		require.Equal(t, []string{"TOKEN"}, v.SecretNames)
		require.Equal(t, int64(1), v.Spec.Worker.SecretVersion())
		revisions, err := s.m.Revisions(t.Context(), "web", 0)
		require.NoError(t, err)
		for _, told := range []any{v, done, revisions, s.events(v.UID), s.secrets(v.UID)} {
			text, err := json.Marshal(told)
			require.NoError(t, err)
			require.NotContains(t, string(text), "swordfish")
		}
		s.world.crash(s.living("web")[0].ID)
		s.pass(0)
		require.Equal(t, []string{"swordfish", "swordfish"}, s.tokens(given), "a successor gets them too")
	})
}

func TestANewVersionOfTheSecretsReplacesTheWorkersAndNothingElseDoes(t *testing.T) {
	playSecrets(t, func(t *testing.T, s *stage, given map[string]string) {
		s.created(spec(2, secretEnv(1, "swordfish")))
		before := s.living("web")
		for name, sp := range map[string]pool.Spec{
			"the values of a known version left out": spec(2, secretEnv(1, "")),
			"the values of a known version again":    spec(2, secretEnv(1, "swordfish")),
		} {
			require.False(t, s.change(sp).Changed, name)
		}
		s.succeeds(s.change(spec(2, secretEnv(1, ""), describedAs("better"))))
		require.Equal(t, ids(before), ids(s.living("web")))

		o := s.succeeds(s.change(spec(2, secretEnv(2, "haddock"))))
		require.Equal(t, pool.ChangeRolling, o.Change)
		require.Equal(t, []string{"haddock", "haddock"}, s.tokens(given))
		s.succeeds(s.change(spec(2)))
		require.Equal(t, []string{"", ""}, s.tokens(given), "without a version there are none")

		done, err := s.m.Revert(t.Context(), asChange, "web", 1)
		require.NoError(t, err)
		s.succeeds(done)
		require.Equal(t, []string{"swordfish", "swordfish"}, s.tokens(given), "a revision has the version that it had")
	})
}

func TestAFailedRolloutReturnsToTheSecretsBefore(t *testing.T) {
	playSecrets(t, func(t *testing.T, s *stage, given map[string]string) {
		s.created(spec(2, secretEnv(1, "swordfish")))
		s.world.habits = func(l runtime.Launch) habit {
			if l.Template.SecretEnv["TOKEN"] == "haddock" {
				return habit{warmUp: 24 * time.Hour}
			}
			return habit{}
		}
		s.reverts(s.change(spec(2, probed, secretEnv(2, "haddock"))))
		require.Equal(t, []string{"swordfish", "swordfish"}, s.tokens(given))
		require.Equal(t, int64(1), s.view("web").Spec.Worker.SecretVersion())
	})
}

func TestSecretsThatCannotBeAreRefusedAndNothingChanges(t *testing.T) {
	playSecrets(t, func(t *testing.T, s *stage, _ map[string]string) {
		_, err := s.m.Put(t.Context(), asNew, spec(1, secretEnv(3, "")))
		require.ErrorContains(t, err, "worker.secret_env: is not there, and version 3 is new; valid: the values")
		uid := s.created(spec(1, secretEnv(1, "swordfish"))).Pool.UID
		for refusal, sp := range map[string]pool.Spec{
			"worker.secret_env: is not there, and version 2 is new; valid: the values, or a version that is known: 1":    spec(1, secretEnv(2, "")),
			"worker.secret_env_version: stands for other values already (got 1); valid: a version that was not used yet": spec(1, secretEnv(1, "haddock")),
		} {
			_, err := s.m.Put(t.Context(), asChange, sp)
			require.ErrorContains(t, err, refusal)
			require.NotContains(t, err.Error(), "haddock")
		}
		_, err = s.m.Foresee(t.Context(), spec(1, secretEnv(1, "haddock")))
		require.ErrorContains(t, err, "stands for other values already", "a dry run tells it too")
		require.Len(t, s.secrets(uid), 1)
		require.Equal(t, int64(1), s.view("web").Generation)
	})
}

func TestTheSecretsOfADestroyedPoolAreErased(t *testing.T) {
	playSecrets(t, func(t *testing.T, s *stage, _ map[string]string) {
		uid := s.created(spec(1, secretEnv(1, "swordfish"))).Pool.UID
		s.succeeds(s.destroy("web"))
		require.Empty(t, s.secrets(uid))
		v, err := s.m.Pool(t.Context(), uid)
		require.NoError(t, err)
		require.Equal(t, pool.StateDestroyed, v.Status.State, "its tombstone can be read without them")
	})
}

func TestANewerKeyTakesOverAndALostOneIsNamed(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		older, newer := seal.NewKey(), seal.NewKey()
		s.keyed(older)
		uid := s.created(spec(1, secretEnv(1, "swordfish"))).Pool.UID
		sealing := s.secrets(uid)[0].KeyID

		s.close()
		var err error
		s.keys, err = seal.Parse(newer)
		require.NoError(t, err)
		require.ErrorContains(t, s.tryOpen(), sealing)

		s.keyed(newer, older)
		require.Equal(t, s.keys.IDs()[0], s.secrets(uid)[0].KeyID)
		s.keyed(newer)
		s.succeeds(s.change(spec(1, secretEnv(1, "swordfish"), describedAs("the older key is gone"))))
	})
}

func TestARepeatedRequestIsKnownByAMarkThatGivesNothingAway(t *testing.T) {
	playSecrets(t, func(t *testing.T, s *stage, _ map[string]string) {
		by := lifecycle.Request{Author: author, IfNoneMatch: true, Key: "k", Fingerprint: "of a body with swordfish"}
		first, err := s.m.Put(t.Context(), by, spec(1))
		require.NoError(t, err)
		s.uids[first.Pool.UID] = true
		again, err := s.m.Put(t.Context(), by, spec(1))
		require.NoError(t, err)
		require.Equal(t, first.Operation.ID, again.Operation.ID)
		require.NoError(t, s.journal.Store.View(t.Context(), func(r store.Reader) error {
			reply, err := r.IdempotentReply(author, "k")
			require.NotEqual(t, by.Fingerprint, reply.RequestHash)
			return err
		}))
		by.Fingerprint = "of another body"
		_, err = s.m.Put(t.Context(), by, spec(1))
		require.ErrorContains(t, err, "was used for another request")
	})
}
