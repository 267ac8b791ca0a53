//go:build linux || darwin

package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const (
	// portCooling is how long a port of an ended worker is passed over while there are others: clients
	// may still know it.
	portCooling = time.Minute
	// portTries bounds the search in each source. A port is refused only if a living worker holds it
	// without using it.
	portTries = 64

	// firstPort and lastPort are the range to choose from: above the numbers that services have by
	// registration, and below those that Linux and macOS give to outgoing connections, of which any
	// could take a worker's port before it listens, or between two times that it does. Nomad's is the same.
	firstPort, lastPort = 20000, 32000
)

// source takes any free port until release is called.
type source func() (port int, release func(), err error)

// ports chooses TCP ports. A chosen port belongs to its worker until that has ended.
type ports struct {
	// sources are asked in this order.
	sources []source
	host    *reservations

	mu       sync.Mutex
	held     map[int]string // worker by port
	byWorker map[string][]int
	released map[int]time.Time
	cooling  []int // keys of released, oldest first
}

func newPorts(host *reservations) *ports {
	return &ports{sources: []source{bindSpare(ephemeralPorts()), bindAny}, host: host, held: map[int]string{}, byWorker: map[string][]int{}, released: map[int]time.Time{}}
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

// choose returns a port that is free and that no living worker and no other manager holds; one that was
// used lately only if there seems to be no other. What is refused stays bound meanwhile, so that it is not
// offered again.
func (p *ports) choose() (int, error) {
	fault := errors.New("living workers hold every one that the operating system offers")
	used := 0
	for _, bind := range p.sources {
		for range portTries {
			port, release, err := bind()
			if err != nil {
				fault = err
				break
			}
			defer release()
			_, held := p.held[port]
			_, lately := p.released[port]
			switch {
			case held:
			case lately:
				used = port
			case p.host.reserve(port):
				return port, nil
			}
		}
	}
	if used != 0 && p.host.reserve(used) {
		return used, nil
	}
	return 0, fmt.Errorf("no port is free: %w", fault)
}

// hold keeps the ports of a worker that has them already, and returns those that another manager holds too.
func (p *ports) hold(worker string, taken map[string]int) (contested []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, port := range taken {
		if !p.host.reserve(port) {
			contested = append(contested, port)
		}
		p.assign(worker, port)
	}
	return contested
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
		p.host.free(port)
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

// spareTries bounds how many numbers are guessed, of which others may use some.
const spareTries = 16

// bindSpare takes a free port at random from the range, as far as it is none of the ephemeral ones. An
// error means that another source should be asked.
func bindSpare(firstEphemeral, lastEphemeral int) source {
	return func() (int, func(), error) {
		for range spareTries {
			port := firstPort + rand.IntN(lastPort-firstPort+1)
			if firstEphemeral <= port && port <= lastEphemeral {
				continue
			}
			_, release, err := bind(port)
			if err == nil || !errors.Is(err, unix.EADDRINUSE) {
				return port, release, err
			}
		}
		return 0, nil, fmt.Errorf("none between %d and %d seems to be free", firstPort, lastPort)
	}
}

// bindAny has the operating system choose.
func bindAny() (int, func(), error) { return bind(0) }

// bind takes a TCP port that nobody uses on any address, in TIME_WAIT neither; 0 is for any. The port is
// bound and never listened on.
func bind(port int) (int, func(), error) {
	fd, err := tcpSocket()
	if err != nil {
		return 0, nil, err
	}
	release := func() { unix.Close(fd) }
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
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
