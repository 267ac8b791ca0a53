package provider

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

// secretive is a configuration with a secret.
func secretive(version any, value any) object {
	return web(at("worker.secret_env_wo", object{"TOKEN": value}), at("worker.secret_env_wo_version", version))
}

func TestSecretsReachTheManagerAndNoState(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(secretive(1, "swordfish"))
	require.Equal(t, []map[string]string{{"TOKEN": "swordfish"}}, fake.secrets)
	require.Nil(t, tf.shown("worker.secret_env_wo"))
	require.NotContains(t, tf.state.String(), "swordfish")
	require.Equal(t, int64(1), tf.shown("worker.secret_env_wo_version"))
	require.Empty(t, summaries(tf.refresh()))
	require.True(t, tf.plan(secretive(1, "swordfish")).empty(tf))
}

func TestOnlyANewVersionBringsSecrets(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(secretive(1, "swordfish"))
	require.True(t, tf.plan(secretive(1, "haddock")).empty(tf), "a plan does not see the values")

	tf.reaches(overlaid(secretive(1, "haddock"), object{"description": "better"}))
	require.Nil(t, fake.secrets[1], "values that were not meant are not sent along")

	p := tf.plan(secretive(2, "haddock"))
	require.Equal(t, "rolling", plain(valueAt(p.value, "last_change")))
	require.NotContains(t, p.value.String(), "haddock")
	require.Empty(t, summaries(tf.apply(p)))
	require.Equal(t, map[string]string{"TOKEN": "haddock"}, fake.secrets[2])

	_, err := fake.Patch(t.Context(), "web", []byte(`{"worker": {"secret_env_version": 3}}`), client.Change{})
	require.NoError(t, err)
	require.Empty(t, summaries(tf.refresh()))
	tf.reaches(secretive(2, "haddock"))
	require.Equal(t, map[string]string{"TOKEN": "haddock"}, fake.secrets[3], "after another version was set elsewhere")

	tf.reaches(web())
	require.Nil(t, tf.shown("worker.secret_env_wo_version"))
	require.True(t, tf.plan(web()).empty(tf))
}

func TestSecretsAreJudgedByTheirNamesInHCL(t *testing.T) {
	tf := newTerraform(t, newFake())
	for _, c := range []struct {
		config  object
		at, why string
	}{
		{web(at("worker.secret_env_wo", object{"TOKEN": "swordfish"})), "worker.secret_env_wo_version", "worker.secret_env_wo_version: is required beside worker.secret_env_wo"},
		{secretive(0, "swordfish"), "worker.secret_env_wo_version", "is out of range"},
		{web(at("worker.secret_env_wo", object{"A-B": "swordfish"}), at("worker.secret_env_wo_version", 1)), `worker.secret_env_wo["A-B"]`, "environment variable"},
	} {
		found := tf.validate(c.config)
		require.Len(t, found, 1)
		require.Equal(t, c.at, dotted(found[0].Attribute))
		require.Contains(t, found[0].Detail, c.why)
		require.NotContains(t, found[0].Detail, "swordfish")
	}
	require.Empty(t, summaries(tf.validate(secretive(1, unknown))))
	require.Empty(t, summaries(tf.validate(web(at("worker.secret_env_wo", unknown), at("worker.secret_env_wo_version", unknown)))))
}
