// Package embedded finds the manager of a data directory on this machine, and starts it when it is needed
// and is not there. It owns the data directory's layout, the copy of the program that the manager runs
// from, and the rules of when one is started or replaced. It knows the manager only from outside: as a
// program with a socket and a lock.
package embedded

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

var (
	// ErrNoStore: something was to be read from a data directory in which nothing was ever written. No
	// manager is started for it. It is a client.ErrUnreachable.
	ErrNoStore = errors.New("there is no store")
	// ErrUnanswering: a manager holds the data directory, but nobody reaches it, and there must not be another.
	ErrUnanswering = errors.New("a manager runs in the data directory, but cannot be reached")
	// ErrUnsupported: this operating system runs no embedded manager.
	ErrUnsupported = errors.New("a manager cannot be run on this operating system; set endpoint to a manager that runs elsewhere")
)

// Options say which manager is meant and what to start it from.
type Options struct {
	DataDir    string // empty means the default directory
	Executable string // the program to copy and start; empty means the running one
	Version    string // of Executable: a semantic version, or anything else, which is neither older nor newer
	Program    string // what acts, for the audit log; empty means "poolkeeper/" and Version
	Logger     hclog.Logger
}

// startPatience bounds how long a manager may take from its start to its readiness, or to its end once it
// was told to end.
const startPatience = 30 * time.Second

// Local is the way to the manager of one data directory. It is an http.RoundTripper, safe for concurrent
// use, and connects to nothing before the first request.
type Local struct {
	dir        DataDir
	executable string
	version    string
	program    string
	log        hclog.Logger
	patience   time.Duration

	socket *socket

	// judged holds whether the running manager was seen to be no older than we are. Who has taken the
	// value is the one that looks.
	judged chan bool
}

// New resolves the data directory. It errs where no manager could ever run, and touches nothing.
func New(o Options) (*Local, error) {
	if !supported {
		return nil, ErrUnsupported
	}
	dir, err := Resolve(o.DataDir)
	if err != nil {
		return nil, err
	}
	if o.Executable == "" {
		if o.Executable, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find the program to start the manager from: %w", err)
		}
	}
	if o.Program == "" {
		o.Program = "poolkeeper/" + o.Version
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	judged := make(chan bool, 1)
	judged <- false
	return &Local{
		judged:     judged,
		dir:        dir,
		executable: o.Executable,
		version:    o.Version,
		program:    o.Program,
		log:        o.Logger,
		patience:   startPatience,
		socket:     newSocket(dir.Socket()),
	}, nil
}

// Connect is a client of the data directory's manager, which is started when a call needs it.
func Connect(o Options) (client.Manager, error) {
	local, err := New(o)
	if err != nil {
		return nil, err
	}
	return local.Client()
}

// Client is a client whose calls go through l.
func (l *Local) Client() (*client.Client, error) {
	return client.New(client.Config{
		Endpoint:  l.dir.Endpoint(),
		Program:   l.program,
		Transport: l,
		// A try may include the end of one manager and the start of the next.
		RequestTimeout: 3 * l.patience,
	})
}

// DataDir is the directory that is meant, with an absolute path.
func (l *Local) DataDir() DataDir { return l.dir }
