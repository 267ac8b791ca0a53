package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
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
	for {
		l, err := c.acquire(ctx, want)
		var p *Problem
		if errors.As(err, &p) && p.Lease != nil && p.Lease.State == pool.LeaseLost {
			continue // its worker died before its caller could know of it
		}
		return l, err
	}
}

func (c *Client) acquire(ctx context.Context, want api.LeaseRequest) (api.LeaseView, error) {
	doing, key := "acquire a lease", rand.Text() // a repetition finds the same place in the queue
	ask, err := claim(want, key, pollWait)
	if err != nil {
		return api.LeaseView{}, fmt.Errorf("%s: %w", doing, err)
	}
	l, err := call[api.LeaseView](ctx, c, doing, ask)
	for err == nil && l.State == pool.LeaseWaiting {
		again := get(leasePath(l.ID))
		again.query, again.wait = url.Values{"wait": {pollWait.String()}}, pollWait
		l, err = call[api.LeaseView](ctx, c, doing, again)
	}
	if err != nil && ctx.Err() != nil {
		c.giveUp(ctx, want, key)
	}
	return l, err
}

// claim is a request for a slot.
func claim(want api.LeaseRequest, key string, wait time.Duration) (request, error) {
	want.Wait = wait.String()
	body, err := json.Marshal(want)
	if err != nil {
		return request{}, err
	}
	r := document(http.MethodPost, "/v1/leases", body)
	r.header.Set(api.HeaderIdempotencyKey, key)
	r.wait = wait
	return r, nil
}

// giveUp frees the slot, or the place in the queue, of a claim that nobody waits for any more. Its answer may
// never have come, so it is claimed once more under its key first. If that fails, it expires.
func (c *Client) giveUp(ctx context.Context, want api.LeaseRequest, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpWithin)
	defer cancel()
	ask, err := claim(want, key, 0)
	if err != nil {
		return
	}
	if l, err := call[api.LeaseView](ctx, c, "give up a lease", ask); err == nil {
		_, _ = c.Release(ctx, l.ID)
	}
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
