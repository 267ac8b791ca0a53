package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/go-cleanhttp"
)

// Config says how a manager is reached.
type Config struct {
	// Endpoint is like "unix:///run/poolkeeper/manager.sock", "http://127.0.0.1:7070" or "https://host/prefix".
	// "tcp://127.0.0.1:7070", as a manager is told to listen, means http.
	Endpoint string
	// Token authenticates; empty sends none.
	Token string
	// TLS is for an https endpoint; any other refuses it.
	TLS TLS
	// Program is what acts, as "name/version", for the audit log.
	Program string
	// ExpectManager is the id of the only manager that shall serve the calls; empty means any.
	ExpectManager string
	// Transport replaces the way to Endpoint, which then only names it in errors.
	Transport http.RoundTripper
	// RequestTimeout bounds one try of a request, besides the wait of a long poll; 0 means 30 s.
	RequestTimeout time.Duration
	// Patience bounds how long a request is repeated while the manager is out of reach, ending or
	// overloaded, from the first failure on; 0 means 10 s, below 0 not at all.
	Patience time.Duration
	// Absence bounds how long Wait goes on while no manager tells of the operation, from the first failure
	// on; 0 means MaxAbsence, below 0 for ever.
	Absence time.Duration
}

// Client is safe for concurrent use.
type Client struct {
	config Config
	base   string // what stands before /v1
	http   *http.Client
}

// New checks the configuration and connects to nothing yet.
func New(config Config) (*Client, error) {
	base, transport, err := dialed(config.Endpoint, config.TLS)
	if err != nil {
		var at *ConfigError
		if errors.As(err, &at) {
			return nil, err
		}
		return nil, fmt.Errorf("endpoint %q: %w", redacted(config.Endpoint), err)
	}
	if strings.ContainsFunc(config.Token, unicode.IsControl) {
		return nil, ErrToken
	}
	if config.Transport != nil {
		transport = config.Transport
	}
	if config.RequestTimeout == 0 {
		config.RequestTimeout = 30 * time.Second
	}
	if config.Patience == 0 {
		config.Patience = retryFor
	}
	if config.Absence == 0 {
		config.Absence = MaxAbsence
	}
	return &Client{config: config, base: base, http: &http.Client{
		Transport: transport,
		// A redirect is never part of the protocol, and a followed one could turn a mutation into a GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// dialed is the base URL of an endpoint and the transport that leads to it.
func dialed(endpoint string, secured TLS) (base string, _ http.RoundTripper, _ error) {
	const valid = `write it like "unix:///path/to/manager.sock", "http://host:port" or "https://host"`
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", nil, fmt.Errorf("is no URL; %s", valid)
	}
	transport := cleanhttp.DefaultPooledTransport()
	if transport.TLSClientConfig, err = secured.config(); err != nil {
		return "", nil, err
	}
	switch {
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", nil, fmt.Errorf("has more than a host and a path; %s", valid)
	case secured != (TLS{}) && u.Scheme != "https":
		return "", nil, &ConfigError{"endpoint", errors.New("certificates are for an endpoint that begins with https://")}
	case u.Scheme == "unix" && u.Host == "" && filepath.IsAbs(u.Path):
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", u.Path)
		}
		return "http://poolkeeper", transport, nil
	case u.Scheme == "unix":
		return "", nil, fmt.Errorf("has no absolute path; %s", valid)
	case u.Scheme == "tcp" && u.Host != "":
		u.Scheme = "http"
		return strings.TrimRight(u.String(), "/"), transport, nil
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return strings.TrimRight(u.String(), "/"), transport, nil
	}
	return "", nil, fmt.Errorf("has no known scheme and host; %s", valid)
}

// redacted is an endpoint as errors may show it: without what could be a secret. Who a user is, too, may be a
// token.
func redacted(endpoint string) string {
	const hidden = "xxxxx"
	u, err := url.Parse(endpoint)
	if err != nil { // where in it a secret begins cannot be told
		endpoint, _, _ = strings.Cut(endpoint, "?")
		if at := strings.LastIndexByte(endpoint, '@'); at >= 0 {
			return hidden + endpoint[at:]
		}
		return endpoint
	}
	if u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		return endpoint
	}
	if u.User != nil {
		u.User = url.User(hidden)
	}
	if u.RawQuery != "" {
		u.RawQuery = hidden
	}
	if u.Fragment != "" {
		u.Fragment, u.RawFragment = hidden, ""
	}
	return u.String()
}
