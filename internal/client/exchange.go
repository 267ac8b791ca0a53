package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sethvargo/go-retry"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 256 << 20

// request is one call of the protocol. All of them may be repeated: a mutation carries an idempotency key.
type request struct {
	method, path string
	query        url.Values
	header       http.Header
	body         []byte
	wait         time.Duration // that a long poll asks for
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// exchange sends a request until an answer comes that is worth having, or patience or ctx ends. An error
// wraps a *Problem, ErrUnreachable, or ctx's error.
func (c *Client) exchange(ctx context.Context, r request) (answer, error) {
	most := api.MaxBody
	if r.path == api.PathRestore {
		most = api.MaxRestore
	}
	if len(r.body) > most {
		return answer{}, &Problem{Type: api.ProblemBase + api.ProblemTooLarge, Title: http.StatusText(http.StatusRequestEntityTooLarge), Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("the document has %d bytes; a manager takes at most %d", len(r.body), most)}
	}
	backoff := &patience{left: c.config.Patience}
	got, err := retry.DoValue(ctx, backoff, func(ctx context.Context) (answer, error) {
		got, err := c.once(ctx, r)
		if err == nil {
			err = got.problem()
		}
		if again, after := transient(err, got.header, time.Now()); again {
			backoff.asked, backoff.last = after, err
			return got, retry.RetryableError(err)
		}
		return got, err
	})
	if err != nil && backoff.last != nil && errors.Is(err, context.Cause(ctx)) {
		err = fmt.Errorf("%w; before that: %w", err, backoff.last)
	}
	return got, err
}

// patience is the schedule of one request's repetitions.
type patience struct {
	left  time.Duration
	steps retry.Backoff
	asked time.Duration // by the manager's newest answer
	last  error
}

// Next starts to count at the first failure, so that a request that failed late is repeated too.
func (p *patience) Next() (time.Duration, bool) {
	if p.left < 0 || p.asked > p.left {
		return 0, true
	}
	if p.steps == nil {
		p.steps = retry.WithMaxDuration(p.left, pauses())
	}
	pause, stop := p.steps.Next()
	return max(pause, p.asked), stop
}

// pauses grow from 50 ms to 2 s, spread so that many clients do not return as one.
func pauses() retry.Backoff {
	return retry.WithJitterPercent(20, retry.WithCappedDuration(2*time.Second, retry.NewExponential(50*time.Millisecond)))
}

// transient says whether a request that failed with err may succeed a moment later, and after how long at
// the earliest if the manager said so.
func transient(err error, header http.Header, now time.Time) (again bool, after time.Duration) {
	var problem *Problem
	switch {
	case err == nil:
		return false, 0
	case errors.As(err, &problem):
		switch problem.Status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true, retryAfter(header.Get("Retry-After"), now)
		}
		// A manager that fails says so in its own words; what is between it and here may do better the next time.
		return problem.Status == http.StatusInternalServerError && problem.Type == unnamed, 0
	}
	var lost *lostError
	return errors.As(err, &lost) && !lost.final(), 0
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110, 10.2.3).
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// lostError is a request without an answer. What happened to it is not known.
type lostError struct {
	endpoint string
	cause    error
}

func (e *lostError) Error() string {
	return fmt.Sprintf("%v at %s: %v", ErrUnreachable, e.endpoint, e.cause)
}

func (e *lostError) Unwrap() []error { return []error{ErrUnreachable, e.cause} }

// final: another try would meet the same.
func (e *lostError) final() bool {
	var (
		certificate *tls.CertificateVerificationError
		name        *net.DNSError
	)
	return errors.As(e.cause, &certificate) || errors.As(e.cause, &name) && name.IsNotFound || errors.Is(e.cause, fs.ErrPermission)
}

// once sends a request one time and reads the whole answer.
func (c *Client) once(ctx context.Context, r request) (answer, error) {
	timeout := c.config.RequestTimeout + r.wait
	try, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(try, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, err
	}
	c.sign(ctx, req, r)
	got, err := c.send(req)
	switch {
	case err == nil:
		return got, nil
	case ctx.Err() != nil:
		return answer{}, context.Cause(ctx)
	case errors.Is(err, ErrUnreachable):
		return answer{}, err
	case try.Err() != nil:
		err = fmt.Errorf("no answer within %s", timeout)
	}
	return answer{}, &lostError{c.config.Endpoint, err}
}

func (c *Client) sign(ctx context.Context, req *http.Request, r request) {
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json, application/problem+json, text/plain;q=0.9")
	if c.config.Program != "" {
		req.Header.Set("User-Agent", c.config.Program)
		req.Header.Set(api.HeaderClient, c.config.Program)
	}
	if c.config.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.config.Token)
	}
	expect, given := ctx.Value(expectation{}).(string)
	if !given {
		expect = c.config.ExpectManager
	}
	if expect != "" {
		req.Header.Set(api.HeaderExpectManager, expect)
	}
}

func (c *Client) send(req *http.Request) (answer, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		// The URL in it holds nothing that the endpoint and the caller's words do not say better.
		var inURL *url.Error
		if errors.As(err, &inURL) {
			err = inURL.Err
		}
		return answer{}, err
	}
	defer resp.Body.Close()
	return read(resp)
}

func read(resp *http.Response) (answer, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer: %w", err)
	}
	return answer{resp.StatusCode, resp.Header, body}, nil
}

// unnamed is the type of a problem that no manager has named.
const unnamed = "about:blank"

// problem is the answer's *Problem, or nil for a success.
func (a answer) problem() error {
	if a.status >= 200 && a.status < 300 {
		return nil
	}
	p := &Problem{}
	if a.mediaType() != "application/problem+json" || json.Unmarshal(a.body, p) != nil {
		p = &Problem{Type: unnamed, Detail: firstWords(a.body)}
	}
	p.Status = a.status
	if p.Title == "" {
		p.Title = http.StatusText(a.status)
	}
	if p.Detail != "" && p.Type == unnamed {
		p.Detail = fmt.Sprintf("%s (status %d): %s", p.Title, a.status, p.Detail)
	}
	return p
}

func (a answer) mediaType() string {
	media, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return media
}

// decode reads a JSON answer. What is no JSON does not come from a manager.
func (a answer) decode(into any) error {
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("the answer is not a manager's (status %d, %q): %w; is the endpoint right?", a.status, firstWords(a.body), err)
	}
	return nil
}

// firstWords shortens a body of unknown kind to one printable line.
func firstWords(body []byte) string {
	const most = 200
	text := strings.Join(strings.Fields(headerText(string(body[:min(len(body), 4*most)]))), " ")
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return text
}

// headerText makes text fit for one line of a header.
func headerText(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text))
}
