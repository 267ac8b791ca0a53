// Testworker is a worker whose faults can be chosen. It listens on 127.0.0.1 at the port in PORT, answers / with
// its id, /healthz with its health and /jobs with how many jobs it works on, and ends when it gets TERM.
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
	"sync/atomic"
	"syscall"
	"time"
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
	port := os.Getenv("PORT")
	if port == "" { // a pool without ports: being alive is its health
		<-ctx.Done()
		return nil
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return fmt.Errorf("listen on port %s: %w", port, err)
	}
	fmt.Println("listening on", listener.Addr())
	return serve(ctx, listener, f)
}

func serve(ctx context.Context, listener net.Listener, f faults) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, os.Getenv("POOLKEEPER_WORKER_ID"))
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if f.neverReady {
			http.Error(w, "warming up for ever", http.StatusServiceUnavailable)
			return
		}
	})
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
