package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/tmaxmax/go-sse"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

const (
	// maxNews bounds one message of a watch, in bytes.
	maxNews = 64 << 20
	// silence is how long a watch may be silent before it counts as lost: several times as long as a manager is.
	silence = time.Minute
)

// WatchRegistry tells the registry as it is, and again whenever it has changed. It survives restarts of the
// manager: it connects again as long as Wait would. It ends with an error: ctx's, changed's, or why no manager
// answers.
func (c *Client) WatchRegistry(ctx context.Context, changed func(api.Registry) error) error {
	const doing = "watch the registry"
	again := pauses()
	var silent time.Time // since when no manager answers; zero while one does
	for {
		heard := false
		err := c.watch(ctx, func(r api.Registry) error {
			heard = true
			return changed(r)
		})
		var lost *lostError
		var problem *Problem
		switch stopping := errors.As(err, &problem) && problem.Status == http.StatusServiceUnavailable; {
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
		case !stopping && (!errors.As(err, &lost) || lost.final()):
			return fmt.Errorf("%s: %w", doing, err)
		case heard || silent.IsZero():
			again, silent = pauses(), time.Now()
		case c.config.Absence > 0 && time.Since(silent) >= c.config.Absence:
			return fmt.Errorf("%s: %w", doing, err)
		}
		if err := pause(ctx, again, 0); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
}

// watch connects once, and errs when the connection ends.
func (c *Client) watch(ctx context.Context, changed func(api.Registry) error) error {
	life, end := context.WithCancel(ctx)
	defer end()
	req, err := http.NewRequestWithContext(life, http.MethodGet, c.base+"/v1/registry:watch", nil)
	if err != nil {
		return err
	}
	c.sign(ctx, req, request{})
	req.Header.Set("Accept", "text/event-stream, application/problem+json")
	quiet := time.AfterFunc(silence, end)
	defer quiet.Stop()
	resp, err := c.http.Do(req)
	if err != nil {
		return &lostError{c.config.Endpoint, err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		got, err := read(resp)
		if err != nil {
			return &lostError{c.config.Endpoint, err}
		}
		return got.problem()
	}
	known, complete := mirror{pools: map[string]api.RegisteredPool{}}, false
	for news, err := range sse.Read(resp.Body, &sse.ReadConfig{MaxEventSize: maxNews}) {
		if err != nil {
			return &lostError{c.config.Endpoint, err}
		}
		quiet.Reset(silence)
		if err := known.take(news); err != nil {
			return err
		}
		if complete = complete || news.Type == api.EventComplete; !complete || news.Type == api.EventAlive {
			continue
		}
		if err := changed(known.registry()); err != nil {
			return err
		}
	}
	return &lostError{c.config.Endpoint, errors.New("the watch has ended")}
}

// mirror is the registry as a watch has told it so far.
type mirror struct {
	pools   map[string]api.RegisteredPool // by uid
	waiting int
}

// take notes what a watch tells.
func (m *mirror) take(news sse.Event) (err error) {
	var p api.RegisteredPool
	var w api.WaitingByLabels
	data := []byte(news.Data)
	switch news.Type {
	case api.EventPool:
		if err = json.Unmarshal(data, &p); err == nil {
			m.pools[p.UID] = p
		}
	case api.EventGone:
		if err = json.Unmarshal(data, &p); err == nil {
			delete(m.pools, p.UID)
		}
	case api.EventWaiting:
		if err = json.Unmarshal(data, &w); err == nil {
			m.waiting = w.Waiting
		}
	}
	if err != nil {
		return fmt.Errorf("the answer is not a manager's: %w", err)
	}
	return nil
}

func (m *mirror) registry() api.Registry {
	r := api.Registry{Pools: slices.AppendSeq([]api.RegisteredPool{}, maps.Values(m.pools)), Waiting: m.waiting}
	slices.SortFunc(r.Pools, func(a, b api.RegisteredPool) int { return cmp.Compare(a.Name, b.Name) })
	return r
}
