//go:build linux

package cli_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// unit is where the service of a program's user is written.
func (p program) unit() string {
	return filepath.Join(filepath.Dir(p.data), ".config", "systemd", "user", "poolkeeper.service")
}

// service runs what the unit says that systemd is to run, and returns once it answers.
func (p program) service(t *testing.T) *exec.Cmd {
	t.Helper()
	text, err := os.ReadFile(p.unit())
	require.NoError(t, err)
	_, line, found := strings.Cut(string(text), "\nExecStart=")
	require.True(t, found, "%s", text)
	line, _, _ = strings.Cut(line, "\n")
	// A shell reads the quotes of these words as systemd does.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "exec "+line)
	cmd.Env = p.environment
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	log := filepath.Join(t.TempDir(), "log")
	stderr, err := os.Create(log)
	require.NoError(t, err)
	t.Cleanup(func() { _ = stderr.Close() })
	cmd.Stderr = stderr
	require.NoError(t, cmd.Start())
	until(t, "the service's manager", func() bool {
		r := p.run(t.Context(), "", "manager", "status", "-o", "json")
		return r.code == 0 && strings.Contains(r.out, `"embedded": false`)
	})
	return cmd
}

func TestAnInstalledServiceTakesThePlaceOfTheEmbeddedManager(t *testing.T) {
	p := newProgram(t)
	p.data = filepath.Join(filepath.Dir(p.data), "a place")
	p.environment = append(p.environment, "POOLKEEPER_DATA_DIR="+p.data)
	p.must(t, sleepers("web", 2), "pool", "apply", "-f", "-")
	workers, embedded := p.pids(t, "web"), p.manager(t)

	said := p.must(t, "", "manager", "install", "--log-json", "--host", "h1")
	require.Contains(t, said, p.unit())
	require.Contains(t, said, "systemctl --user enable --now poolkeeper\n")
	require.Contains(t, said, "loginctl enable-linger")
	text, err := os.ReadFile(p.unit())
	require.NoError(t, err)
	require.Contains(t, string(text), "\nKillMode=process\n")
	verified(t, p.unit())

	cmd := p.service(t)
	running := p.manager(t)
	require.Equal(t, cmd.Process.Pid, running.PID)
	require.Equal(t, "h1", running.Host, "flags of manager run are carried over")
	require.Equal(t, embedded.ID, running.ID)
	require.Equal(t, workers, p.pids(t, "web"))
	until(t, "the end of the embedded manager", func() bool { return !alive(embedded.PID) })
	program, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(running.PID), "exe"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(p.data, "bin", "poolkeeper"), program, "it outlives the file that it was installed from")

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
	require.Equal(t, workers, p.pids(t, "web"))
	require.FileExists(t, program, "the embedded manager that was just started leaves it alone")
	removed := p.must(t, "", "manager", "uninstall")
	require.Contains(t, removed, "systemctl --user daemon-reload")
	require.NoFileExists(t, p.unit())
	require.NoFileExists(t, program)
	require.Equal(t, workers, p.pids(t, "web"))
	require.Contains(t, p.must(t, "", "manager", "uninstall"), "There is no "+p.unit())
}

// verified has systemd judge a unit, where it is there to be asked.
func verified(t *testing.T, unit string) {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd has not judged the unit, because it is not on this machine:", err)
		return
	}
	cmd := exec.CommandContext(t.Context(), program, "--user", "verify", unit)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "XDG_RUNTIME_DIR=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out))
}

func TestAServiceIsNotReplacedUnasked(t *testing.T) {
	p := newProgram(t)
	p.must(t, "", "manager", "install")
	first, err := os.ReadFile(p.unit())
	require.NoError(t, err)
	p.must(t, "", "manager", "install") // as for an upgrade

	refused := p.run(t.Context(), "", "manager", "install", "--log-level", "debug")
	require.Equal(t, 1, refused.code)
	require.Contains(t, refused.err, p.unit()+" says something else; --force replaces it")
	now, err := os.ReadFile(p.unit())
	require.NoError(t, err)
	require.Equal(t, string(first), string(now))

	p.must(t, "", "manager", "install", "--log-level", "debug", "--force")
	now, err = os.ReadFile(p.unit())
	require.NoError(t, err)
	require.Contains(t, string(now), "--log-level debug")

	other := p.run(t.Context(), "", "manager", "uninstall", "--data-dir", "/elsewhere")
	require.Equal(t, 1, other.code)
	require.Contains(t, other.err, "is the service of another data directory than /elsewhere")
	require.FileExists(t, p.unit())

	require.NoError(t, os.WriteFile(p.unit(), []byte("[Service]\nExecStart=/bin/true\n"), 0o600))
	alien := p.run(t.Context(), "", "manager", "uninstall")
	require.Equal(t, 1, alien.code)
	require.Contains(t, alien.err, "was not written by manager install")
	require.FileExists(t, p.unit())
}

func TestWhatCouldNotRunIsNotInstalled(t *testing.T) {
	p := newProgram(t)
	p.environment = append(p.environment, "POOLKEEPER_TOKEN=s3cret")
	for line, want := range map[string]string{
		"--listen tcp://127.0.0.1:7070":                      "takes a --token-file",
		"--token-file /nowhere":                              "read the token",
		"--log-level loud":                                   "--log-level is",
		"--name ../up":                                       "--name is",
		"--store postgres://me:hush@db/pools":                "leave the password out",
		"--backup-dir b --backup-every 1s":                   "--backup-every is 1s",
		"--system --user nobody-of-that-name --name nothing": "nobody-of-that-name",
	} {
		r := p.run(t.Context(), "", append([]string{"manager", "install"}, strings.Fields(line)...)...)
		require.Equal(t, 1, r.code, line)
		require.Contains(t, r.err, want)
	}
	require.Contains(t, p.must(t, "", "manager", "install", "--print", "--system"), "\nUser=poolkeeper\nExecStart="+p.path+" manager run --data-dir "+p.data)
	require.NoDirExists(t, p.data)
	require.NoDirExists(t, filepath.Join(filepath.Dir(p.data), ".config"))

	for variable, want := range map[string]string{"POOLKEEPER_STORE=postgres:///pools": "--store", "POOLKEEPER_SECRETS_KEY=k": "--secrets-key-file"} {
		other := p
		other.environment = append(slices.Clone(p.environment), variable)
		r := other.run(t.Context(), "", "manager", "install", "--print")
		require.Equal(t, 1, r.code, variable)
		require.Contains(t, r.err, want)
	}
}

func TestEveryFlagOfManagerRunIsCarriedOver(t *testing.T) {
	p := newProgram(t)
	help := regexp.MustCompile(`(?m)^ +--([a-z-]+)( [a-zA-Z]+)? `)
	flags := func(command string) (names []string) {
		own, _, _ := strings.Cut(p.must(t, "", "manager", command, "--help"), "Global Flags:")
		for _, found := range help.FindAllStringSubmatch(own, -1) {
			names = append(names, found[1])
		}
		return names
	}
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("t"), 0o600))
	values := map[string][]string{
		"store": {"sqlite:///srv/p.db"}, "listen": {"tcp://127.0.0.1:7070", "unix:///run/pk.sock"}, "token-file": {token}, "secrets-key-file": {"/etc/pk.key"},
		"backup-dir": {"/srv/backups"}, "backup-every": {"1h0m0s"}, "backup-keep": {"3"}, "host": {"h1"}, "log-level": {"debug"}, "log-json": nil,
	}
	install, want := []string{"manager", "install", "--print"}, []string{}
	installs := flags("install")
	for _, name := range flags("run") {
		switch name {
		case "embedded", "idle-exit", "take-over": // which make it no service
			continue
		}
		require.Contains(t, installs, name)
		require.Contains(t, values, name, "a flag of manager run: give a value for it")
		for _, value := range values[name] {
			install, want = append(install, "--"+name, value), append(want, "--"+name+" "+value)
		}
		if values[name] == nil {
			install, want = append(install, "--"+name), append(want, "--"+name)
		}
	}
	require.Subset(t, flags("run"), slices.Collect(maps.Keys(values)))
	text := p.must(t, "", install...)
	for _, argument := range want {
		require.Contains(t, text, argument)
	}
	require.NoDirExists(t, p.data)
	require.NoDirExists(t, "/srv/backups", "nothing is made by a look")
}

// TestARunningServiceIsNotUninstalled: systemd would forget that its workers are to be spared. The systemctl that
// answers here only says what the real one does of a service that runs.
func TestARunningServiceIsNotUninstalled(t *testing.T) {
	p := newProgram(t)
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "systemctl"), []byte("#!/bin/sh\necho active\n"), 0o700))
	p.environment = append(p.environment, "PATH="+bin+":"+os.Getenv("PATH"))
	p.must(t, "", "manager", "install")
	require.Contains(t, p.must(t, "", "manager", "install"), "systemctl --user restart poolkeeper\n")
	r := p.run(t.Context(), "", "manager", "uninstall")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "the service poolkeeper runs; stop it first, which its workers survive: systemctl --user disable --now poolkeeper")
	require.FileExists(t, p.unit())
}
