package lifecycle

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWaitsThatAreOverAreForgotten(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		goOn  []bool // of each caller, in the order in which their polls end
		after time.Duration
		wait  bool // whether somebody counts as waiting then
		kept  int
	}{
		{"answered with the outcome", []bool{false}, 0, false, 0},
		{"answered while it runs", []bool{true}, 4 * time.Second, true, 1},
		{"answered while it runs, and not asked again", []bool{true}, 5 * time.Second, false, 1},
		{"two, both answered with the outcome", []bool{false, false}, 0, false, 0},
		{"two, one of whom went away before", []bool{false, true}, 0, true, 1},
		{"answered while it runs, then a poll that is broken off", []bool{true, false}, 0, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var claims claims
			for range c.goOn {
				claims.begin("op_1")
			}
			for n, goesOn := range c.goOn {
				require.True(t, claims.waitedFor("op_1", now), "%d are left", len(c.goOn)-n)
				claims.end("op_1", goesOn, now)
			}
			require.Equal(t, c.wait, claims.waitedFor("op_1", now.Add(c.after)))
			require.Len(t, claims.waits, c.kept)
		})
	}
}

func TestNewsReachEverybodyWhoWaitsAndNobodyElse(t *testing.T) {
	var w waiting
	var told sync.WaitGroup
	for range 10 {
		news, leave := w.join("op_1")
		told.Go(func() {
			defer leave()
			<-news
		})
	}
	other, leave := w.join("op_2")
	w.wake("op_1")
	w.wake("op_none")
	told.Wait()
	select {
	case <-other:
		t.Fatal("told of another operation")
	default:
	}
	leave()
	require.Empty(t, w.calls)
}
