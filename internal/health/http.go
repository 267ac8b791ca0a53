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

// get passes on a status from 200 to 399. It speaks to the worker itself instead of through an http.Client:
// a probe wants no proxy, no redirect, no second try and no connection kept, and a worker that talks out
// of turn must not write into the manager's log, as the client's transport has it do.
func get(ctx context.Context, t Target) error {
	address, err := t.address(t.Check.HTTP.Port)
	if err != nil {
		return err
	}
	path := cmp.Or(t.Check.HTTP.Path, "/")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "poolkeeper")
	request.Close = true

	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := request.Write(conn); err != nil {
		return fmt.Errorf("GET %s: %w", request.URL, lasting(err))
	}
	response, err := readResponse(bufio.NewReader(io.LimitReader(conn, maxHeader+maxBody)), request)
	if err != nil {
		return fmt.Errorf("GET %s: %w", request.URL, lasting(err))
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return fmt.Errorf("GET %s answered %s", request.URL, strings.TrimSpace(response.Status))
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxBody)); err != nil {
		return fmt.Errorf("GET %s answered %d, but its body broke off: %w", request.URL, response.StatusCode, lasting(err))
	}
	return nil
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
