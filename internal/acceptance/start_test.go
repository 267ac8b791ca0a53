//go:build linux

package acceptance

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestTenProvidersAtOnceStartOneManager(t *testing.T) {
	k := newStage(t).keeper("d")
	var applying []*started
	for i := range 10 {
		w := k.workspace(older)
		w.declare(w.web(set("name", fmt.Sprintf("web%d", i)), set("size", 1)))
		applying = append(applying, w.beginApply())
	}
	for _, a := range applying {
		a.wait().succeeded()
	}
	require.Len(t, k.managers(), 1)
	log, err := os.ReadFile(k.data.Log())
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(log), "the manager is ready"), string(log))
	require.Len(t, k.pools(), 10)
	for i := range 10 {
		require.Len(t, k.settled(fmt.Sprintf("web%d", i)), 1)
	}
}

// managers are the processes of programs in the data directory.
func (k *keeper) managers() (found []process) {
	k.t.Helper()
	all, err := processesOf(k.dir)
	require.NoError(k.t, err)
	for _, p := range all {
		if strings.HasPrefix(p.program, string(k.data)+"/") {
			found = append(found, p)
		}
	}
	return found
}

func TestANewerProviderReplacesTheManagerAndNoWorker(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web())
	crew, first := w.settled("web"), w.manager()
	require.Equal(t, older, first.Version)

	w.use(newer)
	w.plan().ended(planEmpty)
	require.Equal(t, first.PID, w.pid(), "reading replaces nothing")
	w.reaches(w.web(set("description", "by the newer one")))
	second := w.manager()
	require.Equal(t, newer, second.Version)
	require.Equal(t, first.ID, second.ID)
	require.Equal(t, crew, w.settled("web"))
	require.Eventually(t, func() bool { return len(w.managers()) == 1 }, 10*time.Second, 50*time.Millisecond, "the older one ends")

	w.use(older)
	w.reaches(w.web(set("description", "by the older one")))
	require.Equal(t, second.PID, w.pid(), "an older provider never downgrades")
	w.stop()
	w.reaches(w.web(set("description", "by the older one, which had to start a manager")))
	require.Equal(t, newer, w.manager().Version)
	require.Equal(t, crew, w.settled("web"))
	w.plan().ended(planEmpty)
}

func TestAManagerThatIsReplacedDuringAnUpdateGoesOnWithIt(t *testing.T) {
	w := newWorld(t)
	gently := func(greeting string) object {
		return w.web(w.args("-start-delay", "500ms"), set("worker.env", object{"GREETING": greeting}), set("update.max_surge", "1"))
	}
	w.reaches(gently("hello"))
	w.declare(gently("good day"))
	updating := w.beginApply()
	w.awaitRunning(pool.OperationUpdate)

	other := w.workspace(newer)
	other.reaches(other.web(set("name", "other"), set("size", 0)))
	require.Equal(t, newer, w.manager().Version)
	updating.wait().succeeded()
	require.Equal(t, w.greeting("good day"), w.settled("web"))
	require.Len(t, w.settled("web"), 3)
	w.plan().ended(planEmpty)
}

// use exchanges the provider's version.
func (w *workspace) use(version string) {
	w.t.Helper()
	other := w.workspace(version)
	w.cliConfig = other.cliConfig
}

func TestTheManagerAndItsWorkersOutliveTheInstalledProvider(t *testing.T) {
	s := newStage(t)
	mirror := s.at("mirror")
	plugin := filepath.Join(mirror, "registry.terraform.io", "poolkeeper", "poolkeeper", older,
		runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-poolkeeper_v"+older)
	require.NoError(t, os.MkdirAll(filepath.Dir(plugin), 0o700))
	require.NoError(t, os.Link(s.provider(older), plugin))
	w := s.keeper("d").installed(fmt.Sprintf("filesystem_mirror {\n    path = %q\n  }", mirror))
	w.declare(w.web())
	w.tf("init", "-input=false").succeeded()
	w.apply().succeeded()
	crew, pid := w.settled("web"), w.pid()

	require.NoError(t, os.RemoveAll(filepath.Join(w.folder, ".terraform")))
	require.NoError(t, os.Remove(plugin))
	for _, victim := range crew {
		require.NoError(t, syscall.Kill(victim, syscall.SIGKILL))
		break
	}
	await(t, "the replacement of a killed worker", func() bool { return len(w.running("web")) == 3 && w.pool("web").Status.Available == 3 })
	w.cli("", "pool", "resize", "web", "4").succeeded()
	require.Len(t, w.settled("web"), 4)
	require.Equal(t, pid, w.pid())

	require.NoError(t, os.Link(s.provider(older), plugin))
	w.tf("init", "-input=false").succeeded()
	w.plan().ended(planChanges)
	w.declare(w.web(set("size", 4)))
	w.plan().ended(planEmpty)
	w.destroy().succeeded()
}

func TestTheEmbeddedManagerEndsSomeTimeAfterItsLastPool(t *testing.T) {
	w := newWorld(t)
	w.reaches(w.web())
	first := w.manager()
	w.destroy().succeeded()
	await(t, "the manager's end by itself", func() bool { return w.pid() == 0 })
	await(t, "the end of its process", func() bool { return len(w.managers()) == 0 })
	require.NoFileExists(t, w.data.Socket())
	w.plan().ended(planChanges)

	w.reaches(w.web())
	require.Equal(t, first.ID, w.manager().ID, "another life of the same manager")
	require.Len(t, w.settled("web"), 3)
}

func TestAProviderUnderDebugServesTerraform(t *testing.T) {
	s := newStage(t)
	require.NoError(t, os.Mkdir(s.at("nothing"), 0o700))
	w := s.keeper("d").installed(fmt.Sprintf("filesystem_mirror {\n    path = %q\n  }", s.at("nothing")))
	cmd := exec.CommandContext(t.Context(), s.provider(older), "-debug")
	cmd.Env = s.environment(w.variable())
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	reattach := ""
	for lines := bufio.NewScanner(stdout); reattach == "" && lines.Scan(); {
		if _, after, found := strings.Cut(lines.Text(), "TF_REATTACH_PROVIDERS='"); found {
			reattach = strings.TrimSuffix(after, "'")
		}
	}
	require.NotEmpty(t, reattach, "it says how to reach it")

	w.more = append(w.more, "TF_REATTACH_PROVIDERS="+reattach)
	w.declare(w.web(set("size", 1)))
	w.tf("init", "-input=false").succeeded()
	w.apply().succeeded()
	w.plan().ended(planEmpty)
	require.Len(t, w.settled("web"), 1)
	w.destroy().succeeded()
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait())
}
