//go:build unix

package pgtest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// Proxy is a way to a server that tests can make worse.
type Proxy struct{ proxy *toxiproxy.Proxy }

// NewProxy opens a way to an address, until the test ends.
func NewProxy(t testing.TB, upstream string) Proxy {
	t.Helper()
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), t.Name(), "127.0.0.1:0", upstream)
	require.NoError(t, p.Start())
	t.Cleanup(p.Stop)
	return Proxy{p}
}

// Address is where the proxy answers, also after it was cut.
func (p Proxy) Address() string { return p.proxy.Listen }

// Cut ends all connections and lets no new ones in.
func (p Proxy) Cut() { p.proxy.Stop() }

// Mend makes it a good way again. What Mute or Deafen has swallowed stays lost, and its connections end.
func (p Proxy) Mend(t testing.TB) {
	t.Helper()
	p.proxy.Toxics.ResetToxics(context.Background())
	if !p.proxy.Enabled {
		require.NoError(t, p.proxy.Start())
	}
}

// Mute swallows what the server says; connections stay open.
func (p Proxy) Mute(t testing.TB) { p.add(t, `{"type": "timeout", "stream": "downstream"}`) }

// Deafen swallows what is said to the server; connections stay open.
func (p Proxy) Deafen(t testing.TB) { p.add(t, `{"type": "timeout", "stream": "upstream"}`) }

// Slow delays what the server says.
func (p Proxy) Slow(t testing.TB, by time.Duration) {
	p.add(t, fmt.Sprintf(`{"type": "latency", "stream": "downstream", "attributes": {"latency": %d}}`, by.Milliseconds()))
}

func (p Proxy) add(t testing.TB, toxic string) {
	t.Helper()
	_, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
	require.NoError(t, err)
}
