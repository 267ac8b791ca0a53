//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// peakDuring looks again and again how much memory the provider of a workspace has had at most while something is done,
// in bytes; 0 where there is no /proc.
func (t tfRunner) peakDuring(s workspace, do func() error) (peak int64, err error) {
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
	err = do()
	close(done)
	looking.Wait()
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
