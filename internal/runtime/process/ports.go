//go:build linux || darwin

package process

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const (
	// portCooling is how long a port of an ended worker is passed over while there are others: clients
	// may still know it.
	portCooling = time.Minute
	// portTries bounds the search. A port is refused only if a living worker holds it without using it.
	portTries = 64
)

// ports chooses TCP ports. A chosen port belongs to its worker until that has ended.
type ports struct {
	// bind takes any free port until release is called.
	bind func() (port int, release func(), err error)

	mu       sync.Mutex
	held     map[int]string // worker by port
	byWorker map[string][]int
	released map[int]time.Time
	cooling  []int // keys of released, oldest first
}

func newPorts() *ports {
	return &ports{bind: bindAny, held: map[int]string{}, byWorker: map[string][]int{}, released: map[int]time.Time{}}
}

// take chooses a port for each name.
func (p *ports) take(worker string, names []pool.Port, now time.Time) (map[string]int, error) {
	if len(names) == 0 {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.warm(now)
	chosen := make(map[string]int, len(names))
	for _, name := range names {
		port, err := p.choose()
		if err != nil {
			p.free(worker, time.Time{})
			return nil, fmt.Errorf("choose port %s: %w", name.Name, err)
		}
		p.assign(worker, port)
		chosen[name.Name] = port
	}
	return chosen, nil
}

// choose returns a port that is free and that no living worker holds; one that was used lately only if
// there seems to be no other. What is refused stays bound meanwhile, so that it is not offered again.
func (p *ports) choose() (int, error) {
	used := 0
	for range portTries {
		port, release, err := p.bind()
		if err != nil {
			if used != 0 {
				return used, nil
			}
			return 0, fmt.Errorf("no port is free: %w", err)
		}
		defer release()
		if _, ok := p.held[port]; ok {
			continue
		}
		if _, ok := p.released[port]; !ok {
			return port, nil
		}
		used = port
	}
	if used != 0 {
		return used, nil
	}
	return 0, errors.New("no port is free: living workers hold every one that the operating system offers")
}

// hold reserves the ports of a worker that has them already.
func (p *ports) hold(worker string, taken map[string]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, port := range taken {
		p.assign(worker, port)
	}
}

// release gives up all ports of a worker that has ended.
func (p *ports) release(worker string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.warm(now)
	p.free(worker, now)
}

func (p *ports) assign(worker string, port int) {
	p.held[port] = worker
	p.byWorker[worker] = append(p.byWorker[worker], port)
}

// free lets the ports cool from now on; a zero time means that they were never used.
func (p *ports) free(worker string, now time.Time) {
	for _, port := range p.byWorker[worker] {
		delete(p.held, port)
		if !now.IsZero() {
			p.released[port] = now
			p.cooling = append(p.cooling, port)
		}
	}
	delete(p.byWorker, worker)
}

// warm forgets what has cooled long enough.
func (p *ports) warm(now time.Time) {
	for len(p.cooling) > 0 {
		port := p.cooling[0]
		if since, ok := p.released[port]; ok && now.Sub(since) < portCooling {
			return
		}
		delete(p.released, port)
		p.cooling = p.cooling[1:]
	}
}

// bindAny asks the operating system for a TCP port that nobody uses on any address, in TIME_WAIT neither.
// The port is bound and never listened on.
func bindAny() (int, func(), error) {
	fd, err := tcpSocket()
	if err != nil {
		return 0, nil, err
	}
	release := func() { unix.Close(fd) }
	if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
		release()
		return 0, nil, err
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		release()
		return 0, nil, err
	}
	return address.(*unix.SockaddrInet4).Port, release, nil
}
