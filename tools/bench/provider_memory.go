//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// measureProviderMemory compares the most memory that the provider's process has during an apply of the estate.
func measureProviderMemory(ctx context.Context, p programs, dir string, runs int) (c comparison, err error) {
	c = comparison{name: fmt.Sprintf("peak memory of the provider, apply of %d empty pools / of one that does nothing", estate), bytes: true}
	err = withEstates(ctx, p, dir, func(t tfRunner, sides []workspace) error {
		most := make([][]time.Duration, len(sides)) // bytes
		for range runs {
			for i, s := range sides {
				peak, err := t.peakDuring(ctx, s, tfApply)
				if err != nil {
					return err
				}
				most[i] = append(most[i], time.Duration(peak))
				if err := t.run(ctx, s.configuration, tfDestroy...); err != nil {
					return err
				}
			}
		}
		c.ours, c.floor = most[0], most[1]
		return nil
	})
	return c, err
}

// peakDuring runs Terraform and looks again and again how much memory its provider has had at most, in bytes.
func (t tfRunner) peakDuring(ctx context.Context, s workspace, args []string) (peak int64, err error) {
	var looking sync.WaitGroup
	done := make(chan struct{})
	looking.Go(func() {
		look := time.NewTicker(20 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-done:
				return
			case <-look.C:
				peak = max(peak, highWater(t.plugin(s.provider)))
			}
		}
	})
	err = t.run(ctx, s.configuration, args...)
	close(done)
	looking.Wait()
	if err == nil && peak == 0 {
		err = errors.New("the provider's process was not seen")
	}
	return peak, err
}

// highWater is the most memory (VmHWM) that the processes of a program have had so far, in bytes.
func highWater(program string) (most int64) {
	links, _ := filepath.Glob("/proc/[0-9]*/exe") // the pattern is well formed
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != program {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(link), "status"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		for line := range strings.Lines(string(status)) {
			if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				kib, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
				most = max(most, kib<<10)
			}
		}
	}
	return most
}
