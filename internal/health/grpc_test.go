package health_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/health"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func grpcCheck(service string) pool.HealthCheck {
	return pool.HealthCheck{GRPC: &pool.GRPCProbe{Service: service}}
}

// serveGRPC runs a server with what register gives it.
func serveGRPC(t testing.TB, register func(*grpc.Server)) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	register(server)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return listener.Addr().(*net.TCPAddr).Port
}

func withHealth(statuses map[string]grpc_health_v1.HealthCheckResponse_ServingStatus) func(*grpc.Server) {
	return func(s *grpc.Server) {
		service := grpchealth.NewServer()
		for name, status := range statuses {
			service.SetServingStatus(name, status)
		}
		grpc_health_v1.RegisterHealthServer(s, service)
	}
}

func TestAGRPCProbePassesWhenTheHealthServiceAnswersServing(t *testing.T) {
	const serving, not = grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING
	port := serveGRPC(t, withHealth(map[string]grpc_health_v1.HealthCheckResponse_ServingStatus{
		"web.Front": serving, "web.Back": not, "web.Side": grpc_health_v1.HealthCheckResponse_UNKNOWN,
	}))
	for service, says := range map[string]string{
		"": "", "web.Front": "", "web.Back": "answered NOT_SERVING", "web.Side": "answered UNKNOWN", "web.Top": `knows no service "web.Top"`,
	} {
		err := probe(t, grpcCheck(service), map[string]int{"main": port})
		if says == "" {
			require.NoError(t, err, service)
			continue
		}
		require.ErrorContains(t, err, says, service)
		require.NotErrorIs(t, err, health.ErrNotProbed)
	}
	sick := serveGRPC(t, withHealth(map[string]grpc_health_v1.HealthCheckResponse_ServingStatus{"": not}))
	require.ErrorContains(t, probe(t, grpcCheck(""), map[string]int{"main": sick}), "NOT_SERVING")
}

func TestAGRPCProbeAsksThePortItNames(t *testing.T) {
	good := serveGRPC(t, withHealth(nil))
	ports := map[string]int{"main": serveGRPC(t, func(*grpc.Server) {}), "admin": good}
	require.ErrorContains(t, probe(t, grpcCheck(""), ports), "has no health service")
	check := grpcCheck("")
	check.GRPC.Port = "admin"
	require.NoError(t, probe(t, check, ports))
	check.GRPC.Port = "none"
	require.ErrorContains(t, probe(t, check, ports), `no port "none"`)
}

// doctor is a health service that answers as it likes.
type doctor struct {
	grpc_health_v1.UnimplementedHealthServer
	check func(context.Context) (*grpc_health_v1.HealthCheckResponse, error)
}

func (d doctor) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return d.check(ctx)
}

func TestAGRPCProbeThatGetsNoProperAnswerFails(t *testing.T) {
	const patience = 300 * time.Millisecond
	serve := func(check func(context.Context) (*grpc_health_v1.HealthCheckResponse, error)) func(*testing.T) int {
		return func(t *testing.T) int {
			return serveGRPC(t, func(s *grpc.Server) { grpc_health_v1.RegisterHealthServer(s, doctor{check: check}) })
		}
	}
	talking := func(talk func(net.Conn)) func(*testing.T) int {
		return func(t *testing.T) int { return listen(t, talk) }
	}
	for behaviour, c := range map[string]struct {
		server func(*testing.T) int
		says   string
	}{
		"a service that hangs": {serve(func(ctx context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}), "no answer within 300ms"},
		"a service that errs": {serve(func(context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
			return nil, status.Error(codes.Internal, "the disk is full")
		}), "Internal: the disk is full"},
		"a long reason": {serve(func(context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
			return nil, status.Error(codes.Internal, strings.Repeat("why ", 5000))
		}), "why why"},
		"a service without the method": {serve(func(context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
			return nil, status.Error(codes.Unimplemented, "")
		}), "has no health service"},
		"100 MiB": {serve(func(context.Context) (*grpc_health_v1.HealthCheckResponse, error) {
			answer := &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}
			answer.ProtoReflect().SetUnknown(append([]byte{0x12, 0x80, 0x80, 0x80, 0x32}, make([]byte, 100<<20)...)) // field 2, as many bytes
			return answer, nil
		}), "larger than max"},
		"a server that never answers": {talking(func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }), "no answer within 300ms"},
		"a server that speaks HTTP/1": {serveHTTP, "gRPC health check of 127.0.0.1"},
		"garbage": {talking(func(conn net.Conn) {
			_, _ = conn.Write([]byte(strings.Repeat("\xff\x00SSH-2.0", 1000)))
			_, _ = io.Copy(io.Discard, conn)
		}), "gRPC health check of 127.0.0.1"},
		"endless garbage": {talking(func(conn net.Conn) { _, _ = io.Copy(conn, endless{}) }), ""},
		"a reset": {talking(func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.(*net.TCPConn).SetLinger(0)
		}), "gRPC health check of 127.0.0.1"},
		"a connection that is closed at once": {talking(func(net.Conn) {}), ""},
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			check := grpcCheck("")
			if strings.HasPrefix(c.says, "no answer") {
				check.Timeout = pool.Duration(patience)
			}
			ports := map[string]int{"main": c.server(t)}
			err := probe(t, check, ports)
			require.ErrorContains(t, err, c.says)
			require.NotErrorIs(t, err, health.ErrNotProbed)
			require.LessOrEqual(t, len([]rune(err.Error())), 301, "a reason is short")
			require.NotContains(t, err.Error(), "a probe has one connection")
			require.NotContains(t, err.Error(), "->", "our own port differs each time")
		})
	}
}

func serveHTTP(t *testing.T) int {
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
}

func TestGRPCProbesLeaveNothingOpen(t *testing.T) {
	ports := map[string]int{"main": serveGRPC(t, withHealth(nil))}
	hanging := map[string]int{"main": listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })}
	require.NoError(t, probe(t, grpcCheck(""), ports))
	before, descriptors := goruntime.NumGoroutine(), openFiles(t)
	var probing sync.WaitGroup
	failures := make(chan error, 400)
	for range 200 {
		probing.Go(func() { failures <- probe(t, grpcCheck(""), ports) })
		probing.Go(func() {
			check := grpcCheck("")
			check.Timeout = pool.Duration(50 * time.Millisecond)
			if probe(t, check, hanging) == nil {
				failures <- errors.New("a server that says nothing has passed")
			}
		})
	}
	probing.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	const counting = 1 // the goroutine in which Eventually counts
	require.Eventually(t, func() bool { return goruntime.NumGoroutine() <= before+counting }, 20*time.Second, 10*time.Millisecond, "goroutines are left")
	require.Eventually(t, func() bool { return openFiles(t) <= descriptors }, 20*time.Second, 10*time.Millisecond, "connections are left")
}

// openFiles counts descriptors, where the system tells.
func openFiles(t *testing.T) int {
	files, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	return len(files)
}

// BenchmarkProbe is what one passing probe costs, with its connection.
func BenchmarkProbe(b *testing.B) {
	target := func(check pool.HealthCheck, port int) health.Target {
		return health.Target{Instance: pool.Instance{Ports: map[string]int{"main": port}}, Template: template, Check: check}
	}
	server := http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	defer serving.Wait()
	defer server.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	for name, t := range map[string]health.Target{
		"http": target(httpCheck("/", ""), port), "tcp": target(tcpCheck(""), port), "grpc": target(grpcCheck(""), serveGRPC(b, withHealth(nil))),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, health.Prober{}.Probe(b.Context(), t))
			}
		})
	}
}
