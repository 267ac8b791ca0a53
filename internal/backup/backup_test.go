package backup_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/backup"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func spec(name string) pool.Spec {
	s := pool.Default()
	s.Name, s.Worker.Command = name, []string{"serve", "\n"}
	return s
}

func sample(name string) backup.Pool {
	at := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	return backup.Pool{
		Pool:      pool.Pool{UID: "p_" + name, Name: name, Phase: pool.PhaseLive, Spec: spec(name), Revision: 2, Generation: 5, CreatedAt: at},
		Revisions: []pool.Revision{{PoolUID: "p_" + name, Number: 1, Spec: spec(name)}, {PoolUID: "p_" + name, Number: 2, Spec: spec(name)}},
		Secrets:   []pool.Secret{{PoolUID: "p_" + name, Version: 1, Names: []string{"A"}, KeyID: "k", Sealed: []byte{0, 255}}},
		Events:    []pool.Event{{PoolUID: "p_" + name, Sequence: 1, Type: pool.EventPoolCreated, Time: at}},
	}
}

// written is a backup of pools.
func written(t *testing.T, pools ...backup.Pool) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := backup.NewWriter(&file, backup.Header{ManagerID: "m", Incarnation: "i", Events: true, Secrets: true})
	require.NoError(t, err)
	for _, p := range pools {
		require.NoError(t, w.Put(p))
	}
	require.NoError(t, w.Close())
	return file.Bytes()
}

func read(file []byte) (h backup.Header, pools []backup.Pool, err error) {
	h, err = backup.Read(bytes.NewReader(file), func(p backup.Pool) error {
		pools = append(pools, p)
		return nil
	})
	return h, pools, err
}

func TestABackupComesBackAsItWasWritten(t *testing.T) {
	want := []backup.Pool{sample("web"), sample("ci")}
	h, got, err := read(written(t, want...))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, []string{"m", "i"}, []string{h.ManagerID, h.Incarnation})
	_, err = backup.Read(bytes.NewReader(written(t)), nil)
	require.NoError(t, err, "one of no pools")
}

func TestAFieldThatIsYoungerThanABackupHasItsDefault(t *testing.T) {
	file := written(t, sample("web"))
	older := bytes.ReplaceAll(file, []byte(`"initialization":"prewarmed",`), nil)
	require.NotEqual(t, file, older)
	var got backup.Pool
	_, err := backup.Read(bytes.NewReader(older), func(p backup.Pool) error { got = p; return nil })
	require.ErrorIs(t, err, backup.ErrDamaged, "it was altered, after all")
	require.Equal(t, pool.Prewarmed, got.Pool.Spec.Initialization)
	require.Equal(t, pool.Prewarmed, got.Revisions[1].Spec.Initialization)
}

func TestNoByteOfABackupCanBeLostOrAltered(t *testing.T) {
	file := written(t, sample("web"), sample("ci"))
	for i := range file {
		_, err := backup.Read(bytes.NewReader(file[:i]), nil)
		require.ErrorIs(t, err, backup.ErrDamaged, "cut at byte %d", i)
		altered := bytes.Clone(file)
		altered[i] ^= 1
		_, err = backup.Read(bytes.NewReader(altered), nil)
		require.Error(t, err, "altered at byte %d", i)
	}
	_, err := backup.Read(bytes.NewReader(append(file, file...)), nil)
	require.ErrorIs(t, err, backup.ErrDamaged, "two in one file")
	lines := strings.SplitAfter(string(file), "\n")
	_, err = backup.Read(strings.NewReader(lines[0]+lines[2]+lines[1]+lines[3]), nil)
	require.ErrorIs(t, err, backup.ErrDamaged, "in another order")
}

func TestANewerBackupAndWhatIsNoneAreRefused(t *testing.T) {
	_, err := backup.Read(strings.NewReader(`{"format":"poolkeeper backup","version":2,"program":"9.0.0"}`+"\n"), nil)
	require.ErrorIs(t, err, backup.ErrNewer)
	require.ErrorContains(t, err, "version 2 (written by 9.0.0), and this one reads 1 at most")
	for _, file := range []string{"", "\n", "name: web", `{"name":"web"}`, strings.Repeat("x", 1<<20)} {
		_, err := backup.Read(strings.NewReader(file), nil)
		require.ErrorIs(t, err, backup.ErrDamaged)
	}
}
