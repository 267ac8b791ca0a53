package embedded

import (
	"net/http"
	"strings"
)

// demand is what a request justifies when no manager runs.
type demand int

const (
	reads   demand = iota // a manager is started if there is a store to read
	changes               // a manager is started, and an older one is replaced
	stops                 // nothing is started: what is to be stopped is stopped
)

// demandOf reads it off a request. Validation is a question, though a question with a body.
func demandOf(r *http.Request) demand {
	switch {
	case r.Method == http.MethodGet, r.Method == http.MethodHead, strings.HasSuffix(r.URL.Path, "/pools:validate"):
		return reads
	case strings.HasSuffix(r.URL.Path, "/manager:stop"):
		return stops
	}
	return changes
}
