package lifecycle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// as is a context in which somebody asks.
func as(t *testing.T, author string, scope access.Scope) context.Context {
	return access.With(t.Context(), access.Caller{Author: author, Role: access.Admin, Scope: scope})
}

// refusedAs is why a request was refused.
func refusedAs(t *testing.T, problem string, err error) *lifecycle.Refusal {
	t.Helper()
	var r *lifecycle.Refusal
	require.ErrorAs(t, err, &r)
	require.Equal(t, problem, r.Problem, r.Detail)
	return r
}

func TestATokenIsGoodUntilItsEndAndRememberedAMonth(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		ctx := as(t, "user:ada", nil)
		remembered := func() (names []string) {
			all, err := s.m.Tokens(ctx, true)
			require.NoError(t, err)
			for _, one := range all {
				names = append(names, one.Name)
			}
			return names
		}
		short, err := s.m.MakeToken(ctx, api.TokenRequest{Name: "short", Role: access.Operator, Labels: access.Scope{"team": "core"}, TTL: "1h"})
		require.NoError(t, err)
		long, err := s.m.MakeToken(ctx, api.TokenRequest{Name: "long", Role: access.Viewer, TTL: "2160h"})
		require.NoError(t, err)
		require.NotEqual(t, short.Secret, long.Secret)
		require.Equal(t, "user:ada", short.Author)

		s.pass(time.Hour - time.Millisecond)
		who, err := s.m.Authenticate(ctx, short.Secret)
		require.NoError(t, err)
		require.Equal(t, access.Caller{Author: "token:short", Role: access.Operator, Scope: access.Scope{"team": "core"}}, who)
		s.pass(time.Millisecond)
		_, err = s.m.Authenticate(ctx, short.Secret)
		require.Contains(t, refusedAs(t, api.ProblemUnauthorized, err).Detail, "has expired at")
		for _, wrong := range []string{"", "pkt_", long.Secret + "x", strings.TrimPrefix(long.Secret, "pkt_"), long.ID} {
			_, err := s.m.Authenticate(ctx, wrong)
			require.Contains(t, refusedAs(t, api.ProblemUnauthorized, err).Detail, "is not this manager's")
		}

		living, err := s.m.Tokens(ctx, false)
		require.NoError(t, err)
		require.Equal(t, []api.Token{long.Token}, living)
		require.Equal(t, []string{"long", "short"}, remembered())
		s.away(30*24*time.Hour - time.Hour)
		s.pass(59 * time.Minute)
		require.Equal(t, []string{"long", "short"}, remembered())
		s.pass(20 * time.Minute)
		require.Equal(t, []string{"long"}, remembered())

		s.close()
		s.open()
		_, err = s.m.Authenticate(ctx, long.Secret)
		require.NoError(t, err, "the next manager knows it")
		ended, err := s.m.RevokeToken(as(t, "user:bob", nil), long.ID)
		require.NoError(t, err)
		s.pass(time.Hour)
		again, err := s.m.RevokeToken(ctx, long.ID)
		require.NoError(t, err)
		require.Equal(t, ended, again, "it has ended once")
		require.Equal(t, "user:bob", again.RevokedBy)
		_, err = s.m.Authenticate(ctx, long.Secret)
		require.Contains(t, refusedAs(t, api.ProblemUnauthorized, err).Detail, "was revoked at")
	})
}

// TestAScopeIsSeenToWhenAChangeIsMade: the labels of a pool may change between a look at it and what is done.
func TestAScopeIsSeenToWhenAChangeIsMade(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		ctx := as(t, "token:ci", access.Scope{"team": "core"})
		spec := pool.Default()
		spec.Name, spec.Worker.Command, spec.Labels = "web", []string{"/bin/worker"}, map[string]string{"team": "core"}
		size := int64(1)
		spec.Size = &size
		done, err := s.m.Put(ctx, lifecycle.Request{Author: "token:ci", IfNoneMatch: true}, spec)
		require.NoError(t, err)
		_, err = s.m.Operation(ctx, done.Operation.ID, time.Minute)
		require.NoError(t, err)
		news := make(chan any, 100)
		watched, leave := context.WithCancel(ctx)
		ended := make(chan error)
		go func() { ended <- s.m.WatchRegistry(watched, func(told any) error { news <- told; return nil }) }()
		s.pass(time.Second)

		_, err = s.m.Patch(t.Context(), lifecycle.Request{Author: "user:ada", IfMatch: "*"}, "web", []byte(`{"labels":{"team":"other"}}`))
		require.NoError(t, err)
		s.pass(time.Second)
		leave()
		require.Error(t, <-ended)
		close(news)
		var last any
		for told := range news {
			last = told
		}
		require.Equal(t, api.PoolGone{UID: done.Pool.UID, Name: "web"}, last)

		by := lifecycle.Request{Author: "token:ci", IfMatch: "*"}
		for name, attempt := range map[string]func() error{
			"resize":  func() error { _, err := s.m.Resize(ctx, by, "web", 3); return err },
			"restart": func() error { _, err := s.m.Restart(ctx, by, done.Pool.UID); return err },
			"delete":  func() error { _, err := s.m.Delete(ctx, by, "web", true); return err },
			"pause":   func() error { _, err := s.m.Pause(ctx, by, "web", true); return err },
			"put":     func() error { _, err := s.m.Put(ctx, by, spec); return err },
			"read":    func() error { _, err := s.m.Pool(ctx, done.Pool.UID); return err },
			"events":  func() error { _, err := s.m.Events(ctx, "web", 0, 0); return err },
			"await":   func() error { _, err := s.m.Operation(ctx, done.Operation.ID, time.Minute); return err },
		} {
			require.Contains(t, refusedAs(t, api.ProblemNotFound, attempt()).Detail, "there is no", name)
			require.Equal(t, "other", s.view("web").Spec.Labels["team"], name)
		}
		count, err := s.m.Count(ctx)
		require.NoError(t, err)
		require.Zero(t, count)
	})
}
