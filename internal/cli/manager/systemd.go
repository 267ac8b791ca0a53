package manager

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// systemctlTimeout bounds a question to systemd that only a warning depends on.
const systemctlTimeout = 2 * time.Second

// warnOfSystemd warns if systemd would end the workers together with the manager.
func warnOfSystemd(ctx context.Context, log hclog.Logger) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return // there is no systemd where there are no control groups
	}
	unit, ofUser := unitOf(string(groups))
	if unit == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, systemctlTimeout)
	defer cancel()
	arguments := []string{"show", "--property=KillMode", "--value", unit}
	if ofUser {
		arguments = append([]string{"--user"}, arguments...)
	}
	mode, err := exec.CommandContext(ctx, "systemctl", arguments...).Output()
	if err != nil {
		return
	}
	if warning := killModeWarning(unit, strings.TrimSpace(string(mode))); warning != "" {
		log.Warn(warning)
	}
}

// unitOf is the service unit that /proc/self/cgroup puts the process in, and whether it is one of a user's
// own systemd; empty if it is in none, as in a terminal or a container.
func unitOf(groups string) (unit string, ofUser bool) {
	for line := range strings.Lines(groups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		// The unified hierarchy has no controller; the older one of systemd is named after it.
		if len(fields) != 3 || fields[1] != "" && fields[1] != "name=systemd" {
			continue
		}
		for at := fields[2]; at != "/" && at != "."; at = path.Dir(at) {
			name := path.Base(at)
			switch {
			case strings.HasSuffix(name, ".scope"), strings.HasPrefix(name, "user@"):
				return "", false
			case strings.HasSuffix(name, ".service"):
				return name, strings.Contains(path.Dir(at), "/user@")
			}
		}
	}
	return "", false
}

// killModeWarning is empty if a stop of the unit spares the workers, or its mode is not known.
func killModeWarning(unit, killMode string) string {
	switch killMode {
	case "", "process", "none":
		return ""
	}
	return fmt.Sprintf("systemd ends the workers together with the manager: unit %s has KillMode=%s. Set KillMode=process, so that workers outlive a restart of the manager", unit, killMode)
}
