package embedded

import (
	"net/http"
	"slices"
	"strings"
)

// demand is what a request justifies when no manager runs.
type demand int

const (
	reads   demand = iota // a manager is started if there is a store to read
	changes               // a manager is started, and an older one is replaced
	stops                 // nothing is started: what is to be stopped is stopped
)

// tokens are of no use where no manager is, so nothing is started for one where none has been.
const tokens = "/v1/tokens"

// questions are asked with a body, and change nothing.
var questions = []string{":validate", ":plan"}

// demandOf reads it off a request.
func demandOf(r *http.Request) demand {
	asks := slices.ContainsFunc(questions, func(verb string) bool { return strings.HasSuffix(r.URL.Path, verb) })
	switch {
	case r.Method == http.MethodGet, r.Method == http.MethodHead, asks, strings.HasPrefix(r.URL.Path, tokens):
		return reads
	case strings.HasSuffix(r.URL.Path, "/manager:stop"):
		return stops
	}
	return changes
}
