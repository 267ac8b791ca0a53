package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// steer sends a change of how something goes on, which is done at once.
func steer[T any](ctx context.Context, c *Client, doing, path string, body any, ch Change) (result T, err error) {
	r := request{method: http.MethodPost, path: path}
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return result, fmt.Errorf("%s: %w", doing, err)
		}
		r = document(http.MethodPost, path, data)
	}
	ch.sign(&r)
	return call[T](ctx, c, doing, r)
}

func (c *Client) Pause(ctx context.Context, name string, ch Change) (pool.View, error) {
	return steer[pool.View](ctx, c, fmt.Sprintf("pause pool %q", name), poolPath(name)+":pause", nil, ch)
}

func (c *Client) Resume(ctx context.Context, name string, ch Change) (pool.View, error) {
	return steer[pool.View](ctx, c, fmt.Sprintf("resume pool %q", name), poolPath(name)+":resume", nil, ch)
}

func (c *Client) Promote(ctx context.Context, name string, ch Change) (pool.View, error) {
	return steer[pool.View](ctx, c, fmt.Sprintf("promote the rollout of pool %q", name), poolPath(name)+":promote", nil, ch)
}

func (c *Client) Abort(ctx context.Context, name string, ch Change) (pool.View, error) {
	return steer[pool.View](ctx, c, fmt.Sprintf("abort the rollout of pool %q", name), poolPath(name)+":abort", nil, ch)
}

func (c *Client) Revert(ctx context.Context, name string, revision int64, ch Change) (api.Accepted, error) {
	doing := fmt.Sprintf("revert pool %q to revision %d", name, revision)
	body, err := json.Marshal(api.Revert{Revision: revision})
	if err != nil {
		return api.Accepted{}, fmt.Errorf("%s: %w", doing, err)
	}
	return c.change(ctx, doing, name, document(http.MethodPost, poolPath(name)+":revert", body), ch)
}

func workerPath(name, workerID string) string {
	return poolPath(name) + "/workers/" + url.PathEscape(workerID)
}

func (c *Client) Cordon(ctx context.Context, name, workerID string, ch Change) (pool.Worker, error) {
	return steer[pool.Worker](ctx, c, fmt.Sprintf("cordon worker %q", workerID), workerPath(name, workerID)+":cordon", nil, ch)
}

func (c *Client) Uncordon(ctx context.Context, name, workerID string, ch Change) (pool.Worker, error) {
	return steer[pool.Worker](ctx, c, fmt.Sprintf("uncordon worker %q", workerID), workerPath(name, workerID)+":uncordon", nil, ch)
}

func (c *Client) ExtendDrain(ctx context.Context, name, workerID string, by time.Duration, ch Change) (pool.Worker, error) {
	body := api.ExtendDrain{By: by.String()}
	return steer[pool.Worker](ctx, c, fmt.Sprintf("extend the drain of worker %q", workerID), workerPath(name, workerID)+":extend", body, ch)
}

func (c *Client) DrainWorker(ctx context.Context, name, workerID string, replace bool, ch Change) (api.Accepted, error) {
	doing := fmt.Sprintf("drain worker %q of pool %q", workerID, name)
	body, err := json.Marshal(api.DrainWorker{Replace: &replace})
	if err != nil {
		return api.Accepted{}, fmt.Errorf("%s: %w", doing, err)
	}
	r := document(http.MethodPost, workerPath(name, workerID)+":drain", body)
	ch.sign(&r)
	return call[api.Accepted](ctx, c, doing, r)
}

func (c *Client) Registry(ctx context.Context) (api.Registry, error) {
	return call[api.Registry](ctx, c, "read the registry", get("/v1/registry"))
}
