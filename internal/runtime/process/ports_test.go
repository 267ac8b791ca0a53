//go:build linux || darwin

package process

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

var twoPorts = []pool.Port{{Name: "http"}, {Name: "admin"}}

func TestNoPortIsGivenToTwoLivingWorkers(t *testing.T) {
	p := newPorts()
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
	chosen, err := newPorts().take("w", twoPorts, time.Now())
	require.NoError(t, err)
	for _, port := range chosen {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		require.NoError(t, err)
		require.NoError(t, listener.Close())
	}
}

// offered is an operating system that has only the given ports, and offers the first that is not bound.
func offered(list ...int) func() (int, func(), error) {
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
			p := newPorts()
			p.bind = offered(c.offered...)
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
	p := newPorts()
	p.bind = offered(10)
	_, err := p.take("w", twoPorts, time.Now())
	require.Error(t, err)
	require.Empty(t, p.held)
	chosen, err := p.take("w", twoPorts[:1], time.Now())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"http": 10}, chosen)
}
