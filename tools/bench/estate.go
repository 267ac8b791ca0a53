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

// move is something that Terraform does to an estate, between what makes it possible and what makes it possible again.
type move struct {
	what          string
	goal          float64
	first         []string // once
	timed, undoes []string // in each run
}

var (
	moveApply   = move{what: "apply of %d empty pools", goal: 2, timed: tfApply, undoes: tfDestroy}
	movePlan    = move{what: "plan of %d unchanged pools", goal: 1.3, first: tfApply, timed: tfPlan}
	moveDestroy = move{what: "destroy of %d empty pools", goal: 2, first: tfApply, timed: tfDestroy, undoes: tfApply}
)

// measureEstate compares a move with the same in a provider that does nothing.
func measureEstate(m move) func(context.Context, programs, string, int) (comparison, error) {
	return func(ctx context.Context, p programs, dir string, runs int) (c comparison, err error) {
		c = comparison{name: fmt.Sprintf(m.what+" / of as many in a provider that does nothing", estate), goal: m.goal}
		err = withEstates(ctx, p, dir, func(t tfRunner, sides []workspace) error {
			c.ours, c.floor, err = t.alternate(ctx, sides, m, runs)
			return err
		})
		return c, err
	}
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

// alternate makes the move on one side and then the other, again and again, and returns how long it took on each.
func (t tfRunner) alternate(ctx context.Context, sides []workspace, m move, runs int) (ours, floor []time.Duration, err error) {
	if m.first != nil {
		for _, s := range sides {
			if err := t.run(ctx, s.configuration, m.first...); err != nil {
				return nil, nil, err
			}
		}
	}
	took := make([][]time.Duration, len(sides))
	for range runs {
		for i, s := range sides {
			began := time.Now()
			if err := t.run(ctx, s.configuration, m.timed...); err != nil {
				return nil, nil, err
			}
			took[i] = append(took[i], time.Since(began))
			if m.undoes == nil {
				continue
			}
			if err := t.run(ctx, s.configuration, m.undoes...); err != nil {
				return nil, nil, err
			}
		}
	}
	return took[0], took[1], nil
}
