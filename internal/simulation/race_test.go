//go:build race

package simulation

import (
	"runtime"
	"testing"
)

// TestMain leaves one processor: with the race detector, Go 1.26 crashes where two goroutines of one synctest
// bubble fire timers at the same time, since all timers of a bubble share one context of the detector (raceCtx in
// runtime/time.go), which is for one thread at a time. The detector finds the same races on one processor.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	m.Run()
}
