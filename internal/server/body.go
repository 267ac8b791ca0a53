package server

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

// Patience is how long slow clients are waited for.
type Patience struct {
	Header time.Duration // until a request's header has come; 0: 10 s
	Body   time.Duration // and then until its body has come; 0: 10 s
	Answer time.Duration // from the header's end until the answer is taken; 0: half a minute more than the longest wait
}

func (p Patience) orDefault() Patience {
	return Patience{
		Header: cmp.Or(p.Header, 10*time.Second),
		Body:   cmp.Or(p.Body, 10*time.Second),
		Answer: cmp.Or(p.Answer, api.MaxWait+30*time.Second),
	}
}

// boundBody bounds the time in which a request's body must come, whoever sends it and whether or not it is
// ever read. The HTTP server lifts the bound when the body's end was read.
func (s *Server) boundBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hasBody(r) {
			// It fails only where there is no connection.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.config.Patience.Body))
		}
		next.ServeHTTP(w, r)
	})
}

// readBody reads a request's body before it is answered, so that all routes refuse a bad one alike.
func readBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hasBody(r) {
			next.ServeHTTP(w, r)
			return
		}
		most := int64(api.MaxBody)
		if r.URL.Path == api.PathRestore {
			most = api.MaxRestore
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
		var network net.Error
		switch {
		case err == nil && int64(len(body)) > most:
			write(w, problem(api.ProblemTooLarge, fmt.Sprintf("a request's body has at most %d bytes", most)))
			return
		case errors.As(err, &network) && network.Timeout():
			write(w, plainProblem(http.StatusRequestTimeout, "the request's body did not come in time"))
			return
		case err != nil:
			write(w, plainProblem(http.StatusBadRequest, "the request's body cannot be read: "+err.Error()))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }
