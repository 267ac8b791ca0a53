//go:build linux

package acceptance

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// networkSeeds is how many networks an apply is tried over.
var networkSeeds = flag.Uint64("network-seeds", 3, "how many seeds of a faulty network between provider and manager are run")

// network is what is between the provider and a manager: it delays, loses and answers for the manager, at moments that a
// seed says.
type network struct {
	to     *httputil.ReverseProxy
	mu     sync.Mutex
	chance *rand.Rand
	often  int // one of so many requests meets with a fault
	struck map[string]int
}

// fault is what can happen to a request.
type fault struct {
	name   string
	happen func(n *network, w http.ResponseWriter, r *http.Request)
}

var faults = []fault{
	{"lost before it came", func(_ *network, w http.ResponseWriter, _ *http.Request) { hangUp(w) }},
	{"answer lost", func(n *network, w http.ResponseWriter, r *http.Request) {
		n.to.ServeHTTP(httptest.NewRecorder(), r)
		hangUp(w)
	}},
	{"late", func(n *network, w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(300 * time.Millisecond):
		case <-r.Context().Done():
		}
		n.to.ServeHTTP(w, r)
	}},
	{"500 of somebody else", says(http.StatusInternalServerError)},
	{"502 of somebody else", says(http.StatusBadGateway)},
	{"503 of somebody else", says(http.StatusServiceUnavailable)},
	{"429 with a pause", says(http.StatusTooManyRequests)},
}

func says(status int) func(*network, http.ResponseWriter, *http.Request) {
	return func(_ *network, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<h1>Something is wrong here</h1>")
	}
}

// hangUp ends a connection without an answer.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

func (n *network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	happens := n.chance.IntN(n.often) == 0
	f := faults[n.chance.IntN(len(faults))]
	if happens {
		n.struck[f.name]++
	}
	n.mu.Unlock()
	if happens {
		f.happen(n, w, r)
		return
	}
	n.to.ServeHTTP(w, r)
}

// over puts a faulty network before a manager, and returns where it is reached.
func over(t *testing.T, manager string, seed uint64) (*network, string) {
	t.Helper()
	to, err := url.Parse(manager)
	require.NoError(t, err)
	n := &network{to: httputil.NewSingleHostReverseProxy(to), chance: rand.New(rand.NewPCG(seed, 0)), often: 3, struck: map[string]int{}}
	n.to.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { hangUp(w) } // its client has gone
	front := httptest.NewServer(n)
	t.Cleanup(front.Close)
	return n, front.URL
}

// TestOverAFaultyNetworkEveryApplyEndsRight takes a pool through its life while every third request meets with a fault: each
// apply ends right, or says what is wrong and the next one ends right; nothing is there twice.
func TestOverAFaultyNetworkEveryApplyEndsRight(t *testing.T) {
	for seed := uint64(1); seed <= *networkSeeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newWorld(t)
			n, front := over(t, w.serves(freePort(t)), seed)
			direct := w.more
			w.more = []string{"POOLKEEPER_ENDPOINT=" + front, "POOLKEEPER_TOKEN=" + token}
			reaches := func(do func() outcome) {
				t.Helper()
				for try := 1; ; try++ {
					done := do()
					if done.code == 0 {
						return
					}
					require.Less(t, try, 5, "an apply after the other fails: %s", done)
					require.NotContains(t, done.stderr, "already exists", "what was made over the network was not recognized: %s", done)
				}
			}
			uid := ""
			for revision, declared := range []object{
				w.web(set("size", 2)),
				w.web(set("size", 2), set("description", "changed in place")),
				w.web(set("size", 2), set("description", "changed in place"), set("worker.env", object{"GREETING": "good day"})),
			} {
				w.declare(declared)
				reaches(func() outcome { return w.apply() })
				require.Len(t, w.pools(), 1)
				p := w.pool("web")
				require.Equal(t, int64(revision+1), p.Revision, "each change was made once")
				if uid == "" {
					uid = p.UID
				}
				require.Equal(t, uid, p.UID, "it is the same pool")
				require.Equal(t, uid, w.shown("id"))
				require.Len(t, w.settled("web"), 2)
			}
			reaches(func() outcome { return w.plan() })
			reaches(w.destroy)
			require.Empty(t, w.pools())
			require.Empty(t, w.running("web"))
			_, kept := w.state()
			require.False(t, kept)
			w.more = direct
			n.mu.Lock()
			defer n.mu.Unlock()
			t.Logf("faults: %v", n.struck)
			require.NotEmpty(t, n.struck)
		})
	}
}
