package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/sethvargo/go-retry"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// pollWait is how long a manager may hold one poll of an operation.
const pollWait = api.MaxWait / 2

// Wait polls until the operation has ended. A manager that is away is waited for, because the operation is
// durable and the manager that comes back goes on with it; but not for ever, because nobody sees why it takes
// so long.
func (c *Client) Wait(ctx context.Context, id string, progress func(pool.Operation)) (newest pool.Operation, _ error) {
	doing := fmt.Sprintf("wait for operation %q", id)
	newest.ID = id
	poll := request{
		method: http.MethodGet,
		path:   "/v1/operations/" + url.PathEscape(id),
		query:  url.Values{"wait": {pollWait.String()}},
		wait:   pollWait,
	}
	away := pauses()
	var silent time.Time // since when no manager tells of the operation; zero while one does
	for {
		asked := time.Now()
		operation, err := call[pool.Operation](ctx, c, doing, poll)
		if ctx.Err() != nil {
			return newest, fmt.Errorf("%s: %w", doing, context.Cause(ctx))
		}
		again, after := transient(err, nil, asked)
		switch {
		case err == nil && (operation.Phase.Ended() || operation.Phase.Waits()):
			return operation, nil
		case err == nil:
			newest, away, silent = operation, pauses(), time.Time{}
			if progress != nil {
				progress(operation)
			}
			if time.Since(asked) > pollWait/2 {
				continue
			}
		case !again:
			return newest, err
		case silent.IsZero():
			silent = time.Now()
		case c.config.Absence > 0 && time.Since(silent) >= c.config.Absence:
			return newest, fmt.Errorf("%w; so it has been since %s (for %s)",
				err, silent.Format(time.RFC3339), time.Since(silent).Round(time.Second))
		}
		// Whoever answers at once, as a manager that is about to end does, must not be asked in a busy loop.
		if err := pause(ctx, away, after); err != nil {
			return newest, fmt.Errorf("%s: %w", doing, err)
		}
	}
}

// pause waits for the schedule's next step, and at least for so long.
func pause(ctx context.Context, schedule retry.Backoff, least time.Duration) error {
	step, _ := schedule.Next()
	timer := time.NewTimer(max(step, least))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
