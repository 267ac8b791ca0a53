package manager

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what is there as what is wanted")

// TestTheFileOfAService: what is in testdata is what a user gets to read, and the system.
func TestTheFileOfAService(t *testing.T) {
	own := service{
		Command: []string{"/home/ada/data/bin/poolkeeper", "manager", "run", "--data-dir", "/home/ada/data"},
		Path:    "/home/ada/bin:/usr/bin:/bin",
		Log:     "/home/ada/data/manager.log",
	}
	odd := service{
		Command: []string{"/home/a b 100%/$x/poolkeeper", "manager", "run", "--data-dir", "/home/a b 100%/$x", "--host", `quo"te&back\slash&<tag>`},
		Path:    `/opt/100% $x & more`,
		Log:     "/home/a&b/manager.log",
	}
	whole := service{
		Command: []string{"/usr/local/bin/poolkeeper", "manager", "run", "--data-dir", "/var/lib/poolkeeper"},
		User:    "poolkeeper",
		Log:     "/var/lib/poolkeeper/manager.log",
	}
	for file, row := range map[string]struct {
		of kindOf
		s  service
	}{
		"systemd-user.service":   {kindOf{"linux", false}, own},
		"systemd-odd.service":    {kindOf{"linux", false}, odd},
		"systemd-system.service": {kindOf{"linux", true}, whole},
		"launchd-user.plist":     {kindOf{"darwin", false}, own},
		"launchd-odd.plist":      {kindOf{"darwin", false}, odd},
		"launchd-system.plist":   {kindOf{"darwin", true}, whole},
	} {
		t.Run(file, func(t *testing.T) {
			k := kinds[row.of]
			row.s.Unit = k.prefix + "poolkeeper"
			got, err := k.text(row.s)
			require.NoError(t, err)
			path := filepath.Join("testdata", file)
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got, "go test -update writes it anew")
		})
	}
}

func TestWhatNoFileCanHoldIsRefused(t *testing.T) {
	for of, k := range kinds {
		_, err := k.text(service{Command: []string{"/bin/poolkeeper", "--host", "a\nExecStart=/bin/other"}})
		require.ErrorContains(t, err, "control characters", of)
	}
	_, err := kinds[kindOf{"linux", false}].text(service{Command: []string{`/home/"ada"/poolkeeper`}})
	require.ErrorContains(t, err, "choose another data directory")
}

// TestTheExampleIsTheServiceOfTheSystem: who reads the one and who installs the other have the same.
func TestTheExampleIsTheServiceOfTheSystem(t *testing.T) {
	example, err := os.ReadFile("../../../examples/systemd/poolkeeper.service")
	require.NoError(t, err)
	installed, err := kinds[kindOf{"linux", true}].text(service{
		Command: strings.Fields("/usr/local/bin/poolkeeper manager run --data-dir /var/lib/poolkeeper --take-over --listen tcp://127.0.0.1:7070 --token-file /etc/poolkeeper/token"),
		User:    "poolkeeper",
	})
	require.NoError(t, err)
	// The example leaves it to systemd to make the directory; install makes it.
	own := []string{"Group=poolkeeper", "StateDirectory=poolkeeper", "StateDirectoryMode=0700"}
	require.ElementsMatch(t, directives(string(example)), append(directives(installed), own...))
}

// directives are the lines of a unit that mean something.
func directives(unit string) (lines []string) {
	for line := range strings.Lines(unit) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestACommandToTypeSurvivesTheShell(t *testing.T) {
	for word, want := range map[string]string{
		"/home/ada/a.plist":    "/home/ada/a.plist",
		"/home/a b/a.plist":    "'/home/a b/a.plist'",
		"/home/o'neil/a.plist": `'/home/o'\''neil/a.plist'`,
	} {
		require.Equal(t, want, shellWord(word))
	}
}
