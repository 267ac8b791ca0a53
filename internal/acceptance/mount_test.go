//go:build linux

package acceptance

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// envMounts says that this test program may mount what it wants, because nobody else sees it.
const envMounts = "POOLKEEPER_ACCEPTANCE_MOUNTS"

const mustMount = "this test has to mount a file system: run it as root, or where users may have namespaces"

// inMounts runs a test in a process with mounts of its own: everything that it starts sees them, and nobody else.
func inMounts(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	if os.Getenv(envMounts) != "" {
		test(t)
		return
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), envMounts+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 { // who may not mount may do so in a namespace of users, as its root
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		require.NoError(t, err, mustMount)
	}
	require.NoError(t, err, string(out))
}

// mounted puts a file system in memory where the data directory is.
func (k *keeper) mounted(size string) {
	k.t.Helper()
	require.NoError(k.t, os.Mkdir(string(k.data), 0o700))
	require.NoError(k.t, syscall.Mount("tmpfs", string(k.data), "tmpfs", 0, "mode=0700,size="+size), mustMount)
	k.t.Cleanup(func() {
		k.close()
		require.NoError(k.t, syscall.Unmount(string(k.data), syscall.MNT_DETACH))
	})
}

// remount changes how it is mounted. A process that is about to be gone may keep it busy for a moment.
func (k *keeper) remount(flags uintptr, options string) {
	k.t.Helper()
	await(k.t, "the data directory mounted otherwise", func() bool {
		err := syscall.Mount("", string(k.data), "", syscall.MS_REMOUNT|flags, options)
		require.True(k.t, err == nil || errors.Is(err, syscall.EBUSY), err)
		return err == nil
	})
}

// roomy is the size of a data directory's disk that is never full.
const roomy = "size=500m"

func TestAReadOnlyDataDirectoryIsNamedAndWorksOnceWritable(t *testing.T) {
	inMounts(t, func(t *testing.T) {
		w := newWorld(t)
		w.mounted("500m")
		w.declare(w.web(set("size", 0)))
		w.remount(syscall.MS_RDONLY, roomy)
		w.apply().failed().says(string(w.data), "read-only file system")
		_, kept := w.state()
		require.False(t, kept)

		w.remount(0, roomy)
		w.apply().succeeded()
		w.stop()
		w.remount(syscall.MS_RDONLY, roomy)
		w.plan().ended(planFailed).says(string(w.data), "read-only file system")
		_, kept = w.state()
		require.True(t, kept, "nothing is known of the pool, so it is not taken as gone")

		w.remount(0, roomy)
		w.plan().ended(planEmpty)
	})
}

func TestADiskThatIsTooSmallForTheManagerIsNamed(t *testing.T) {
	inMounts(t, func(t *testing.T) {
		w := newWorld(t)
		w.mounted("1m")
		w.declare(w.web(set("size", 1)))
		w.apply().failed().says("no space left on device", string(w.data))
		require.Zero(t, w.pid())
		copies, err := filepath.Glob(filepath.Join(string(w.data), "bin", "*poolkeeper*"))
		require.NoError(t, err)
		require.Empty(t, copies, "no half copy of the program")

		w.remount(0, roomy)
		w.apply().succeeded()
		require.Len(t, w.settled("web"), 1)
	})
}

func TestADiskThatRunsFullChangesNothingAndMends(t *testing.T) {
	inMounts(t, func(t *testing.T) {
		w := newWorld(t)
		w.mounted("200m")
		w.reaches(w.web())
		uid, before := w.shown("id"), w.settled("web")
		filler := w.fill()

		triggers := object{} // more than the database has room for
		for i := range 20 {
			triggers[fmt.Sprint("file", i)] = strings.Repeat("x", 20<<10)
		}
		w.declare(w.web(set("restart_triggers", triggers)))
		w.apply().failed().says("the store cannot be written", "nothing was changed")
		require.Equal(t, before, w.settled("web"), "the workers live on")
		require.Empty(t, w.pool("web").Spec.RestartTriggers)

		require.NoError(t, os.Remove(filler))
		w.apply().succeeded()
		require.Len(t, w.pool("web").Spec.RestartTriggers, len(triggers))
		apart(t, before, w.settled("web"))
		require.Equal(t, uid, w.shown("id"))
		w.plan().ended(planEmpty)
		w.destroy().succeeded()
	})
}

// fill writes a file until the data directory's disk is full.
func (k *keeper) fill() (path string) {
	k.t.Helper()
	path = filepath.Join(string(k.data), "filler")
	file, err := os.Create(path)
	require.NoError(k.t, err)
	zeros, err := os.Open("/dev/zero")
	require.NoError(k.t, err)
	_, err = io.Copy(file, zeros)
	require.ErrorIs(k.t, err, syscall.ENOSPC)
	require.NoError(k.t, errors.Join(file.Close(), zeros.Close()))
	return path
}
