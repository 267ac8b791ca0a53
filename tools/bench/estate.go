//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// estate is how many pools one configuration has.
const estate = 1000

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

// parallelism is Terraform's own default.
const parallelism = "-parallelism=10"

// An exit code of 2 of the plan would say that it is not empty.
var (
	tfApply   = []string{"apply", "-auto-approve", "-lock=false", parallelism}
	tfPlan    = []string{"plan", "-detailed-exitcode", "-lock=false", parallelism}
	tfDestroy = []string{"destroy", "-auto-approve", "-lock=false", parallelism}
)

// plansPerRun is how often an estate is planned between its apply and its destroy.
const plansPerRun = 3

// measureTerraform takes an estate of empty pools through apply, plan and destroy, beside the same in a provider that does
// nothing, and looks at the providers' memory meanwhile.
func measureTerraform(ctx context.Context, p programs, dir string, runs int) ([]comparison, error) {
	const beside = " / of as many in a provider that does nothing"
	apply := comparison{name: fmt.Sprintf("apply of %d empty pools", estate) + beside, goal: 2}
	plan := comparison{name: fmt.Sprintf("plan of %d unchanged pools", estate) + beside, goal: 1.3}
	destroy := comparison{name: fmt.Sprintf("destroy of %d empty pools", estate) + beside, goal: 2}
	memory := comparison{name: fmt.Sprintf("peak memory of the provider, apply of %d pools", estate) + beside, bytes: true}
	err := withEstates(ctx, p, dir, func(t tfRunner, sides []workspace) error {
		for range runs {
			for i, s := range sides {
				note := func(c *comparison, d time.Duration) {
					into := &c.ours
					if i > 0 {
						into = &c.floor
					}
					*into = append(*into, d)
				}
				timed := func(c *comparison, args []string) error {
					began := time.Now()
					err := t.run(ctx, s.configuration, args...)
					note(c, time.Since(began))
					return err
				}
				peak, err := t.peakDuring(s, func() error { return timed(&apply, tfApply) })
				if err != nil {
					return err
				}
				note(&memory, time.Duration(peak)) // bytes
				for range plansPerRun {
					if err := timed(&plan, tfPlan); err != nil {
						return err
					}
				}
				if err := timed(&destroy, tfDestroy); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if len(memory.ours) > 0 && memory.ours[0] == 0 { // where there is no /proc
		memory.ours, memory.floor = nil, nil
	}
	return []comparison{apply, plan, destroy, memory}, err
}

// workspace is a configuration, and the provider that it uses.
type workspace struct{ configuration, provider string }

// withEstates lays out the estate for both providers, ours first, beside a manager.
func withEstates(ctx context.Context, p programs, dir string, use func(tfRunner, []workspace) error) (err error) {
	t := tfRunner{terraform: p.terraform, mirror: filepath.Join(dir, "mirror"), dir: dir}
	var sides []workspace
	for _, one := range []struct{ provider, program string }{{"poolkeeper", p.poolkeeper}, {"floor", p.floor}} {
		configuration, err := t.lay(ctx, one.provider, one.program)
		if err != nil {
			return err
		}
		sides = append(sides, workspace{configuration, one.provider})
	}
	m, err := startManager(ctx, p.poolkeeper, t.dataDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.stop(ctx)) }()
	return use(t, sides)
}
