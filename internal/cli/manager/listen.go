package manager

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
)

// address is one place to answer at.
type address struct {
	network string // "unix" or "tcp"
	at      string // a path, or host:port
}

func (a address) String() string { return a.network + "://" + a.at }

// addressesOf reads what --listen says; the data directory's socket always comes first.
func addressesOf(dir embedded.DataDir, listen []string, hasToken bool) ([]address, error) {
	all := []address{{"unix", dir.Socket()}}
	for _, text := range listen {
		network, at, _ := strings.Cut(text, "://")
		switch {
		case network == "unix" && filepath.IsAbs(at):
			if at != dir.Socket() {
				all = append(all, address{network, at})
			}
		case network == "tcp" && !hasToken:
			return nil, fmt.Errorf("--listen %s %w", text, errNoToken)
		case network == "tcp":
			if _, _, err := net.SplitHostPort(at); err != nil {
				return nil, fmt.Errorf("--listen %s: %w", text, err)
			}
			all = append(all, address{network, at})
		default:
			return nil, fmt.Errorf(`--listen is %q; valid: "tcp://host:port" or "unix:///path/to.sock"`, text)
		}
	}
	return all, nil
}

// listenAt opens all addresses, or none.
func listenAt(ctx context.Context, addresses []address) (listeners []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
		}
	}()
	for _, a := range addresses {
		l, err := a.listen(ctx)
		if err != nil {
			return listeners, fmt.Errorf("answer at %s: %w", a, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func (a address) listen(ctx context.Context) (net.Listener, error) {
	if a.network == "unix" {
		if err := removeStale(ctx, a.at); err != nil {
			return nil, err
		}
		var l net.Listener
		err := privately(func() (err error) {
			l, err = (&net.ListenConfig{}).Listen(ctx, a.network, a.at)
			return err
		})
		return l, err
	}
	return (&net.ListenConfig{}).Listen(ctx, a.network, a.at)
}

// staleTimeout bounds the look whether somebody answers on a socket.
const staleTimeout = 5 * time.Second

// removeStale removes the socket of a manager that was killed. For the data directory's socket that nobody
// answers is known already, by the lock; any other may be another manager's.
func removeStale(ctx context.Context, path string) error {
	found, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if found.Mode().Type() != fs.ModeSocket {
		return errors.New("there is something else than a socket")
	}
	conn, err := (&net.Dialer{Timeout: staleTimeout}).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
		return errors.New("another program answers there")
	}
	return os.Remove(path)
}
