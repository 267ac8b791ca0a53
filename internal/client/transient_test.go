package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOnlyWhatMayPassIsTriedAgain(t *testing.T) {
	dial := func(cause error) error {
		return &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", cause)}
	}
	for name, row := range map[string]struct {
		cause error
		again bool
	}{
		"refused":               {dial(syscall.ECONNREFUSED), true},
		"no socket yet":         {dial(syscall.ENOENT), true},
		"a broken connection":   {fmt.Errorf("read the answer: %w", io.ErrUnexpectedEOF), true},
		"no permission":         {dial(syscall.EACCES), false},
		"an unknown host":       {&net.DNSError{IsNotFound: true}, false},
		"a name server's fault": {&net.DNSError{IsTemporary: true}, true},
		"a wrong certificate":   {&tls.CertificateVerificationError{Err: errors.New("expired")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			again, _ := transient(fmt.Errorf("read pool: %w", &lostError{"unix:///m.sock", row.cause}), nil, time.Time{})
			require.Equal(t, row.again, again)
		})
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":    0,
		"7":   7 * time.Second,
		"-7":  0,
		"1e3": 0,
		now.Add(time.Minute).Format(http.TimeFormat):  time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		require.Equal(t, want, retryAfter(value, now), "%q", value)
	}
}

func TestASocketIsNeverReachedThroughAProxy(t *testing.T) {
	for endpoint, proxied := range map[string]bool{"unix:///run/manager.sock": false, "https://pools.example.com": true} {
		_, transport, err := dialed(endpoint, TLS{})
		require.NoError(t, err)
		require.Equal(t, proxied, transport.(*http.Transport).Proxy != nil, endpoint)
	}
}
