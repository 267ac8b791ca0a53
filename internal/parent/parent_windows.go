package parent

import (
	"context"
	"os"
)

// await waits for the parent's end on its handle: on Windows an orphan keeps its parent's id.
func await(ctx context.Context) error {
	process, err := os.FindProcess(os.Getppid())
	if err != nil {
		return nil // it is gone already
	}
	gone := make(chan struct{})
	// Ends with the parent; until then there is no way to interrupt it, and nothing that it holds but a handle.
	go func() {
		_, _ = process.Wait()
		close(gone)
	}()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-gone:
		return nil
	}
}
