// Worker is a small HTTP job worker, as a pool runs many of: it says who it is, answers health checks, does
// jobs, and on TERM finishes what it has begun before it exits.
//
// It listens on 127.0.0.1 at the port in PORT. GREETING stands for its configuration: it is part of what it
// answers, so a rolling change of it can be watched from outside.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// longestJob bounds what POST /jobs accepts.
const longestJob = time.Hour

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	port := os.Getenv("PORT")
	if port == "" {
		return errors.New("PORT is not set: give the pool a port, worker.ports = [{ name = \"http\" }]")
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return fmt.Errorf("listen on port %s: %w", port, err)
	}
	return serve(ctx, listener, about{
		Worker:   os.Getenv("POOLKEEPER_WORKER_ID"),
		Pool:     os.Getenv("POOLKEEPER_POOL"),
		PID:      os.Getpid(),
		Greeting: os.Getenv("GREETING"),
	})
}

// about is the answer to GET /.
type about struct {
	Worker     string `json:"worker"`
	Pool       string `json:"pool"`
	PID        int    `json:"pid"`
	Greeting   string `json:"greeting"`
	ActiveJobs int64  `json:"active_jobs"`
}

// serve answers until ctx ends, then takes no new request and returns when the last running one is answered.
func serve(ctx context.Context, listener net.Listener, self about) error {
	var active atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		now := self
		now.ActiveJobs = active.Load()
		answer(w, now)
	})
	mux.HandleFunc("POST /jobs", func(w http.ResponseWriter, r *http.Request) {
		duration, err := time.ParseDuration(r.FormValue("duration"))
		if err != nil || duration < 0 || duration > longestJob {
			http.Error(w, fmt.Sprintf("duration=%q: valid is a duration from 0s to %v, like 2s", r.FormValue("duration"), longestJob), http.StatusBadRequest)
			return
		}
		active.Add(1)
		defer active.Add(-1)
		<-time.After(duration) // the work; it goes on when its client has left
		answer(w, map[string]any{"worker": self.Worker, "took": duration.String()})
	})

	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	drained := make(chan error, 1)
	go func() {
		<-ctx.Done()
		fmt.Printf("told to end with %d active jobs\n", active.Load())
		drained <- server.Shutdown(context.WithoutCancel(ctx)) // how long it may take is its manager's affair
	}()
	fmt.Printf("worker %s of pool %s answers on %s\n", self.Worker, self.Pool, listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	}
	if err := <-drained; err != nil {
		return fmt.Errorf("finish running jobs: %w", err)
	}
	fmt.Println("all jobs are done")
	return nil
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		fmt.Fprintln(os.Stderr, "worker: answer:", err)
	}
}
