//go:build unix

package parent

import (
	"context"
	"os"
	"time"
)

// lookEvery bounds how long an orphan goes on.
const lookEvery = 500 * time.Millisecond

// started is who started this process, noted before anything else can take time.
var started = os.Getppid()

// await sees an orphan by its new parent. The kernel's own notice (PR_SET_PDEATHSIG) would also come when
// only the thread that started us ended, and is Linux's alone.
func await(ctx context.Context) error {
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
