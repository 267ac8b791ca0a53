package lifecycle

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// Registry is what schedulers read: the pools that live, by name, with the workers that serve, and how many claims
// wait. A worker leaves it in the transaction in which its drain begins.
func (m *Manager) Registry(ctx context.Context) (r api.Registry, err error) {
	r.Pools = []api.RegisteredPool{}
	err = m.config.Store.View(ctx, func(read store.Reader) error {
		pools, err := read.Pools(store.Page{})
		if err != nil {
			return err
		}
		for _, p := range pools {
			if p.Phase == pool.PhaseDeleting {
				continue
			}
			registered, err := register(read, p)
			if err != nil {
				return err
			}
			r.Pools = append(r.Pools, registered)
		}
		_, r.Waiting, err = read.CountLeases("")
		return err
	})
	return r, err
}

// What paces a watch of the registry.
const (
	// watchPause is between two looks at the store: what changes meanwhile is told as one change.
	watchPause = 100 * time.Millisecond
	// watchAlive is how long a watch is silent at most.
	watchAlive = 15 * time.Second
)

// registryTold is what a watch of the registry has told last.
type registryTold struct {
	pools   map[string]api.RegisteredPool // by uid
	waiting int
}

// WatchRegistry tells every pool of the registry and how many wait by labels, then that this was all, and from then on
// what is not as it was told, or is gone: api.RegisteredPool, api.WaitingByLabels, api.RegistryComplete, api.PoolGone,
// and api.StillThere when there is nothing else to tell for a while. It ends with ctx, with the manager, or when tell
// errs.
func (m *Manager) WatchRegistry(ctx context.Context, tell func(any) error) error {
	w, leave := m.feed.join()
	defer leave()
	all, err := m.Registry(ctx)
	if err != nil {
		return err
	}
	told := registryTold{pools: map[string]api.RegisteredPool{}, waiting: all.Waiting}
	for _, p := range all.Pools {
		told.pools[p.UID] = p
		if err := tell(p); err != nil {
			return err
		}
	}
	if err := tell(api.WaitingByLabels{Waiting: all.Waiting}); err != nil {
		return err
	}
	if err := tell(api.RegistryComplete{Pools: len(all.Pools)}); err != nil {
		return err
	}
	alive := time.NewTicker(watchAlive)
	defer alive.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-m.ctx.Done():
			return refuse(api.ProblemStopping, "the manager is ending")
		case <-alive.C:
			if err := tell(api.StillThere{Time: m.config.Now()}); err != nil {
				return err
			}
		case <-w.signal:
			news, err := m.registryNews(ctx, m.feed.take(w), &told)
			if err != nil {
				return err
			}
			for _, n := range news {
				if err := tell(n); err != nil {
					return err
				}
			}
			select {
			case <-time.After(watchPause):
			case <-ctx.Done():
			}
		}
	}
}

// registryNews is what of the given pools, and of the claims by labels, is not as it was told, and notes it as told.
func (m *Manager) registryNews(ctx context.Context, poolUIDs map[string]bool, told *registryTold) (news []any, err error) {
	err = m.config.Store.View(ctx, func(read store.Reader) error {
		if poolUIDs[noPool] {
			delete(poolUIDs, noPool)
			_, waiting, err := read.CountLeases("")
			if err != nil {
				return err
			}
			if waiting != told.waiting {
				told.waiting = waiting
				news = append(news, api.WaitingByLabels{Waiting: waiting})
			}
		}
		for uid := range poolUIDs {
			before, known := told.pools[uid]
			p, err := read.Pool(uid)
			if errors.Is(err, store.ErrNotFound) || err == nil && (p.Phase == pool.PhaseDeleting || p.Phase == pool.PhaseDestroyed) {
				if known {
					delete(told.pools, uid)
					news = append(news, api.PoolGone{UID: uid, Name: before.Name})
				}
				continue
			}
			if err != nil {
				return err
			}
			now, err := register(read, p)
			if err != nil {
				return err
			}
			if !reflect.DeepEqual(before, now) {
				told.pools[uid] = now
				news = append(news, now)
			}
		}
		return nil
	})
	return news, err
}

func register(read store.Reader, p pool.Pool) (api.RegisteredPool, error) {
	r := api.RegisteredPool{UID: p.UID, Name: p.Name, Labels: p.Spec.Labels, Host: p.Host, Endpoints: []api.Endpoint{}}
	workers, err := read.Workers(p.UID)
	if err != nil {
		return r, err
	}
	for _, w := range workers {
		if w.Leasable() {
			r.Endpoints = append(r.Endpoints, api.Endpoint{
				WorkerID: w.ID, Revision: w.Revision, Ports: w.Instance.Ports, Slots: w.Slots, Leased: w.Leased,
			})
		}
	}
	_, r.Waiting, err = read.CountLeases(p.UID)
	return r, err
}
