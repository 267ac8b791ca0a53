package health

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

const (
	maxMessage = 4 << 10  // bytes of an answer, which has two
	buffer     = 4 << 10  // bytes that are read or written at once
	window     = 64 << 10 // bytes that a server may send ahead; setting it keeps it from growing
)

// call passes when the worker's health service answers SERVING. Each probe has a connection of its own: kept
// ones would cost every worker a descriptor, several goroutines and their buffers between two probes, and
// would not notice that new connections are refused.
func call(ctx context.Context, t Target) error {
	address, err := t.address(t.Check.GRPC.Port)
	if err != nil {
		return err
	}
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	client, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(once(lastingConn{conn})),
		grpc.WithUserAgent("poolkeeper"),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithIdleTimeout(0),
		grpc.WithReadBufferSize(buffer), grpc.WithWriteBufferSize(buffer),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
		grpc.WithMaxHeaderListSize(maxHeader),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	service := t.Check.GRPC.Service
	answer, err := grpc_health_v1.NewHealthClient(client).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	switch {
	case err != nil:
		return refusal(address, service, status.Convert(err))
	case answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return fmt.Errorf("gRPC health check of %s answered %s", address, answer.GetStatus())
	}
	return nil
}

// refusal says what a status means here (its meanings: grpc.io/docs/guides/health-checking).
func refusal(address, service string, s *status.Status) error {
	switch s.Code() {
	case codes.DeadlineExceeded: // the server knows the deadline too, and may be the first to notice
		return context.DeadlineExceeded
	case codes.Unimplemented:
		return fmt.Errorf("the gRPC server at %s has no health service (grpc.health.v1.Health answered UNIMPLEMENTED)", address)
	case codes.NotFound:
		return fmt.Errorf("the gRPC health service at %s knows no service %q", address, service)
	}
	return fmt.Errorf("gRPC health check of %s: %s: %s", address, s.Code(), s.Message())
}

var errOneConnection = errors.New("a probe has one connection")

// once gives a client its connection, and no second one.
func once(conn net.Conn) func(context.Context, string) (net.Conn, error) {
	conns := make(chan net.Conn, 1)
	conns <- conn
	return func(context.Context, string) (net.Conn, error) {
		select {
		case conn := <-conns:
			return conn, nil
		default:
			return nil, errOneConnection
		}
	}
}

// lastingConn is a connection whose errors do not name its own port.
type lastingConn struct{ net.Conn }

func (c lastingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, lasting(err)
}

func (c lastingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, lasting(err)
}
