//go:build unix

// Demo shows the main job with real parts: Terraform manages a pool of HTTP job workers on this machine, through
// creation, a hot change, a rolling change under load, a crash, drift and destruction. It works in a temporary
// directory, asks nothing and leaves nothing. A step that does not come out as promised fails it.
//
// `make demo` builds what it needs and runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// patience bounds the whole demonstration, and tidying bounds its cleaning up.
const (
	patience = 5 * time.Minute
	tidying  = time.Minute
)

func main() {
	var parts parts
	flag.StringVar(&parts.poolkeeper, "poolkeeper", "", "path of terraform-provider-poolkeeper")
	flag.StringVar(&parts.worker, "worker", "", "path of the built examples/worker")
	flag.StringVar(&parts.terraform, "terraform", "", "path of terraform or tofu")
	flag.StringVar(&parts.quickstart, "quickstart", "examples/quickstart", "path of examples/quickstart")
	flag.Parse()

	if err := demonstrate(parts); err != nil {
		fmt.Fprintf(os.Stderr, "\nThe demo FAILED: %v\n", err)
		os.Exit(1)
	}
}

func demonstrate(parts parts) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	began := time.Now()
	stage, err := raise(parts, os.Stdout)
	if err != nil {
		return fmt.Errorf("prepare a temporary directory: %w", err)
	}
	defer func() {
		// The end of ctx, a Ctrl-C for one, must not end the cleaning up.
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidying)
		defer cancel()
		err = errors.Join(err, stage.strike(tidy, err != nil))
	}()

	fmt.Printf("All of this happens in %s. Of Terraform's output the lines are shown that tell of the pool.\n", stage.dir)
	for i, step := range story {
		stage.heading(i+1, step.title)
		if err := step.show(ctx, stage); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("interrupted (%w): %w", context.Cause(ctx), err)
			}
			return fmt.Errorf("step %d, %q: %w", i+1, step.title, err)
		}
	}
	fmt.Printf("\nAll of it held, in %.0f s.\n", time.Since(began).Seconds())
	return nil
}
