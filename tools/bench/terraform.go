//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// tfRunner runs terraform with providers out of a mirror.
type tfRunner struct {
	terraform, mirror, dir string
}

func (t tfRunner) dataDir() string { return filepath.Join(t.dir, "data") }

// lay puts a provider into the mirror and initializes a configuration that uses it.
func (t tfRunner) lay(ctx context.Context, provider, program string) (configuration string, err error) {
	sleep, err := exec.LookPath("sleep") // no pool has a worker, but a program has to be there
	if err != nil {
		return "", err
	}
	plugin := t.plugin(provider)
	if err := os.MkdirAll(filepath.Dir(plugin), 0o700); err != nil {
		return "", err
	}
	if err := copyProgram(program, plugin); err != nil {
		return "", err
	}
	configuration = filepath.Join(t.dir, provider)
	if err := os.Mkdir(configuration, 0o700); err != nil {
		return "", err
	}
	files := map[string]string{
		filepath.Join(configuration, "main.tf"): fmt.Sprintf(estateConfig, provider, estate, sleep),
		t.cliConfig():                           fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", t.mirror),
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return configuration, t.run(ctx, configuration, "init")
}

// plugin is where a provider's program is in the mirror. Terraform links to it.
func (t tfRunner) plugin(provider string) string {
	const version = "0.1.0"
	return filepath.Join(t.mirror, "registry.terraform.io", "poolkeeper", provider, version, runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-"+provider+"_v"+version)
}

func (t tfRunner) cliConfig() string { return filepath.Join(t.dir, "terraform.rc") }

func (t tfRunner) run(ctx context.Context, configuration string, args ...string) error {
	cmd := exec.CommandContext(ctx, t.terraform, args...)
	cmd.Dir = configuration
	cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+t.cliConfig(), "CHECKPOINT_DISABLE=1", "TF_CLI_ARGS=-no-color", "POOLKEEPER_DATA_DIR="+t.dataDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(t.terraform), strings.Join(args, " "), err, end(said.Bytes()))
	}
	return nil
}

func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
