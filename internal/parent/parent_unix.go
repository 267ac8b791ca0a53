//go:build unix

package parent

import (
	"context"
	"os"
	"time"
)

// lookEvery bounds how long an orphan goes on.
const lookEvery = 500 * time.Millisecond

// await sees an orphan by its new parent. The kernel's own notice (PR_SET_PDEATHSIG) would also come when
// only the thread that started us ended, and is Linux's alone.
func await(ctx context.Context) error {
	started := os.Getppid()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for os.Getppid() == started {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
		}
	}
	return nil
}
