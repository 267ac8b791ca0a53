package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/backup"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// BackupWant is what a backup is to hold.
type BackupWant struct {
	Pools   []string // names; none: all that are not being destroyed
	Events  bool
	Secrets bool
	Program string // version of the program, for the header
}

// Backup writes pools as they are at one moment. What is there of a backup that failed does not read as one.
func (m *Manager) Backup(ctx context.Context, want BackupWant, out io.Writer) error {
	w, err := backup.NewWriter(out, backup.Header{
		Program: want.Program, CreatedAt: m.config.Now().UTC(), ManagerID: m.Identity().ManagerID, Incarnation: m.Identity().Incarnation, Events: want.Events, Secrets: want.Secrets,
	})
	if err != nil {
		return err
	}
	err = m.config.Store.View(ctx, func(r store.Reader) error {
		pools, err := chosen(r, want.Pools)
		if err != nil {
			return err
		}
		for _, p := range pools {
			kept, err := keptOf(r, p, want)
			if err != nil {
				return err
			}
			if err := w.Put(kept); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.Close()
}

// chosen are the pools of a backup. One that is being destroyed is not brought back, so it is not kept either.
func chosen(r store.Reader, names []string) (pools []pool.Pool, err error) {
	if len(names) == 0 {
		pools, err = r.Pools(store.Page{})
		return slices.DeleteFunc(pools, func(p pool.Pool) bool { return p.Phase == pool.PhaseDeleting }), err
	}
	for _, name := range names {
		p, err := find(r, name)
		if err == nil {
			err = notDeleting(r, p)
		}
		if err != nil {
			return nil, err
		}
		pools = append(pools, p)
	}
	return pools, nil
}

func keptOf(r store.Reader, p pool.Pool, want BackupWant) (kept backup.Pool, err error) {
	kept.Pool = p
	if kept.Revisions, err = r.Revisions(p.UID, 0); err != nil {
		return kept, err
	}
	slices.Reverse(kept.Revisions)
	if want.Secrets {
		if kept.Secrets, err = r.Secrets(p.UID); err != nil {
			return kept, err
		}
	}
	if want.Events {
		kept.Events, err = r.Events(p.UID, 0, 0)
	}
	return kept, err
}

// errUndone undoes a transaction that was only to show what it would do.
var errUndone = errors.New("this was a dry run")

// Restore brings one pool of a backup back: as it was, with its uid and its history, if there is none of its name; else
// the living pool is changed to the spec that is in the backup. With dryRun it only says which.
func (m *Manager) Restore(ctx context.Context, by Request, kept backup.Pool, dryRun bool) (api.Restored, error) {
	if err := pool.Validate(kept.Pool.Spec, nil); err != nil {
		return api.Restored{}, invalid(err)
	}
	if err := sound(kept); err != nil {
		return api.Restored{}, refuse(api.ProblemInvalid, "pool %q of the backup is not sound: %v", kept.Pool.Name, err)
	}
	asked := m.propose(ctx, kept.Pool.Spec)
	var restored api.Restored
	done, err := m.mutate(ctx, by, func(tx store.Writer) (done Accepted, err error) {
		restored, done, err = m.restore(tx, by, kept, asked)
		if err == nil && dryRun {
			err = errUndone
		}
		return done, err
	})
	if errors.Is(err, errUndone) {
		return restored, nil
	}
	if err == nil && restored.UID == "" { // it is the answer to a repeated request
		restored = api.Restored{Name: done.Pool.Name, UID: done.Pool.UID, Action: api.PlanNone}
	}
	if err == nil {
		restored.Operation = &done.Operation
	}
	return restored, err
}

// sound says what is wrong with a pool of a backup, beyond its spec.
func sound(kept backup.Pool) error {
	p := kept.Pool
	if p.Phase != pool.PhaseCreating && p.Phase != pool.PhaseLive || !IsUID(p.UID) {
		return fmt.Errorf("it is %s, and its uid is %q", p.Phase, p.UID)
	}
	for i, r := range kept.Revisions {
		if r.Number != int64(i+1) {
			return fmt.Errorf("revision %d stands where revision %d should", r.Number, i+1)
		}
	}
	if n := int64(len(kept.Revisions)); n == 0 || p.Revision != n || p.Good.Revision > n {
		return fmt.Errorf("it is in revision %d, the good one is %d, and there are %d", p.Revision, p.Good.Revision, n)
	}
	return nil
}

func (m *Manager) restore(tx store.Writer, by Request, kept backup.Pool, asked proposal) (api.Restored, Accepted, error) {
	living, err := tx.PoolByName(kept.Pool.Name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		done, err := m.revive(tx, by, kept, asked)
		return api.Restored{Name: done.Pool.Name, UID: done.Pool.UID, Action: api.PlanCreate}, done, err
	case err != nil:
		return api.Restored{}, Accepted{}, err
	}
	if err := m.keepSecretsOf(tx, living.UID, kept.Secrets); err != nil {
		return api.Restored{}, Accepted{}, err
	}
	restored := api.Restored{Name: living.Name, UID: living.UID, Action: api.PlanNone}
	if restored.Changes = pool.Changes(living.Spec, placed(asked.spec, living)); len(restored.Changes) > 0 {
		restored.Action = api.PlanUpdate
	}
	living.Claimed = true
	done, err := m.change(tx, by, living, asked)
	return restored, done, err
}

// revive makes a pool that is not there any more. It keeps its uid, by which Terraform knows it, unless a tombstone
// has that: a uid is never used again.
func (m *Manager) revive(tx store.Writer, by Request, kept backup.Pool, asked proposal) (Accepted, error) {
	if len(asked.unfit) > 0 {
		return Accepted{}, invalid(asked.unfit)
	}
	p := kept.Pool
	switch _, err := tx.Pool(p.UID); {
	case err == nil:
		p.UID = m.config.NewID("p")
	case !errors.Is(err, store.ErrNotFound):
		return Accepted{}, err
	}
	p.Phase, p.Host, p.Claimed, p.Scaling = pool.PhaseCreating, m.config.Host, true, false
	if err := tx.InsertPool(p); err != nil {
		return Accepted{}, err
	}
	if err := m.keepSecretsOf(tx, p.UID, kept.Secrets); err != nil {
		return Accepted{}, err
	}
	if err := m.keepSecrets(tx, p.UID, p.Spec.Worker.SecretVersion(), nil); err != nil {
		return Accepted{}, err
	}
	for _, r := range kept.Revisions {
		r.PoolUID = p.UID
		if err := tx.InsertRevision(r); err != nil {
			return Accepted{}, err
		}
	}
	for i := range kept.Events {
		kept.Events[i].PoolUID = p.UID
	}
	if err := tx.AppendEvents(kept.Events...); err != nil {
		return Accepted{}, err
	}
	return m.accept(tx, by, p, pool.OperationCreate, pool.ChangeNone, pool.EventPoolRestored, "restored from a backup")
}

// keepSecretsOf records the secrets of a backup as a pool's own, sealed with the newest key.
func (m *Manager) keepSecretsOf(tx store.Writer, poolUID string, secrets []pool.Secret) error {
	for _, s := range secrets {
		values, err := openSecret(m.config.Keys, s)
		if err != nil {
			return refuse(api.ProblemInvalid, "version %d of the secrets in the backup cannot be read: %v; give the manager the key that they were sealed with beside its own, or leave the secrets out", s.Version, err)
		}
		if err := m.keepSecrets(tx, poolUID, s.Version, values); err != nil {
			return err
		}
	}
	return nil
}
