//go:build unix

// Bench measures what the project promises to keep cheap, each against a floor measured in the same run, because
// only the ratio tells anything about another machine. It judges nothing: it prints, and exits 0 unless
// something could not be measured.
//
// `make bench` builds what it needs and runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// programs are what is measured, and what it is measured with.
type programs struct {
	poolkeeper, floor, terraform, late string
}

// comparison is one thing measured, and its floor.
type comparison struct {
	name        string
	ours, floor []time.Duration
	bytes       bool    // it is not time that is compared
	goal        float64 // ours should be at most this many times the floor; 0 is for none
}

// measurement is one thing that can be measured, and how often it is.
type measurement struct {
	name    string
	measure func(ctx context.Context, p programs, dir string, runs int) ([]comparison, error)
	runs    int
}

// one is a measurement that gives one comparison.
func one(measure func(ctx context.Context, p programs, dir string, runs int) (comparison, error)) func(context.Context, programs, string, int) ([]comparison, error) {
	return func(ctx context.Context, p programs, dir string, runs int) ([]comparison, error) {
		c, err := measure(ctx, p, dir, runs)
		return []comparison{c}, err
	}
}

// errNotHere: what would be compared with is not on this machine.
var errNotHere = errors.New("not on the PATH")

// measurements is what there is to measure.
var measurements = append([]measurement{
	{"create", one(measureCreation), 3},
	{"terraform", measureTerraform, 1},
	{"planner-100k", one(measurePlanner(100_000)), 7},
	{"planner-1m", one(measurePlanner(1_000_000)), 3},
	{"roll", one(measureRolling), 3},
	{"replace", one(measureReplacement), 15},
	{"lease", one(measureLeases("a commit of a lease cycle / a transaction of one row, 64 callers each", 2, aloneInCommit)), 5},
	{"lease-grouped", one(measureLeases("a commit of a lease cycle / one row of many in a transaction, 64 callers each", 0, groupedInCommit)), 5},
}, onLinux...)

// names lists what there is to measure.
func names() string {
	all := make([]string, len(measurements))
	for i, m := range measurements {
		all[i] = m.name
	}
	return strings.Join(all, ", ")
}

func main() {
	var p programs
	flag.StringVar(&p.poolkeeper, "poolkeeper", "", "path of terraform-provider-poolkeeper")
	flag.StringVar(&p.floor, "floor", "", "path of the built tools/bench/floor")
	flag.StringVar(&p.late, "late", "", "path of the built tools/bench/late")
	flag.StringVar(&p.terraform, "terraform", "", "path of terraform or tofu")
	only := flag.String("only", "", "measure these alone, by name, separated by commas: "+names())
	runs := flag.Int("runs", 0, "runs of each, instead of its own number")
	flag.Parse()
	if err := bench(p, *only, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(p programs, only string, runs int) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "poolkeeper-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	var all []comparison
	var failures []error
	for _, m := range measurements {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring %s …\n", m.name)
		own := filepath.Join(dir, m.name)
		if err := os.Mkdir(own, 0o700); err != nil {
			return err
		}
		if ctx.Err() != nil {
			break
		}
		n := m.runs
		if runs > 0 {
			n = runs
		}
		found, err := m.measure(ctx, p, own, n)
		if errors.Is(err, errNotHere) {
			fmt.Fprintf(os.Stderr, "NOT MEASURED: %s: %v\n", found[0].name, err)
			continue
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("measure %s: %w", m.name, err))
		}
		_ = os.RemoveAll(own)
		all = append(all, slices.DeleteFunc(found, func(c comparison) bool { return len(c.ours) == 0 || len(c.floor) == 0 })...)
	}
	return errors.Join(append(failures, context.Cause(ctx), report(all))...)
}

// report prints medians, and the whole range in brackets.
func report(all []comparison) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "measured\tours\tfloor\tratio\tgoal")
	for _, c := range all {
		goal := "none"
		if c.goal > 0 {
			goal = fmt.Sprintf("≤ %.1f", c.goal)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%.2f\t%s\n", c.name, c.spread(c.ours), c.spread(c.floor),
			float64(median(c.ours))/float64(median(c.floor)), goal)
	}
	return table.Flush()
}

func (c comparison) spread(runs []time.Duration) string {
	if c.bytes {
		return fmt.Sprintf("%.1f MiB", float64(median(runs))/(1<<20))
	}
	return fmt.Sprintf("%v [%v–%v, n=%d]", short(median(runs)), short(slices.Min(runs)), short(slices.Max(runs)), len(runs))
}

// short keeps three or four digits.
func short(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	case d > time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}

// median of an even number is the upper one of the middle.
func median(runs []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(runs))
	return sorted[len(sorted)/2]
}
