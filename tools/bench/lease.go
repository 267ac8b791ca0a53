//go:build unix

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	_ "modernc.org/sqlite" // the driver of the bare floor

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime/process"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

const (
	leaseCallers = 64
	leaseCycles  = 6400 // of a run
)

// measureLeases compares the time that a commit of a lease cycle takes, with 64 schedulers that each acquire and
// release all the time, with that of writing one row, with as many callers, to the same SQLite file.
func measureLeases(name string, goal float64, oneRow oneRowWriter) func(context.Context, programs, string, int) (comparison, error) {
	return func(ctx context.Context, _ programs, dir string, runs int) (c comparison, err error) {
		c = comparison{name: name, goal: goal}
		records, err := store.OpenSQLite(ctx, filepath.Join(dir, "manager.db"))
		if err != nil {
			return c, err
		}
		defer func() { err = errors.Join(err, records.Close()) }()
		identity := records.Identity()
		workers, err := process.Open(process.Config{DataDir: dir, Identity: identity.String(), ManagerID: identity.ManagerID, Host: "bench"})
		if err != nil {
			return c, err
		}
		defer func() { err = errors.Join(err, workers.Close()) }()
		m, err := lifecycle.New(ctx, lifecycle.Config{Store: records, Runtime: workers, Logger: hclog.NewNullLogger(), Host: "bench"})
		if err != nil {
			return c, err
		}
		defer m.Close()

		spec := processes("leased", 8, "sleep", "3600")
		spec.Leases.Slots = leaseCallers / 8
		by := lifecycle.Request{Author: "bench", IfNoneMatch: true}
		if err := done(ctx, m, func() (lifecycle.Accepted, error) { return m.Put(ctx, by, spec) }); err != nil {
			return c, err
		}
		defer func() {
			end := lifecycle.Request{Author: "bench", IfMatch: "*"}
			err = errors.Join(err, done(ctx, m, func() (lifecycle.Accepted, error) { return m.Delete(ctx, end, spec.Name, true) }))
		}()
		write, shut, err := oneRow(ctx, records, filepath.Join(dir, "manager.db"))
		if err != nil {
			return c, err
		}
		defer func() { err = errors.Join(err, shut()) }()
		for range runs {
			took, err := side(ctx, leaseCycles, func(int) error {
				l, err := m.Acquire(ctx, lifecycle.Request{Author: "bench"}, lifecycle.Want{Pool: spec.Name}, time.Minute)
				if err != nil {
					return err
				}
				_, err = m.Release(ctx, l.ID)
				return err
			})
			if err != nil {
				return c, err
			}
			c.ours = append(c.ours, took/(2*leaseCycles))
			took, err = side(ctx, 2*leaseCycles, write)
			if err != nil {
				return c, err
			}
			c.floor = append(c.floor, took/(2*leaseCycles))
		}
		return c, nil
	}
}

// oneRowWriter prepares the writing of one row to a store, which is also the SQLite file at path.
type oneRowWriter func(ctx context.Context, records store.Store, path string) (write func(n int) error, shut func() error, err error)

// aloneInCommit writes each row in a transaction of its own, as any program does.
func aloneInCommit(ctx context.Context, _ store.Store, path string) (func(int) error, func() error, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=synchronous(full)")
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer
	insert, err := db.PrepareContext(ctx, `INSERT OR REPLACE INTO idempotent_replies (author, key, request_hash, answered, created_at) VALUES ('bench', ?, '', '', ?)`)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return func(n int) error {
		_, err := insert.ExecContext(ctx, fmt.Sprint(n%leaseCallers), time.Now().UnixMicro())
		return err
	}, db.Close, nil
}

// groupedInCommit has the store write the rows of all callers that wait in one transaction.
func groupedInCommit(ctx context.Context, records store.Store, _ string) (func(int) error, func() error, error) {
	return func(n int) error {
		return records.Update(ctx, func(w store.Writer) error {
			return w.PutIdempotentReply(store.IdempotentReply{Author: "bench", Key: fmt.Sprint(n % leaseCallers), CreatedAt: time.Now()})
		})
	}, func() error { return nil }, nil
}

// done asks for a change and waits until it is reached.
func done(ctx context.Context, m *lifecycle.Manager, ask func() (lifecycle.Accepted, error)) error {
	accepted, err := ask()
	if err != nil {
		return err
	}
	o, err := m.Operation(ctx, accepted.Operation.ID, time.Minute)
	if err == nil && o.Phase != pool.OperationSucceeded {
		err = fmt.Errorf("%s %s: %s", o.Kind, o.Phase, o.Reason)
	}
	return err
}

// side has so many calls made by the callers side by side, and returns how long that took.
func side(ctx context.Context, calls int, call func(n int) error) (time.Duration, error) {
	var next atomic.Int64
	var callers sync.WaitGroup
	failed := make(chan error, leaseCallers)
	began := time.Now()
	for range leaseCallers {
		callers.Go(func() {
			for n := int(next.Add(1)); n <= calls && ctx.Err() == nil; n = int(next.Add(1)) {
				if err := call(n); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	callers.Wait()
	took := time.Since(began)
	select {
	case err := <-failed:
		return took, err
	default:
		return took, context.Cause(ctx)
	}
}
