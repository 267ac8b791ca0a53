package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// Pool shows a pool by its name or uid. A uid also finds a destroyed pool's tombstone, and claims the pool.
func (m *Manager) Pool(ctx context.Context, ref string) (pool.View, error) {
	var v pool.View
	err := m.config.Store.View(ctx, func(r store.Reader) error {
		p, err := find(r, ref)
		if err != nil {
			return err
		}
		v, err = m.view(r, p)
		return err
	})
	if by, known := access.Of(ctx); known && !by.Role.Covers(access.Admin) {
		return v, err // whoever may not create a pool is not its creator
	}
	if err == nil && IsUID(ref) && !v.Claimed {
		v.Claimed = true
		m.logClaim(m.claim(ctx, v.UID))
	}
	return v, err
}

// Pools lists the pools that are not destroyed, by name.
func (m *Manager) Pools(ctx context.Context, page store.Page) (views []pool.View, err error) {
	err = m.config.Store.View(ctx, func(r store.Reader) error {
		pools, err := r.Pools(page)
		if err != nil {
			return err
		}
		for _, p := range pools {
			v, err := m.view(r, p)
			if err != nil {
				return err
			}
			views = append(views, v)
		}
		return nil
	})
	return views, err
}

func (m *Manager) view(r store.Reader, p pool.Pool) (v pool.View, err error) {
	v, _, err = m.viewOfAll(r, p)
	return v, err
}

// viewOfAll is a pool's view, and the living workers that it tells of.
func (m *Manager) viewOfAll(r store.Reader, p pool.Pool) (v pool.View, workers []pool.Worker, err error) {
	o, err := r.Operation(p.OperationID)
	if err != nil {
		return v, nil, fmt.Errorf("read the operation of pool %q: %w", p.Name, err)
	}
	running, err := r.RunningOperations(p.UID)
	if err != nil {
		return v, nil, err
	}
	if workers, err = r.Workers(p.UID); err != nil {
		return v, nil, err
	}
	names, err := secretNames(r, p)
	return pool.View{Pool: p, SecretNames: names, Status: Status(p, o, running, workers, m.config.Now())}, workers, err
}

// Show is the view of a pool that was just changed.
func (m *Manager) Show(ctx context.Context, done Accepted) (v pool.View, err error) {
	err = m.config.Store.View(ctx, func(r store.Reader) error {
		v, err = m.view(r, done.Pool)
		return err
	})
	return v, err
}

// Workers lists a pool's living workers, oldest first, then those that ended lately, newest first.
func (m *Manager) Workers(ctx context.Context, ref string) (workers []pool.Worker, err error) {
	err = m.config.Store.View(ctx, func(r store.Reader) error {
		p, err := find(r, ref)
		if err != nil {
			return err
		}
		if workers, err = r.Workers(p.UID); err != nil {
			return err
		}
		ended, err := r.EndedWorkers(p.UID, keepEnded)
		workers = append(workers, ended...)
		return err
	})
	return workers, err
}

// Logs returns the last lines of a worker's output, at most max bytes.
func (m *Manager) Logs(ctx context.Context, ref, workerID string, max int64) ([]byte, error) {
	workers, err := m.Workers(ctx, ref)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(workers, func(w pool.Worker) bool { return w.ID == workerID })
	if i < 0 {
		return nil, refuse(api.ProblemNotFound, "pool %q has no worker %q", ref, workerID)
	}
	return m.config.Runtime.Logs(ctx, workers[i].PoolUID, workerID, max)
}

// Revisions lists a pool's revisions from the newest.
func (m *Manager) Revisions(ctx context.Context, ref string, limit int) (revisions []pool.Revision, err error) {
	err = m.config.Store.View(ctx, func(r store.Reader) error {
		p, err := find(r, ref)
		if err != nil {
			return err
		}
		revisions, err = r.Revisions(p.UID, limit)
		return err
	})
	return revisions, err
}

// Events lists a pool's events with a sequence above after.
func (m *Manager) Events(ctx context.Context, ref string, after int64, limit int) (events []pool.Event, err error) {
	err = m.config.Store.View(ctx, func(r store.Reader) error {
		p, err := find(r, ref)
		if err != nil {
			return err
		}
		events, err = r.Events(p.UID, after, limit)
		return err
	})
	return events, err
}

// Count is the number of pools that are not destroyed.
func (m *Manager) Count(ctx context.Context) (n int, err error) {
	err = m.config.Store.View(ctx, func(r store.Reader) error {
		n, err = r.CountPools()
		return err
	})
	return n, err
}

// Operation reads an operation; if it is running, it waits for its end, at most for the given time.
func (m *Manager) Operation(ctx context.Context, id string, atMost time.Duration) (pool.Operation, error) {
	if atMost <= 0 {
		return m.await(ctx, id, 0)
	}
	m.claims.begin(id)
	o, err := m.await(ctx, id, atMost)
	told := err == nil && o.Phase.Ended()
	if told { // while it is waited for still, so that nobody attaches in between
		m.logClaim(m.learned(ctx, o))
	}
	m.claims.end(id, err == nil && !told, m.config.Now())
	return o, err
}

func (m *Manager) await(ctx context.Context, id string, atMost time.Duration) (o pool.Operation, err error) {
	timeout := time.NewTimer(atMost)
	defer timeout.Stop()
	for {
		news, leave := m.waiting.join(id)
		err := m.config.Store.View(ctx, func(r store.Reader) error {
			o, err = r.Operation(id)
			return err
		})
		if errors.Is(err, store.ErrNotFound) {
			err = refuse(api.ProblemNotFound, "there is no operation %q", id)
		}
		if err != nil || o.Phase.Ended() || o.Phase.Waits() || atMost <= 0 {
			leave()
			return o, err
		}
		more, err := m.listen(ctx, news, timeout.C)
		leave()
		if !more {
			return o, err
		}
	}
}
