package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// giveUpWithin bounds how long the end of a wait for a slot may take once its caller does not wait any more.
const giveUpWithin = 5 * time.Second

func leasePath(id string) string { return "/v1/leases/" + url.PathEscape(id) }

func (c *Client) Acquire(ctx context.Context, want api.LeaseRequest) (api.LeaseView, error) {
	doing := "acquire a lease"
	want.Wait = pollWait.String()
	body, err := json.Marshal(want)
	if err != nil {
		return api.LeaseView{}, fmt.Errorf("%s: %w", doing, err)
	}
	ask := document(http.MethodPost, "/v1/leases", body)
	ask.header.Set(api.HeaderIdempotencyKey, rand.Text()) // a repetition finds the same place in the queue
	ask.wait = pollWait
	l, err := call[api.LeaseView](ctx, c, doing, ask)
	for err == nil && l.State == pool.LeaseWaiting {
		again := get(leasePath(l.ID))
		again.query, again.wait = url.Values{"wait": {pollWait.String()}}, pollWait
		var next api.LeaseView
		if next, err = call[api.LeaseView](ctx, c, doing, again); err != nil {
			c.giveUp(ctx, l.ID)
			break
		}
		l = next
	}
	return l, err
}

// giveUp frees a place in the queue that nobody waits in any more. If that fails, the place expires.
func (c *Client) giveUp(ctx context.Context, leaseID string) {
	if ctx.Err() == nil {
		return // the manager said no; there is nothing to give up
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpWithin)
	defer cancel()
	_, _ = c.Release(ctx, leaseID)
}

func (c *Client) Renew(ctx context.Context, leaseID string) (api.LeaseView, error) {
	return call[api.LeaseView](ctx, c, fmt.Sprintf("renew lease %q", leaseID), request{method: http.MethodPost, path: leasePath(leaseID) + ":renew"})
}

func (c *Client) Release(ctx context.Context, leaseID string) (pool.Lease, error) {
	return call[pool.Lease](ctx, c, fmt.Sprintf("release lease %q", leaseID), request{method: http.MethodDelete, path: leasePath(leaseID)})
}

func (c *Client) Leases(ctx context.Context, name string) ([]pool.Lease, error) {
	list, err := call[api.LeaseList](ctx, c, fmt.Sprintf("list the leases of pool %q", name), get(poolPath(name)+"/leases"))
	return list.Leases, err
}
