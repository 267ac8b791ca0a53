//go:build linux || darwin

package process

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// ending is what is known of a process when it is said to have ended.
type ending struct {
	// over is false if it lives on after all.
	over bool
	// held: until this moment nobody else could have had its pid.
	held bool
	exit pool.Exit
}

var unknownExit = pool.Exit{Unknown: true}

func exitOf(status unix.WaitStatus) pool.Exit {
	if !status.Signaled() {
		return pool.Exit{Code: status.ExitStatus()}
	}
	name := strings.TrimPrefix(unix.SignalName(status.Signal()), "SIG")
	if name == "" {
		name = strconv.Itoa(int(status.Signal()))
	}
	return pool.Exit{Signal: name}
}

// endings hands reports on, as many as there are, without making those who report wait.
type endings struct {
	out  chan runtime.Ended
	wake chan struct{}

	mu      sync.Mutex
	pending []runtime.Ended
}

func newEndings() *endings {
	return &endings{out: make(chan runtime.Ended), wake: make(chan struct{}, 1)}
}

func (e *endings) push(report runtime.Ended) {
	e.mu.Lock()
	e.pending = append(e.pending, report)
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default: // run will look anyway
	}
}

// run delivers until ctx ends, and then closes the channel.
func (e *endings) run(ctx context.Context) {
	defer close(e.out)
	for {
		e.mu.Lock()
		reports := e.pending
		e.pending = nil
		e.mu.Unlock()
		for _, report := range reports {
			select {
			case e.out <- report:
			case <-ctx.Done():
				return
			}
		}
		if len(reports) > 0 {
			continue
		}
		select {
		case <-e.wake:
		case <-ctx.Done():
			return
		}
	}
}
