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

// estate is how many pools one configuration has.
const estate = 200

// estateConfig fits the provider and its floor alike: both call their resource by the same name.
const estateConfig = `
terraform {
  required_providers {
    poolkeeper = { source = "registry.terraform.io/poolkeeper/%s" }
  }
}

resource "poolkeeper_resource_pool" "each" {
  for_each       = toset([for i in range(%d) : format("pool-%%03d", i)])
  name           = each.key
  size           = 0
  initialization = "empty"
  labels         = { team = "platform" }
  worker = {
    command = [%q, "3600"]
    env     = { LOG_LEVEL = "info" }
    ports   = [{ name = "http" }]
  }
  health = { http = { path = "/healthz" } }
}
`

// measurePlan compares a plan that finds nothing to do for 200 pools with the same in a provider that does nothing.
func measurePlan(ctx context.Context, p programs, dir string, runs int) (c comparison, err error) {
	c = comparison{name: fmt.Sprintf("plan of %d unchanged pools / of as many in a provider that does nothing", estate), goal: 1.3}
	t := tfRunner{terraform: p.terraform, mirror: filepath.Join(dir, "mirror"), dir: dir}
	ours, err := t.lay(ctx, "poolkeeper", p.poolkeeper)
	if err != nil {
		return c, err
	}
	floor, err := t.lay(ctx, "floor", p.floor)
	if err != nil {
		return c, err
	}
	m, err := startManager(ctx, p.poolkeeper, t.dataDir())
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, m.stop(ctx)) }()

	for _, configuration := range []string{ours, floor} {
		if err := t.run(ctx, configuration, "apply", "-auto-approve", "-parallelism=50"); err != nil {
			return c, err
		}
	}
	for range runs {
		for _, side := range []struct {
			configuration string
			took          *[]time.Duration
		}{{ours, &c.ours}, {floor, &c.floor}} {
			began := time.Now()
			// An exit code of 2 would say that the plan is not empty.
			if err := t.run(ctx, side.configuration, "plan", "-detailed-exitcode", "-lock=false"); err != nil {
				return c, err
			}
			*side.took = append(*side.took, time.Since(began))
		}
	}
	return c, nil
}

// tfRunner runs terraform with providers out of a mirror.
type tfRunner struct {
	terraform, mirror, dir string
}

func (t tfRunner) dataDir() string { return filepath.Join(t.dir, "data") }

// lay puts a provider into the mirror and initializes a configuration that uses it.
func (t tfRunner) lay(ctx context.Context, provider, program string) (configuration string, err error) {
	const version = "0.1.0"
	sleep, err := exec.LookPath("sleep") // no pool has a worker, but a program has to be there
	if err != nil {
		return "", err
	}
	plugin := filepath.Join(t.mirror, "registry.terraform.io", "poolkeeper", provider, version, runtime.GOOS+"_"+runtime.GOARCH)
	if err := os.MkdirAll(plugin, 0o700); err != nil {
		return "", err
	}
	if err := copyProgram(program, filepath.Join(plugin, "terraform-provider-"+provider+"_v"+version)); err != nil {
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
