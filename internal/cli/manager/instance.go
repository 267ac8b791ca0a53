package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/grpclog"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime/process"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/server"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// instance is one life of a manager.
type instance struct {
	version   string
	dir       embedded.DataDir
	store     string // its URL
	host      string
	token     string
	addresses []address
	keyFile   string // of the secrets; empty: the data directory's own
	backups   schedule
	embedded  bool
	idleExit  time.Duration // 0: it never ends by itself
	takeOver  bool          // from an embedded manager
	log       hclog.Logger
}

// live runs the manager until ctx ends, a client ends it, or it is idle for long enough. Everything that
// can be refused is refused before anything is made or touched that outlives it.
func (m instance) live(ctx context.Context) (err error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	// A worker that answers a gRPC probe out of turn must not write into the manager's log.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	if err := os.MkdirAll(string(m.dir), 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := m.becomeTheOne(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	listeners, err := listenAt(ctx, m.addresses)
	if err != nil {
		return err
	}
	served := false
	defer func() {
		for _, l := range listeners {
			if !served {
				_ = l.Close()
			}
		}
	}()

	records, err := store.Open(ctx, m.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	identity := records.Identity()
	workers, err := process.Open(process.Config{
		DataDir: string(m.dir), Identity: identity.String(), ManagerID: identity.ManagerID, Host: m.host, Logger: m.log.Named("process"),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, workers.Close()) }()
	keys, err := m.keys(ctx, records)
	if err != nil {
		return err
	}
	pools, err := lifecycle.New(ctx, lifecycle.Config{Store: records, Runtime: workers, Logger: m.log.Named("lifecycle"), Keys: keys, Host: m.host})
	if err != nil {
		return err
	}
	defer pools.Close()

	answers := server.New(server.Config{
		Manager:  pools,
		Describe: m.describe(identity),
		Token:    m.token,
		Stop:     func() { end(errStopped) },
		Logger:   m.log.Named("server"),
	})
	m.log.Info("the manager is ready", "id", identity.ManagerID, "version", m.version, "pid", os.Getpid(), "data_dir", string(m.dir), "store", store.Redacted(m.store), "addresses", fmt.Sprint(m.addresses))
	served = true
	var owned sync.WaitGroup
	owned.Go(func() { m.endWhenIdle(ctx, end, pools.Count, answers.CloseIfIdle) })
	owned.Go(func() { m.backups.run(ctx, m.backUp(pools), m.tellBackup) })
	err = serve(ctx, end, answers, listeners)
	owned.Wait()
	m.log.Info("the manager ends; its workers live on", "reason", fmt.Sprint(context.Cause(ctx)))
	return err
}

// The reasons to end that are no error.
var (
	errStopped = errors.New("a client stopped it")
	errIdle    = errors.New("nobody needs it")
)

func (m instance) describe(identity store.Identity) api.Manager {
	return api.Manager{
		ID: identity.ManagerID, Incarnation: identity.Incarnation, Version: m.version, Host: m.host,
		PID: os.Getpid(), StartedAt: time.Now().UTC(), DataDir: string(m.dir), Embedded: m.embedded,
	}
}

// serve answers at all listeners until ctx ends. If one cannot go on, all end.
func serve(ctx context.Context, end context.CancelCauseFunc, answers *server.Server, listeners []net.Listener) error {
	var (
		serving sync.WaitGroup
		mu      sync.Mutex
		faults  []error
	)
	for _, l := range listeners {
		serving.Go(func() {
			if err := answers.Serve(ctx, l); err != nil {
				mu.Lock()
				faults = append(faults, fmt.Errorf("answer at %s: %w", l.Addr(), err))
				mu.Unlock()
				end(err)
			}
		})
	}
	serving.Wait()
	return errors.Join(faults...)
}

// endWhenIdle ends a manager without pools that was not asked anything for long enough. Pools are counted
// before the requests are looked at: a pool that is made in between makes the second look fail.
func (m instance) endWhenIdle(ctx context.Context, end context.CancelCauseFunc, count func(context.Context) (int, error), closeIfIdle func(time.Duration) bool) {
	if m.idleExit <= 0 {
		return
	}
	look := time.NewTicker(max(m.idleExit/10, 10*time.Millisecond))
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		if pools, err := count(ctx); err == nil && pools == 0 && closeIfIdle(m.idleExit) {
			end(errIdle)
			return
		}
	}
}

// becomeTheOne makes this process the only manager of the directory.
func (m instance) becomeTheOne(ctx context.Context) (lock *flock.Flock, err error) {
	if !m.takeOver {
		return takeLock(ctx, m.dir)
	}
	local, err := embedded.New(embedded.Options{DataDir: string(m.dir), Version: m.version, Logger: m.log})
	if err != nil {
		return nil, err
	}
	err = local.TakeOver(ctx, func(ctx context.Context) error {
		lock, err = takeLock(ctx, m.dir)
		return err
	})
	return lock, err
}

// lockPatience is how long the lock is tried: one who only looks whether a manager lives holds it for an
// instant.
const lockPatience = 2 * time.Second

// takeLock errs if there is a manager already.
func takeLock(ctx context.Context, dir embedded.DataDir) (*flock.Flock, error) {
	lock := flock.New(dir.Lock(), flock.SetPermissions(0o600))
	trying, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	taken, err := lock.TryLockContext(trying, 10*time.Millisecond)
	switch {
	case ctx.Err() != nil:
		return nil, errors.Join(context.Cause(ctx), lock.Close())
	case trying.Err() != nil && !taken:
		pid, _, err := dir.Running()
		return nil, errors.Join(fmt.Errorf("a manager with pid %d runs in data directory %q already", pid, dir), err)
	case err != nil:
		return nil, fmt.Errorf("data directory %q cannot be written: %w", dir, err)
	}
	if err := os.WriteFile(dir.Lock(), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %q cannot be written: %w", dir, err), lock.Unlock())
	}
	return lock, nil
}
