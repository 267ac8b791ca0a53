//go:build linux || darwin

package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

var twoPorts = []pool.Port{{Name: "http"}, {Name: "admin"}}

func TestNoPortIsGivenToTwoLivingWorkers(t *testing.T) {
	p := newPorts(noReservations())
	taken := map[int]string{}
	for i := range 500 {
		worker := fmt.Sprint("w", i)
		chosen, err := p.take(worker, twoPorts, time.Now())
		require.NoError(t, err)
		require.Len(t, chosen, 2)
		for _, port := range chosen {
			require.NotContains(t, taken, port)
			taken[port] = worker
		}
		if i%3 == 0 { // its ports stay away for a while
			p.release(worker, time.Now())
		}
	}
}

func TestAChosenPortCanBeListenedOn(t *testing.T) {
	chosen, err := newPorts(noReservations()).take("w", twoPorts, time.Now())
	require.NoError(t, err)
	for _, port := range chosen {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		require.NoError(t, err)
		require.NoError(t, listener.Close())
	}
}

// offered is an operating system that has only the given ports, and offers the first that is not bound.
func offered(list ...int) source {
	bound := map[int]bool{}
	return func() (int, func(), error) {
		for _, port := range list {
			if !bound[port] {
				bound[port] = true
				return port, func() { delete(bound, port) }, nil
			}
		}
		return 0, nil, errors.New("address already in use")
	}
}

func TestThePortOfAnEndedWorkerIsGivenAwayLast(t *testing.T) {
	start := time.Now()
	one := twoPorts[:1]
	for _, c := range []struct {
		name    string
		offered []int
		held    []int
		after   time.Duration // since port 10 was given up
		want    int           // 0: none
	}{
		{"another is preferred", []int{10, 11}, nil, time.Second, 11},
		{"it is better than none", []int{10, 11}, []int{11}, time.Second, 10},
		{"it is as good as any after a while", []int{10, 11}, nil, portCooling, 10},
		{"what others hold is not given", []int{11, 12}, []int{11, 12}, time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPorts(noReservations())
			p.sources = []source{offered(c.offered...)}
			p.hold("old", map[string]int{"http": 10})
			p.release("old", start)
			for _, port := range c.held {
				p.hold("other", map[string]int{"http": port})
			}
			chosen, err := p.take("new", one, start.Add(c.after))
			if c.want == 0 {
				require.ErrorContains(t, err, "choose port http: no port is free")
				return
			}
			require.NoError(t, err)
			require.Equal(t, map[string]int{"http": c.want}, chosen)
		})
	}
}

func TestAWorkerThatGetsNotAllItsPortsHoldsNone(t *testing.T) {
	p := newPorts(noReservations())
	p.sources = []source{offered(10)}
	_, err := p.take("w", twoPorts, time.Now())
	require.Error(t, err)
	require.Empty(t, p.held)
	chosen, err := p.take("w", twoPorts[:1], time.Now())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"http": 10}, chosen)
}

func TestNoPortIsGivenToWorkersOfTwoManagers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "poolkeeper", "ports")
	manager := func() *ports {
		host, err := openReservations(path)
		require.NoError(t, err)
		p := newPorts(host)
		p.sources = []source{offered(10, 11, 12, 13, 14, 15)} // nobody listens, so all are free again and again
		return p
	}
	a, b := manager(), manager()
	taken := map[int]bool{}
	for i, p := range []*ports{a, b, a} {
		chosen, err := p.take(fmt.Sprint("w", i), twoPorts, time.Now())
		require.NoError(t, err)
		for _, port := range chosen {
			require.False(t, taken[port], "%d is given twice", port)
			taken[port] = true
		}
	}
	_, err := b.take("late", twoPorts[:1], time.Now())
	require.ErrorContains(t, err, "no port is free")

	a.release("w2", time.Now())
	_, err = b.take("late", twoPorts, time.Now())
	require.NoError(t, err, "what one gave up the other may have")

	a.host.close() // as a crash does
	after := manager()
	require.Empty(t, after.hold("w0", map[string]int{"http": 10, "admin": 11}))
	require.Equal(t, []int{12}, after.hold("w1", map[string]int{"http": 12}), "the other manager has it")
	after.host.close()
	b.host.close()
}

func TestPortsAreChosenWhereNoOutgoingConnectionTakesThem(t *testing.T) {
	spare := bindSpare(firstPort, lastPort-2000)
	for range 100 {
		port, release, err := spare()
		if err != nil {
			continue // it guessed sixteen times of the others
		}
		defer release()
		require.True(t, lastPort-2000 < port && port <= lastPort, port)
	}
	_, _, err := bindSpare(1024, 65535)()
	require.ErrorContains(t, err, "none between")
	_, err = newPorts(noReservations()).take("w", twoPorts, time.Now())
	require.NoError(t, err, "there is another source")
}

func TestADirectoryThatOthersMayWriteToHoldsNoReservations(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"open to all":     func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)) },
		"a link":          func(dir string) error { return os.Symlink(t.TempDir(), dir) },
		"not a directory": func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "poolkeeper")
			require.NoError(t, spoil(dir))
			_, err := openReservations(filepath.Join(dir, "ports"))
			require.ErrorContains(t, err, dir+" is not a directory that only the manager's user may write to")
		})
	}
}
