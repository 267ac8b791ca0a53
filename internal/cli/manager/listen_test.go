package manager

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
)

func TestTheSocketOfTheDataDirectoryAlwaysAnswers(t *testing.T) {
	dir := embedded.DataDir("/data")
	socket := address{"unix", "/data/manager.sock"}
	for name, row := range map[string]struct {
		listen []string
		token  bool
		want   []address
		fault  string
	}{
		"nothing said":        {want: []address{socket}},
		"said once more":      {listen: []string{"unix:///data/manager.sock"}, want: []address{socket}},
		"another socket":      {listen: []string{"unix:///run/pk.sock"}, want: []address{socket, {"unix", "/run/pk.sock"}}},
		"TCP with a token":    {listen: []string{"tcp://127.0.0.1:7070"}, token: true, want: []address{socket, {"tcp", "127.0.0.1:7070"}}},
		"TCP without a token": {listen: []string{"tcp://127.0.0.1:7070"}, fault: "--listen tcp://127.0.0.1:7070 needs a token"},
		"TCP without a port":  {listen: []string{"tcp://127.0.0.1"}, token: true, fault: "missing port"},
		"a relative socket":   {listen: []string{"unix://pk.sock"}, fault: `--listen is "unix://pk.sock"; valid: `},
		"another protocol":    {listen: []string{"http://127.0.0.1:7070"}, token: true, fault: `--listen is "http://127.0.0.1:7070"; valid: `},
		"no protocol":         {listen: []string{"127.0.0.1:7070"}, token: true, fault: "valid: "},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := addressesOf(dir, row.listen, row.token)
			if row.fault != "" {
				require.ErrorContains(t, err, row.fault)
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.want, got)
		})
	}
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pk")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func TestASocketIsItsUsersAloneFromTheFirstMoment(t *testing.T) {
	at := address{"unix", filepath.Join(shortDir(t), "m.sock")}
	l, err := at.listen(t.Context())
	require.NoError(t, err)
	defer l.Close()
	found, err := os.Stat(at.at)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), found.Mode().Perm())
	made := filepath.Join(filepath.Dir(at.at), "file")
	require.NoError(t, os.WriteFile(made, nil, 0o640))
	found, err = os.Stat(made)
	require.NoError(t, err)
	require.NotZero(t, found.Mode().Perm()&0o600, "only sockets are made so")
}

func TestOnlyASocketThatNobodyAnswersIsRemoved(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "m.sock")
	require.NoError(t, removeStale(t.Context(), path), "there is none")

	living, err := net.Listen("unix", path)
	require.NoError(t, err)
	require.ErrorContains(t, removeStale(t.Context(), path), "another program answers there")
	living.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, living.Close())
	require.FileExists(t, path)
	require.NoError(t, removeStale(t.Context(), path))
	require.NoFileExists(t, path)

	file := filepath.Join(dir, "precious")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.ErrorContains(t, removeStale(t.Context(), file), "something else than a socket")
	require.FileExists(t, file)
}

func TestAllAddressesAreOpenedOrNone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	path := filepath.Join(shortDir(t), "m.sock")
	_, err = listenAt(t.Context(), []address{{"unix", path}, {"tcp", taken.Addr().String()}})
	require.ErrorContains(t, err, "answer at tcp://"+taken.Addr().String())
	require.ErrorContains(t, err, "address already in use")
	require.NoFileExists(t, path)
}
