package embedded

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
)

func TestEverySightHasOneStep(t *testing.T) {
	for _, row := range []struct {
		sight sight
		want  step
	}{
		{sight{}, launch},
		{sight{ready: true}, done},
		{sight{locked: true}, await},
		{sight{ready: true, locked: true, launched: true}, done},
		{sight{launched: true}, await},
		{sight{launched: true, locked: true}, await},
		{sight{launched: true, exited: true}, failed},
		{sight{launched: true, exited: true, locked: true}, await},
		{sight{launched: true, exited: true, ready: true}, done},
	} {
		require.Equal(t, row.want, row.sight.next(), "%+v", row.sight)
	}
}

func TestWhatARequestJustifies(t *testing.T) {
	for request, want := range map[string]demand{
		"GET /v1/manager":              reads,
		"GET /v1/operations/op1":       reads,
		"POST /v1/pools:validate":      reads,
		"POST /v1/manager:stop":        stops,
		"POST /v1/tokens":              reads,
		"DELETE /v1/tokens/tok_1":      reads,
		"PUT /v1/pools/web":            changes,
		"PATCH /v1/pools/web":          changes,
		"DELETE /v1/pools/web":         changes,
		"POST /v1/pools/web:restart":   changes,
		"POST /v1/pools/stop:resize":   changes,
		"DELETE /v1/pools/p:validate1": changes,
	} {
		method, path, _ := strings.Cut(request, " ")
		require.Equal(t, want, demandOf(httptest.NewRequest(method, path, http.NoBody)), request)
	}
}

func TestOnlyKnownVariablesArePassedOn(t *testing.T) {
	got := inherited([]string{
		"PATH=/bin", "HOME=/root", "USER=u", "LOGNAME=u", "LANG=C", "LC_ALL=C", "LC_=x", "TZ=UTC", "TMPDIR=/t", "XDG_RUNTIME_DIR=/run",
		"PATHS=no", "TF_VAR_x=no", "TF_CLI_CONFIG_FILE=no", "AWS_SECRET_ACCESS_KEY=no", "POOLKEEPER_TOKEN=no", "LD_PRELOAD=no", "MYXDG_=no", "=C:=no", "",
	})
	require.Equal(t, []string{"PATH=/bin", "HOME=/root", "USER=u", "LOGNAME=u", "LANG=C", "LC_ALL=C", "LC_=x", "TZ=UTC", "TMPDIR=/t", "XDG_RUNTIME_DIR=/run"}, got)
}

func TestVersionsAreComparedOnlyIfBothAreSome(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"0.1.0", "0.2.0", true},
		{"0.9.0", "0.10.0", true},
		{"1.0.0-beta.2", "1.0.0", true},
		{"0.2.0", "0.2.0", false},
		{"0.2.0", "0.1.0", false},
		{"dev", "0.1.0", false},
		{"0.1.0", "dev", false},
		{"", "0.1.0", false},
		{"v0.1.0", "0.2.0", false},
	} {
		require.Equal(t, row.want, older(row.a, row.b), "%s before %s", row.a, row.b)
	}
}

func TestTheDefaultDataDirectoryIsAmongTheUsersData(t *testing.T) {
	t.Setenv("HOME", "/home/ada")
	for xdg, want := range map[string]string{
		"":          "/home/ada/.local/share/poolkeeper",
		"/data":     "/data/poolkeeper",
		"not/rooty": "/home/ada/.local/share/poolkeeper",
	} {
		t.Setenv("XDG_DATA_HOME", xdg)
		dir, err := Resolve("")
		require.NoError(t, err)
		require.Equal(t, want, string(dir))
	}
	t.Setenv("HOME", "")
	t.Setenv("XDG_DATA_HOME", "")
	_, err := Resolve("")
	for _, way := range []string{"--data-dir", "data_dir", "POOLKEEPER_DATA_DIR"} {
		require.ErrorContains(t, err, way)
	}
}

func TestARelativeDataDirectoryBecomesAbsolute(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	require.NoError(t, err)
	dir, err := Resolve("pools/../data")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(here, "data"), string(dir))
}

func TestADataDirectoryTooLongForASocketIsRefusedAtOnce(t *testing.T) {
	most := maxSocketPath[runtime.GOOS]
	longest := "/" + strings.Repeat("d", most-len("//manager.sock"))
	_, err := Resolve(longest)
	require.NoError(t, err)
	_, err = New(Options{DataDir: longest + "d"})
	require.ErrorContains(t, err, fmt.Sprintf("has %d bytes, and the operating system takes at most %d; choose a shorter data_dir", most+1, most))
	require.ErrorContains(t, err, longest+"d")
}

func TestADataDirectoryThatCannotBeWrittenIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, dir := range map[string]string{
		"a file":                 file,
		"below a file":           filepath.Join(file, "data"),
		"a place for no files":   "/proc/self",
		"a place for no folders": "/proc/poolkeeper",
	} {
		t.Run(name, func(t *testing.T) {
			local, err := New(Options{DataDir: dir})
			require.NoError(t, err)
			err = local.Start(t.Context())
			require.ErrorContains(t, err, dir)
			require.Regexp(t, "cannot be (created|written)", err.Error())
			require.ErrorContains(t, err, "choose another data_dir")
		})
	}
}

func TestACopyOfTheProgramIsWholeAndMadeOnce(t *testing.T) {
	dir := DataDir(t.TempDir())
	program := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"), 0o600))
	l := &Local{dir: dir, executable: program, version: "0.1.0", log: hclog.NewNullLogger()}
	first, err := l.install()
	require.NoError(t, err)
	made, err := os.Stat(first)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), made.Mode().Perm())
	require.NoError(t, os.WriteFile(filepath.Join(dir.programs(), ".poolkeeper-123"), []byte("half"), 0o600))

	again, err := l.install()
	require.NoError(t, err)
	require.Equal(t, first, again)
	now, err := os.Stat(again)
	require.NoError(t, err)
	require.True(t, os.SameFile(made, now))

	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\ntrue\n"), 0o600))
	next, err := l.install()
	require.NoError(t, err)
	require.NotEqual(t, first, next)
	left, err := os.ReadDir(dir.programs())
	require.NoError(t, err)
	names := []string{}
	for _, e := range left {
		names = append(names, e.Name())
	}
	require.ElementsMatch(t, []string{newestRecord, filepath.Base(next)}, names)

	require.NoError(t, os.Remove(program))
	_, err = l.install()
	require.ErrorContains(t, err, "read the program to start the manager from")
}

func TestALongLogIsBegunAnewOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "manager.log")
	require.NoError(t, os.WriteFile(path, []byte("short\n"), 0o600))
	log, written, err := openLog(path)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	require.EqualValues(t, 6, written)

	require.NoError(t, os.Truncate(path, maxLog+1))
	log, written, err = openLog(path)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	require.Zero(t, written)
	kept, err := os.Stat(path + ".1")
	require.NoError(t, err)
	require.EqualValues(t, maxLog+1, kept.Size())
}
