// Testworker is a worker whose faults can be chosen. It listens on 127.0.0.1 at each of its ports. It answers / with
// its id, /healthz with its health and /jobs with how many jobs it works on, and ends when it gets TERM. At a port whose
// name begins with "grpc" it has the gRPC health service instead.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// faults are what can be wrong with the worker.
type faults struct {
	startDelay time.Duration // before it listens
	neverReady bool          // its health is bad
	ignoreTerm bool
	exitAfter  time.Duration // 0: never
	exitCode   int
	jobs       int64 // one is done each time that it is asked for them
}

func main() {
	var f faults
	flag.DurationVar(&f.startDelay, "start-delay", 0, "wait so long before listening")
	flag.BoolVar(&f.neverReady, "never-ready", false, "answer /healthz with 503")
	flag.BoolVar(&f.ignoreTerm, "ignore-term", false, "do not end on TERM")
	flag.DurationVar(&f.exitAfter, "exit-after", 0, "exit by itself after this time (0: never)")
	flag.IntVar(&f.exitCode, "exit-code", 1, "exit code of -exit-after")
	flag.Int64Var(&f.jobs, "jobs", 0, "work on so many jobs, of which one is done each time that /jobs is asked for; fail on TERM if some are left")
	flag.Func("print", "print this line at the start; may be repeated", func(line string) error {
		fmt.Println(line)
		return nil
	})
	flag.Parse()
	if err := run(context.Background(), f); err != nil {
		fmt.Fprintln(os.Stderr, "testworker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f faults) error {
	if f.ignoreTerm {
		signal.Ignore(syscall.SIGTERM)
	} else {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGTERM)
		defer stop()
	}
	if f.exitAfter > 0 {
		time.AfterFunc(f.exitAfter, func() { os.Exit(f.exitCode) })
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(f.startDelay):
	}
	served, ctx := errgroup.WithContext(ctx)
	for _, variable := range os.Environ() {
		name, port, _ := strings.Cut(variable, "=")
		name, isPort := strings.CutPrefix(name, "POOLKEEPER_PORT_")
		if !isPort {
			continue
		}
		var listen net.ListenConfig
		listener, err := listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			return fmt.Errorf("listen on port %s: %w", port, err)
		}
		fmt.Println("listening on", listener.Addr())
		if strings.HasPrefix(name, "GRPC") {
			served.Go(func() error { return serveGRPC(ctx, listener) })
		} else {
			served.Go(func() error { return serve(ctx, listener, f) })
		}
	}
	<-ctx.Done() // of a pool without ports, being alive is the health
	return served.Wait()
}

// serveGRPC serves the health of the server as a whole, and of two services.
func serveGRPC(ctx context.Context, listener net.Listener) error {
	states := health.NewServer()
	for _, service := range []string{"web.Front", "web.Back"} {
		states.SetServingStatus(service, healthpb.HealthCheckResponse_SERVING)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, states)
	defer context.AfterFunc(ctx, server.Stop)()
	return server.Serve(listener)
}

func serve(ctx context.Context, listener net.Listener, f faults) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, os.Getenv("POOLKEEPER_WORKER_ID"))
	})
	health := func(w http.ResponseWriter, _ *http.Request) {
		if f.neverReady {
			http.Error(w, "warming up for ever", http.StatusServiceUnavailable)
			return
		}
	}
	mux.HandleFunc("/healthz", health)
	mux.HandleFunc("/health", health)
	var jobs atomic.Int64
	jobs.Store(f.jobs)
	mux.HandleFunc("/jobs", func(w http.ResponseWriter, _ *http.Request) {
		if jobs.Load() > 0 {
			jobs.Add(-1)
		}
		fmt.Fprintf(w, `{"active":%d}`, jobs.Load())
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ended <- server.Shutdown(context.WithoutCancel(ctx))
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	if left := jobs.Load(); left > 0 {
		return fmt.Errorf("stopped with %d jobs left", left)
	}
	return <-ended
}
