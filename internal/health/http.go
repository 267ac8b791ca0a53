package health

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	maxHeader = 64 << 10 // bytes of an answer's header
	maxBody   = 4 << 10  // bytes of its body that are read
)

// get passes on a status from 200 to 399.
func get(ctx context.Context, t Target) error {
	got, err := t.ask(ctx, http.MethodGet, t.Check.HTTP.Port, t.Check.HTTP.Path, maxBody)
	if err == nil && (got.code < 200 || got.code > 399) {
		return fmt.Errorf("GET %s answered %s", got.url, got.status)
	}
	return err
}

// answer is what a worker answered to a request.
type answer struct {
	url    string
	code   int
	status string
	body   []byte // its beginning
}

// ask makes one request of a worker, and reads at most so much of the answer's body. It speaks to the worker
// itself instead of through an http.Client: it wants no proxy, no redirect, no second try and no connection
// kept, and a worker that talks out of turn must not write into the manager's log, as the client's transport
// has it do.
func (t Target) ask(ctx context.Context, method, port, path string, most int64) (answer, error) {
	address, err := t.address(port)
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+cmp.Or(path, "/"), nil)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("User-Agent", "poolkeeper")
	request.Close = true

	conn, err := dial(ctx, address)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := request.Write(conn); err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, request.URL, lasting(err))
	}
	response, err := readResponse(bufio.NewReader(io.LimitReader(conn, maxHeader+most)), request)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, request.URL, lasting(err))
	}
	defer response.Body.Close()
	got := answer{url: request.URL.String(), code: response.StatusCode, status: strings.TrimSpace(response.Status)}
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return got, nil // what else it says does not count
	}
	if got.body, err = io.ReadAll(io.LimitReader(response.Body, most)); err != nil {
		return got, fmt.Errorf("%s %s answered %d, but its body broke off: %w", method, request.URL, response.StatusCode, lasting(err))
	}
	return got, nil
}

// readResponse skips the answers that only announce another one (RFC 9110, section 15.2).
func readResponse(from *bufio.Reader, request *http.Request) (*http.Response, error) {
	for {
		response, err := http.ReadResponse(from, request)
		if err != nil || response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, err
		}
	}
}
