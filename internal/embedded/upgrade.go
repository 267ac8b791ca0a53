package embedded

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/mod/semver"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

// older says that version a is before b. What is no semantic version is neither before nor after any.
func older(a, b string) bool {
	a, b = "v"+a, "v"+b
	return semver.IsValid(a) && semver.IsValid(b) && semver.Compare(a, b) < 0
}

// replaceOlder ends a running manager that is older than this program and starts one of our version. Its
// workers do not notice. A manager that is newer, or that somebody else keeps running, stays.
func (l *Local) replaceOlder(ctx context.Context) error {
	var judged bool
	select {
	case judged = <-l.judged:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { l.judged <- judged }()
	if judged {
		return nil
	}
	running, found := l.look(ctx)
	if !found {
		return nil // whichever is started will be looked at by the next change
	}
	if l.outdated(running) {
		if err := l.alone(ctx, l.replace); err != nil {
			return fmt.Errorf("replace the manager of version %s (pid %d) by version %s: %w", running.Version, running.PID, l.version, err)
		}
	}
	judged = true
	return nil
}

func (l *Local) outdated(running api.Manager) bool {
	if !older(running.Version, l.version) {
		return false
	}
	if !running.Embedded {
		l.log.Warn("the manager is older than this program, and stays because it was not started by one", "version", running.Version, "own_version", l.version, "pid", running.PID)
	}
	return running.Embedded
}

// replace looks once more, because another program may have replaced the manager meanwhile. To be called alone.
func (l *Local) replace(ctx context.Context) error {
	running, found := l.look(ctx)
	if found && !l.outdated(running) {
		return nil
	}
	if found {
		if err := l.end(ctx); err != nil {
			return err
		}
	}
	return l.bringUp(ctx)
}

// TakeOver ends the data directory's manager if it is an embedded one that is no newer than this program, and
// calls take, which is to make the caller's process the manager, before anybody can start another.
func (l *Local) TakeOver(ctx context.Context, take func(context.Context) error) error {
	return l.alone(ctx, func(ctx context.Context) error {
		running, found := l.look(ctx)
		switch {
		case found && older(l.version, running.Version):
			return fmt.Errorf("the manager that runs (pid %d) is of version %s, newer than this program of version %s, and may have written what that cannot read", running.PID, running.Version, l.version)
		case found && running.Embedded:
			if err := l.end(ctx); err != nil {
				return err
			}
			l.log.Info("took the place of the embedded manager", "pid", running.PID)
		}
		return take(ctx)
	})
}

// end ends the running manager and returns when it is gone.
func (l *Local) end(ctx context.Context) error {
	direct, err := l.direct()
	if err != nil {
		return err
	}
	// The answer may be lost with the manager: what counts is that it goes.
	if err := direct.Stop(ctx); err != nil {
		l.log.Debug("the manager did not confirm that it ends", "error", err)
	}
	return l.dir.AwaitEnd(ctx)
}

// look reads what the running manager says of itself, if one answers.
func (l *Local) look(ctx context.Context) (api.Manager, bool) {
	direct, err := l.direct()
	if err != nil {
		return api.Manager{}, false
	}
	running, err := direct.Manager(client.Expecting(ctx, ""))
	return running, err == nil
}

// direct is a client that starts nothing and is not patient.
func (l *Local) direct() (*client.Client, error) {
	return client.New(client.Config{
		Endpoint:       l.dir.Endpoint(),
		Program:        l.program,
		Transport:      l.socket,
		RequestTimeout: probeTimeout,
		Patience:       -1,
	})
}

// AwaitEnd returns when no manager lives in the directory any more.
func (d DataDir) AwaitEnd(ctx context.Context) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		pid, running, err := d.Running()
		if err != nil || !running {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of the manager with pid %d: %w", pid, context.Cause(ctx))
		case <-look.C:
		}
	}
}
