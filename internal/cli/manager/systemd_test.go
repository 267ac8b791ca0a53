package manager

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheUnitIsReadFromTheControlGroup(t *testing.T) {
	for name, row := range map[string]struct {
		groups string
		unit   string
		ofUser bool
	}{
		"a service":                   {"0::/system.slice/poolkeeper.service\n", "poolkeeper.service", false},
		"a group of its own in one":   {"0::/system.slice/poolkeeper.service/manager\n", "poolkeeper.service", false},
		"a template's instance":       {"0::/system.slice/system-poolkeeper.slice/poolkeeper@a.service\n", "poolkeeper@a.service", false},
		"a user's service":            {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/poolkeeper.service\n", "poolkeeper.service", true},
		"the older hierarchy":         {"12:pids:/system.slice/other.service\n1:name=systemd:/system.slice/poolkeeper.service\n0::/\n", "poolkeeper.service", false},
		"a terminal":                  {"0::/user.slice/user-1000.slice/session-3.scope\n", "", false},
		"a terminal of a desktop":     {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/vte-spawn-1.scope\n", "", false},
		"the user's systemd itself":   {"0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", "", false},
		"a user's group of no unit":   {"0::/user.slice/user-1000.slice/user@1000.service/app.slice\n", "", false},
		"a container":                 {"0::/\n", "", false},
		"a container without its own": {"0::/docker/0123\n", "", false},
		"nothing":                     {"", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			unit, ofUser := unitOf(row.groups)
			require.Equal(t, row.unit, unit)
			require.Equal(t, row.ofUser, ofUser)
		})
	}
}

func TestOnlyAModeThatEndsWorkersIsWarnedOf(t *testing.T) {
	for mode, warned := range map[string]bool{"process": false, "none": false, "": false, "control-group": true, "mixed": true} {
		warning := killModeWarning("poolkeeper.service", mode)
		require.Equal(t, warned, warning != "", mode)
		if warned {
			require.Contains(t, warning, "unit poolkeeper.service has KillMode="+mode)
			require.Contains(t, warning, "Set KillMode=process")
		}
	}
}
