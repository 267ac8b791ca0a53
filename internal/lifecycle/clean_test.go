package lifecycle_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestLogsThatCannotBeRemovedAreTriedAgainAndThenOnRecord(t *testing.T) {
	for _, c := range []struct {
		name     string
		mendedIn time.Duration
		says     string
	}{
		{"mended in time", 10 * time.Second, "destroyed: no worker is left"},
		{"never mended", time.Hour, "destroyed: no worker is left; its logs could not be removed: a test made it fail"},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				uid := s.created(spec(1)).Pool.UID
				var mended atomic.Bool
				s.world.trouble = func(call, _ string) error {
					if call == "remove logs" && !mended.Load() {
						return errTest
					}
					return nil
				}
				done := s.destroy("web")
				time.AfterFunc(c.mendedIn, func() { mended.Store(true) })
				s.succeeds(done)
				events := s.events(uid)
				i := slices.IndexFunc(events, func(e pool.Event) bool { return e.Type == pool.EventPoolDestroyed })
				require.Equal(t, c.says, events[i].Message)
				require.Equal(t, !mended.Load(), len(s.world.logged()) > 0)
			})
		})
	}
}
