package lifecycle

import (
	"context"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// Registry is what schedulers read: the pools that live, by name, with the workers that serve. A worker leaves
// it in the transaction in which its drain begins.
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
		return nil
	})
	return r, err
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
