package store_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

func TestAURLOfSQLiteNamesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space? #1%.db")
	s := openSQLite(t, path)
	appendEvent(t, s, "hello")
	closeStore(t, s)
	s, err := store.Open(t.Context(), store.SQLiteURL(path))
	require.NoError(t, err)
	require.Equal(t, []string{"hello"}, messages(t, s))
	closeStore(t, s)
}

func TestAURLThatNamesNoStoreIsNamedWithWhatIsValid(t *testing.T) {
	for name, c := range map[string]struct{ location, says string }{
		"nothing":                  {"", `""`},
		"a path":                   {"/var/lib/store.db", `"/var/lib/store.db"`},
		"another database":         {"mysql://host/db", `"mysql://host/db"`},
		"a relative file":          {"sqlite://store.db", `"sqlite://store.db"`},
		"no file":                  {"sqlite:///", `"sqlite:///"`},
		"a directory":              {"sqlite:///var/lib/", `"sqlite:///var/lib/"`},
		"a file with a query":      {"sqlite:///var/lib/store.db?mode=ro", `"sqlite:///var/lib/store.db?mode=ro"`},
		"an unknown port":          {"postgres://user@host:port/db", `"postgres://…"`},
		"a number out of bounds":   {"postgres://user@host:99999/db", `"postgres://user@host:99999/db"`},
		"an unknown kind of TLS":   {"postgres://user@host/db?sslmode=perhaps", `"postgres://user@host/db?sslmode=perhaps"`},
		"a password":               {"mysql://root:hush@host/db", `"mysql://root:xxxxx@host/db"`},
		"a password in the query":  {"postgres://host:99999/db?password=hush", `"postgres://host:99999/db?password=xxxxx"`},
		"a password with a slash":  {"postgres://root:1/hush@host:99999/db", `"postgres://…"`},
		"a password with a query":  {"postgres://root:1?hush@host:99999/db", `"postgres://…"`},
		"a password with a number": {"postgres://root:1#hush@host:99999/db", `"postgres://…"`},
		"a password with a %":      {"postgres://root:%hush@host/db", `"postgres://…"`},
		"words":                    {"host=db password=hush", "not shown"},
		"no slashes":               {"postgres:root:hush@host/db", "not shown"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), c.location)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "valid: sqlite:///path/to/file, postgres://user@host/database")
			require.NotContains(t, err.Error(), "hush")
		})
	}
}
