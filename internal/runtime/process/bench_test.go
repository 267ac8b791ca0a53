//go:build linux

package process

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// The two sides of the promise that a launch costs at most twice a bare start: run with
// -bench Launch -benchtime 1000x.
func BenchmarkLaunch(b *testing.B) {
	r := openRuntime(b, b.TempDir())
	instances := make([]pool.Instance, 0, b.N)
	for i := range b.N {
		l := launchOf(fmt.Sprint("w", i), "sleep", "1000")
		l.Template.Ports = []pool.Port{{Name: "http"}}
		instance, err := r.Launch(b.Context(), l)
		require.NoError(b, err)
		instances = append(instances, instance)
	}
	b.StopTimer()
	for i, instance := range instances {
		require.NoError(b, r.Signal(b.Context(), fmt.Sprint("w", i), instance, "KILL"))
	}
	for range instances {
		next(b, r)
	}
}

func BenchmarkLaunchBare(b *testing.B) {
	processes := make([]*os.Process, 0, b.N)
	for range b.N {
		p, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, &os.ProcAttr{Dir: "/", Env: []string{"PATH=/bin"}, Sys: &syscall.SysProcAttr{Setsid: true}})
		require.NoError(b, err)
		processes = append(processes, p)
	}
	b.StopTimer()
	for _, p := range processes {
		require.NoError(b, p.Kill())
		_, err := p.Wait()
		require.NoError(b, err)
	}
}

// BenchmarkKill kills 1,000 workers at once.
func BenchmarkKill(b *testing.B) {
	r := openRuntime(b, b.TempDir())
	const count = 1000
	for b.Loop() {
		b.StopTimer()
		instances := make([]pool.Instance, count)
		for i := range instances {
			instance, err := r.Launch(b.Context(), launchOf(fmt.Sprint("w", i), "sleep", "1000"))
			require.NoError(b, err)
			instances[i] = instance
		}
		b.StartTimer()
		var wait sync.WaitGroup
		for i, instance := range instances {
			wait.Go(func() {
				if err := r.Kill(b.Context(), fmt.Sprint("w", i), instance); err != nil {
					b.Error(err)
				}
			})
		}
		wait.Wait()
		for range instances {
			next(b, r)
		}
	}
}

// BenchmarkReport is from the end of a worker until it is told.
func BenchmarkReport(b *testing.B) {
	r := openRuntime(b, b.TempDir())
	for b.Loop() {
		b.StopTimer()
		instance, err := r.Launch(b.Context(), launchOf("w", "sleep", "1000"))
		require.NoError(b, err)
		b.StartTimer()
		require.NoError(b, unix.Kill(instance.PID, unix.SIGKILL))
		next(b, r)
	}
}

// BenchmarkList is with 1,000 workers.
func BenchmarkList(b *testing.B) {
	r := openRuntime(b, b.TempDir())
	const count = 1000
	for i := range count {
		_, err := r.Launch(b.Context(), launchOf(fmt.Sprint("w", i), "sleep", "1000"))
		require.NoError(b, err)
	}
	for b.Loop() {
		found, err := r.List(b.Context())
		require.NoError(b, err)
		require.Len(b, found, count)
	}
}
