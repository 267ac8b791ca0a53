package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"os/user"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

type contextKey string

// contextAuthor carries who asks, as the connection or the token tells.
const contextAuthor contextKey = "author"

// open are the paths that answer without a token.
var open = map[string]bool{"/healthz": true, "/readyz": true}

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
	return context.WithValue(ctx, contextAuthor, "user:"+name)
}

// guard lets in who may: whoever can open the unix socket, or shows the token. It also refuses what was
// meant for another manager.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(api.HeaderManager, s.config.Describe.ID)
		if want := r.Header.Get(api.HeaderExpectManager); want != "" && want != s.config.Describe.ID {
			write(w, problem(api.ProblemOtherManager, "this is manager "+s.config.Describe.ID+", not "+want))
			return
		}
		if _, local := r.Context().Value(contextAuthor).(string); !local && !open[r.URL.Path] {
			if why := s.stranger(r.Header.Get("Authorization")); why != "" {
				w.Header().Set("WWW-Authenticate", "Bearer")
				write(w, problem(api.ProblemUnauthorized, why+": "+showToken))
				return
			}
			r = r.WithContext(context.WithValue(r.Context(), contextAuthor, "token"))
		}
		next.ServeHTTP(w, r)
	})
}

// showToken says in the words of each client how the token is shown.
const showToken = "give the manager's token as the provider's token, as POOLKEEPER_TOKEN, or with --token (in HTTP: Authorization: Bearer TOKEN)"

// stranger says why a request over TCP is not let in; empty if it is.
func (s *Server) stranger(authorization string) string {
	token, _ := strings.CutPrefix(authorization, "Bearer ")
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.config.Token))
	switch {
	case authorization == "":
		return "no token was shown"
	case token == authorization, s.config.Token == "", subtle.ConstantTimeCompare(got[:], want[:]) != 1:
		return "the token that was shown is not this manager's"
	}
	return ""
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
