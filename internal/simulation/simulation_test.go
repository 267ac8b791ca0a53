package simulation

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	seeds    = flag.Uint64("seeds", 40, "how many seeds are run: the race detector makes them slow, and make test runs more without it")
	first    = flag.Uint64("first", 1, "the first seed")
	tell     = flag.Bool("tell", false, "write the story of every run")
	progress = flag.Int64("progress", 0, "say how far it is after so many seeds; 0: never")
)

// TestEverySeedKeepsEveryPromise runs the seeds.
func TestEverySeedKeepsEveryPromise(t *testing.T) {
	var done, steps atomic.Int64
	began := time.Now()
	for seed := *first; seed < *first+*seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r := Run(t, seed, nil)
			steps.Add(int64(r.Steps))
			if n := done.Add(1); *progress > 0 && n%*progress == 0 {
				fmt.Fprintf(os.Stderr, "%d of %d seeds, %d steps, %s\n", n, *seeds, steps.Load(), time.Since(began).Round(time.Second))
			}
			if *tell || len(r.Breaches) > 0 {
				t.Log("\n" + r.Log)
			}
			for _, b := range r.Breaches {
				t.Errorf("%s\nreplay it: go test ./internal/simulation -run TestEverySeedKeepsEveryPromise -count=1 -v -tell -first %d -seeds 1", b, seed)
			}
		})
	}
}

// TestASeedTellsTheSameStoryTwice, byte for byte.
func TestASeedTellsTheSameStoryTwice(t *testing.T) {
	for seed := uint64(1); seed <= 15; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			once, again := Run(t, seed, nil), Run(t, seed, nil)
			a, b := strings.Split(once.Log, "\n"), strings.Split(again.Log, "\n")
			for i := range min(len(a), len(b)) {
				require.Equal(t, a[i], b[i], "line %d, after\n%s", i+1, strings.Join(a[max(i-10, 0):i], "\n"))
			}
			require.Len(t, b, len(a))
		})
	}
}
