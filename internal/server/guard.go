package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"os/user"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/access"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

// rememberPeer notes who is at the other end of a unix socket: the kernel knows.
func rememberPeer(ctx context.Context, c net.Conn) context.Context {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	name := "unknown"
	if uid, err := peerUID(uc); err == nil {
		name = strconv.FormatUint(uint64(uid), 10)
		if u, err := user.LookupId(name); err == nil {
			name = u.Username
		}
	}
	return access.With(ctx, access.Caller{Author: "user:" + name, Role: access.Admin})
}

// guard finds out who asks: whoever can open the unix socket, or shows a token. It also refuses what was meant for
// another manager. What a caller may do is judged at each route.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(api.HeaderManager, s.config.Describe.ID)
		if want := r.Header.Get(api.HeaderExpectManager); want != "" && want != s.config.Describe.ID {
			write(w, problem(api.ProblemOtherManager, "this is manager "+s.config.Describe.ID+", not "+want))
			return
		}
		if _, local := access.Of(r.Context()); !local && !s.open[r.URL.Path] {
			shown := r.Header.Get("Authorization")
			caller, err := s.authenticate(r.Context(), shown)
			if err != nil {
				s.refuseStranger(w, r, err)
				return
			}
			r = r.WithContext(context.WithValue(access.With(r.Context(), caller), shownKey{}, shown))
		}
		next.ServeHTTP(w, r)
	})
}

// shownKey carries the header by which a caller over TCP is known.
type shownKey struct{}

// showToken says in the words of each client how the token is shown.
const showToken = "give the manager's token as the provider's token, as POOLKEEPER_TOKEN, or with --token (in HTTP: Authorization: Bearer TOKEN)"

// authenticate says who shows what came as Authorization.
func (s *Server) authenticate(ctx context.Context, authorization string) (access.Caller, error) {
	token, bearer := strings.CutPrefix(authorization, "Bearer ")
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.config.Token))
	switch {
	case authorization == "":
		return access.Caller{}, problem(api.ProblemUnauthorized, "no token was shown")
	case !bearer:
		return access.Caller{}, problem(api.ProblemUnauthorized, "the token that was shown is not this manager's")
	case s.config.Token != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1:
		return access.Caller{Author: "token", Role: access.Admin}, nil
	}
	caller, err := s.config.Manager.Authenticate(ctx, token)
	return caller, s.answer(err)
}

// refuseStranger answers one who is not let in, or could not be judged.
func (s *Server) refuseStranger(w http.ResponseWriter, r *http.Request, err error) {
	var p *statusProblem
	if !errors.As(err, &p) {
		p = plainProblem(http.StatusInternalServerError, err.Error())
	}
	if p.Status == http.StatusUnauthorized {
		s.logRefusal(r, "nobody known", p.Detail)
		w.Header().Set("WWW-Authenticate", "Bearer")
		p.Detail += ": " + showToken
	}
	write(w, p)
}

// metaNeed is where a route's Need stands in its operation.
const metaNeed = "need"

// authorize refuses a caller who may not do what the route does. A route that does not say what it needs is nobody's.
func (s *Server) authorize(ctx huma.Context, next func(huma.Context)) {
	need, _ := ctx.Operation().Metadata[metaNeed].(access.Need)
	r, w := humachi.Unwrap(ctx)
	if s.permits(w, r, need) {
		next(ctx)
	}
}

// permits answers a caller who does not meet a need.
func (s *Server) permits(w http.ResponseWriter, r *http.Request, need access.Need) bool {
	caller, _ := access.Of(r.Context())
	why := need.Refuses(caller)
	if why != "" {
		s.logRefusal(r, caller.Author, why)
		write(w, problem(api.ProblemForbidden, why))
	}
	return why == ""
}

// permitted is a handler that is no route of the API.
func (s *Server) permitted(need access.Need, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.permits(w, r, need) {
			handler.ServeHTTP(w, r)
		}
	})
}

func (s *Server) logRefusal(r *http.Request, caller, why string) {
	s.config.Logger.Warn("a request was refused", "caller", caller, "from", r.RemoteAddr, "method", r.Method, "path", r.URL.EscapedPath(), "why", why)
}

// stillKnown errs once a caller's token has ended, for what goes on for long.
func (s *Server) stillKnown(ctx context.Context) error {
	shown, remote := ctx.Value(shownKey{}).(string)
	if !remote {
		return nil
	}
	_, err := s.authenticate(ctx, shown)
	return err
}

// recoverPanics answers a request whose handler has a bug, and keeps the manager running.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				s.config.Logger.Error("a request's handler panicked", "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
				write(w, plainProblem(http.StatusInternalServerError, "the manager has a bug, which its log tells of"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
