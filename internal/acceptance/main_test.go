//go:build linux

package acceptance

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// envRoot names the run's directory to the tests: everything that a run builds, starts and writes is in it.
const envRoot = "POOLKEEPER_ACCEPTANCE_ROOT"

// atOnce is how many tests run at the same time: most of them wait most of the time.
const atOnce = 4

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(envRoot) != "" { // a test that another run has started, for mounts of its own
		os.Exit(m.Run())
	}
	code, err := suite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		code = 1
	}
	os.Exit(code)
}

// suite builds the programs once, runs the tests, and looks whether they left anything behind.
func suite(m *testing.M) (code int, err error) {
	root, err := os.MkdirTemp("", "pk-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	// Programs are recognized by their path, so it must not lead over a link.
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return 1, err
	}
	if err := os.Setenv(envRoot, root); err != nil {
		return 1, err
	}
	defer sweptWhenInterrupted(root)()
	if err := buildAll(context.Background(), root); err != nil {
		return 1, err
	}
	if err := atLeastAtOnce(); err != nil {
		return 1, err
	}
	code = m.Run()
	return code, nothingLeft(root)
}

// atLeastAtOnce raises the number of parallel tests, unless somebody has chosen it.
func atLeastAtOnce() error {
	parallel := flag.Lookup("test.parallel")
	if most, err := strconv.Atoi(parallel.DefValue); err != nil || most >= atOnce || parallel.Value.String() != parallel.DefValue {
		return err
	}
	return flag.Set("test.parallel", strconv.Itoa(atOnce))
}

// sweptWhenInterrupted ends what the tests have started when somebody ends them: none of it is in their process
// group. Calling what it returns ends the readiness to do so.
func sweptWhenInterrupted(root string) (done func()) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, interrupted := <-told; interrupted {
			fmt.Fprintln(os.Stderr, "interrupted:", errors.Join(nothingLeft(root), os.RemoveAll(root)))
			os.Exit(1)
		}
	}()
	return func() {
		signal.Stop(told)
		close(told)
	}
}
