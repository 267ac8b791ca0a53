//go:build linux

package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stage is one test's directory, and what is in it: data directories with their managers, and directories
// that Terraform works in. At its end nothing of it may be left.
type stage struct {
	t *testing.T
	parts
	dir string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	t.Parallel()
	p := theParts()
	// Not t.TempDir, which is named for the test: a socket's path must be short.
	dir, err := os.MkdirTemp(p.root, "s")
	require.NoError(t, err)
	s := &stage{t: t, parts: p, dir: dir}
	require.NoError(t, os.Mkdir(s.at("home"), 0o700))
	t.Cleanup(s.strike)
	return s
}

func (s *stage) at(names ...string) string {
	return filepath.Join(append([]string{s.dir}, names...)...)
}

// environment is all that programs get, and nothing of the caller's. The detector of races writes to files,
// except in managers, which are not given this variable.
func (s *stage) environment(more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + s.at("home"),
		"TMPDIR=" + s.dir,
		"CHECKPOINT_DISABLE=1",
		"TF_IN_AUTOMATION=1", // no advice on what to type next
		"TF_CLI_ARGS=-no-color",
		"GORACE=atexit_sleep_ms=0 log_path=" + s.at("race"),
	}, more...)
}

// strike looks whether anything of the stage is left or went wrong unseen, and removes it. Managers were
// ended before: their cleanup was registered later.
func (s *stage) strike() {
	gone := func() bool {
		left, err := processesOf(s.dir)
		return err == nil && len(left) == 0
	}
	if !comesTrue(context.Background(), gone) {
		s.t.Errorf("after the test: %v", nothingLeft(s.dir))
	} else if err := nothingLeft(s.dir); err != nil {
		s.t.Errorf("after the test: %v", err)
	}
	races, err := filepath.Glob(s.at("race.*"))
	require.NoError(s.t, err)
	for _, file := range races {
		report, err := os.ReadFile(file)
		s.t.Errorf("a data race (%v):\n%s", err, report)
	}
	require.NoError(s.t, os.RemoveAll(s.dir))
}

const (
	// patience bounds how long a test waits for what has to come.
	patience  = 2 * time.Minute
	lookEvery = 20 * time.Millisecond
)

// comesTrue looks until the condition holds, ctx ends or patience does.
func comesTrue(ctx context.Context, condition func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return condition()
		case <-look.C:
		}
	}
	return true
}

// await fails the test if the condition does not come true.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.True(t, comesTrue(t.Context(), condition), "in vain waited for: %s", what)
}

// pass lets a time go by in which something else is to happen by itself.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		require.NoError(t, context.Cause(t.Context()))
	}
}

// lastLines is the end of a file, for a test that failed.
func lastLines(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	const most = 6 << 10
	return fmt.Sprintf("the end of %s:\n%s", path, bytes.TrimSpace(data[max(0, len(data)-most):]))
}
