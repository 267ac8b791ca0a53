package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/backup"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// pageSize is how many pools are asked for at once.
const pageSize = 500

// staleTries bounds how often a change that names no base is put on a newer one.
const staleTries = 10

// call exchanges a request for a T; doing is what an error begins with.
func call[T any](ctx context.Context, c *Client, doing string, r request) (result T, err error) {
	got, err := c.exchange(ctx, r)
	if err == nil {
		err = got.decode(&result)
	}
	if err != nil {
		return result, fmt.Errorf("%s: %w", doing, err)
	}
	return result, nil
}

func get(path string) request { return request{method: http.MethodGet, path: path} }

func poolPath(ref string) string { return "/v1/pools/" + url.PathEscape(ref) }

// Manager describes the manager.
func (c *Client) Manager(ctx context.Context) (api.Manager, error) {
	return call[api.Manager](ctx, c, "read the manager", get("/v1/manager"))
}

// Stop asks the manager to end now; its workers live on. It is not repeated, because the answer of a
// manager that ends may well be lost: look whether it is gone.
func (c *Client) Stop(ctx context.Context) error {
	got, err := c.once(ctx, request{method: http.MethodPost, path: "/v1/manager:stop"})
	if err == nil {
		err = got.problem()
	}
	var problem *Problem
	if errors.As(err, &problem) && problem.Name() == api.ProblemStopping {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop the manager: %w", err)
	}
	return nil
}

func (c *Client) Validate(ctx context.Context, spec []byte) (pool.Spec, error) {
	valid, err := call[api.Validated](ctx, c, "validate the spec", document(http.MethodPost, "/v1/pools:validate", spec))
	return valid.Spec, err
}

func (c *Client) Plan(ctx context.Context, spec []byte) (api.Plan, error) {
	return call[api.Plan](ctx, c, "plan the change of a pool", document(http.MethodPost, "/v1/pools:plan", spec))
}

func (c *Client) PlanPatch(ctx context.Context, name string, patch []byte) (api.Plan, error) {
	return call[api.Plan](ctx, c, fmt.Sprintf("plan the change of pool %q", name), document(http.MethodPost, poolPath(name)+":plan", patch))
}

func (c *Client) Pool(ctx context.Context, name string) (pool.View, error) {
	return call[pool.View](ctx, c, fmt.Sprintf("read pool %q", name), get(poolPath(name)))
}

func (c *Client) PoolByUID(ctx context.Context, uid string) (pool.View, error) {
	return c.Pool(ctx, uid)
}

// EachPool reads page by page, so pools that come or go meanwhile may be in it or not.
func (c *Client) EachPool(ctx context.Context) iter.Seq2[pool.View, error] {
	return func(yield func(pool.View, error) bool) {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}}
		for {
			page, err := call[api.PoolList](ctx, c, "list the pools", request{method: http.MethodGet, path: "/v1/pools", query: query})
			if err != nil {
				yield(pool.View{}, err)
				return
			}
			for _, v := range page.Pools {
				if !yield(v, nil) {
					return
				}
			}
			if page.Next == "" || page.Next == query.Get("after") {
				return
			}
			query.Set("after", page.Next)
		}
	}
}

func (c *Client) Pools(ctx context.Context) ([]pool.View, error) {
	pools := []pool.View{}
	for v, err := range c.EachPool(ctx) {
		if err != nil {
			return nil, err
		}
		pools = append(pools, v)
	}
	return pools, nil
}

func (c *Client) Create(ctx context.Context, spec pool.Spec, ch Change) (api.Accepted, error) {
	doing := fmt.Sprintf("create pool %q", spec.Name)
	body, err := json.Marshal(spec)
	if err != nil {
		return api.Accepted{}, fmt.Errorf("%s: %w", doing, err)
	}
	r := document(http.MethodPut, poolPath(spec.Name), body)
	ch.sign(&r)
	r.header.Set("If-None-Match", "*")
	return call[api.Accepted](ctx, c, doing, r)
}

func (c *Client) Update(ctx context.Context, spec pool.Spec, ch Change) (api.Accepted, error) {
	doing := fmt.Sprintf("update pool %q", spec.Name)
	body, err := json.Marshal(spec)
	if err != nil {
		return api.Accepted{}, fmt.Errorf("%s: %w", doing, err)
	}
	return c.change(ctx, doing, spec.Name, document(http.MethodPut, poolPath(spec.Name), body), ch)
}

func (c *Client) Patch(ctx context.Context, name string, patch []byte, ch Change) (api.Accepted, error) {
	return c.change(ctx, fmt.Sprintf("patch pool %q", name), name, document(http.MethodPatch, poolPath(name), patch), ch)
}

func (c *Client) Resize(ctx context.Context, name string, size int64, ch Change) (api.Accepted, error) {
	doing := fmt.Sprintf("resize pool %q to %d", name, size)
	body, err := json.Marshal(api.Resize{Size: size})
	if err != nil {
		return api.Accepted{}, fmt.Errorf("%s: %w", doing, err)
	}
	return c.change(ctx, doing, name, document(http.MethodPost, poolPath(name)+":resize", body), ch)
}

func (c *Client) Restart(ctx context.Context, name string, ch Change) (api.Accepted, error) {
	return c.change(ctx, fmt.Sprintf("restart pool %q", name), name, request{method: http.MethodPost, path: poolPath(name) + ":restart"}, ch)
}

func (c *Client) Delete(ctx context.Context, ref string, force bool, ch Change) (api.Accepted, error) {
	r := request{method: http.MethodDelete, path: poolPath(ref)}
	if force {
		r.query = url.Values{"force": {"true"}}
	}
	return c.change(ctx, fmt.Sprintf("delete pool %q", ref), ref, r, ch)
}

// change sends a mutation of an existing pool on its base. A change that names no base wants to be on the
// newest whatever that is, so one that was overtaken between the read and the mutation is put on the next.
func (c *Client) change(ctx context.Context, doing, ref string, r request, ch Change) (api.Accepted, error) {
	ch.sign(&r)
	if ch.ETag != "" {
		r.header.Set("If-Match", ch.ETag)
		return call[api.Accepted](ctx, c, doing, r)
	}
	for try := 1; ; try++ {
		view, err := call[pool.View](ctx, c, doing, get(poolPath(ref)))
		if err != nil {
			return api.Accepted{}, err
		}
		r.header.Set("If-Match", api.ETag(view.Pool))
		accepted, err := call[api.Accepted](ctx, c, doing, r)
		var problem *Problem
		if errors.As(err, &problem) && problem.Name() == api.ProblemStale && try < staleTries {
			continue
		}
		return accepted, err
	}
}

// sign puts the change's author's words and key on a mutation; its repetitions carry the same key.
func (ch Change) sign(r *request) {
	if r.header == nil {
		r.header = http.Header{}
	}
	if ch.Key == "" {
		ch.Key = rand.Text()
	}
	r.header.Set(api.HeaderIdempotencyKey, ch.Key)
	if reason := headerText(ch.Reason); reason != "" {
		r.header.Set(api.HeaderReason, reason)
	}
}

// document is a request whose body is JSON or YAML as a user gave it.
func document(method, path string, body []byte) request {
	media := "application/yaml"
	if trimmed := bytes.TrimSpace(body); bytes.HasPrefix(trimmed, []byte("{")) && json.Valid(trimmed) {
		media = "application/json"
	}
	return request{method: method, path: path, body: body, header: http.Header{"Content-Type": {media}}}
}

func (c *Client) Operation(ctx context.Context, id string) (pool.Operation, error) {
	return call[pool.Operation](ctx, c, fmt.Sprintf("read operation %q", id), get("/v1/operations/"+url.PathEscape(id)))
}

func (c *Client) Workers(ctx context.Context, name string) ([]pool.Worker, error) {
	list, err := call[api.WorkerList](ctx, c, fmt.Sprintf("list the workers of pool %q", name), get(poolPath(name)+"/workers"))
	return list.Workers, err
}

func (c *Client) Logs(ctx context.Context, name, workerID string, maxBytes int64) ([]byte, error) {
	r := get(poolPath(name) + "/workers/" + url.PathEscape(workerID) + "/logs")
	if maxBytes > 0 {
		r.query = url.Values{"max": {strconv.FormatInt(maxBytes, 10)}}
	}
	got, err := c.exchange(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("read the log of worker %q of pool %q: %w", workerID, name, err)
	}
	return got.body, nil
}

func (c *Client) Revisions(ctx context.Context, name string) ([]pool.Revision, error) {
	list, err := call[api.RevisionList](ctx, c, fmt.Sprintf("list the revisions of pool %q", name), get(poolPath(name)+"/revisions"))
	return list.Revisions, err
}

func (c *Client) Events(ctx context.Context, name string, after int64) (api.EventList, error) {
	r := get(poolPath(name) + "/events")
	r.query = url.Values{"after": {strconv.FormatInt(after, 10)}}
	return call[api.EventList](ctx, c, fmt.Sprintf("read the events of pool %q", name), r)
}

// Backup reads pools with their histories as a backup file, whole: it ends as one, or it is an error. No names stand for
// all pools.
func (c *Client) Backup(ctx context.Context, pools []string, events, secrets bool) (b Backup, err error) {
	const doing = "back the pools up"
	got, err := c.exchange(ctx, request{method: http.MethodGet, path: "/v1/backup", query: url.Values{
		"pool": pools, "events": {strconv.FormatBool(events)}, "secrets": {strconv.FormatBool(secrets)},
	}})
	if err == nil {
		b.File = got.body
		_, err = backup.Read(bytes.NewReader(b.File), func(backup.Pool) error { b.Pools++; return nil })
	}
	if err != nil {
		return Backup{}, fmt.Errorf("%s: %w", doing, err)
	}
	return b, nil
}

// Restore brings one pool of a backup back, or only says what that would do.
func (c *Client) Restore(ctx context.Context, kept backup.Pool, dryRun bool, ch Change) (api.Restored, error) {
	doing := fmt.Sprintf("restore pool %q", kept.Pool.Name)
	body, err := json.Marshal(kept)
	if err != nil {
		return api.Restored{}, fmt.Errorf("%s: %w", doing, err)
	}
	r := document(http.MethodPost, api.PathRestore, body)
	r.query = url.Values{"dry_run": {strconv.FormatBool(dryRun)}}
	ch.sign(&r)
	return call[api.Restored](ctx, c, doing, r)
}
