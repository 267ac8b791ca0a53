package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
)

const validLocations = "sqlite:///path/to/file, postgres://user@host/database"

// Open opens the store that a URL names, and makes it if it is not there:
//
//	sqlite:///path/to/file         the file at an absolute path; see [OpenSQLite]
//	postgres://user@host/database  a database of a PostgreSQL server
//
// In PostgreSQL a store has a schema of its own, poolkeeper or, if the URL has a search_path, that one. What the URL
// leaves open is found as psql finds it, in the environment and in ~/.pgpass. Open errs with ErrInUse if another
// manager has the store open, and with ErrUnwritable if it cannot be reached or written. One of a newer Poolkeeper is
// refused and left as it is.
//
// An error names the URL without its password.
func Open(ctx context.Context, location string) (Store, error) {
	open, err := locate(location)
	if err != nil {
		return nil, err
	}
	return open(ctx)
}

// Check says what is wrong with the URL of a store, without looking for the store.
func Check(location string) error {
	_, err := locate(location)
	return err
}

func locate(location string) (open func(context.Context) (Store, error), err error) {
	scheme, _, _ := strings.Cut(location, "://")
	switch scheme {
	case "sqlite":
		path, err := sqlitePath(location)
		return func(ctx context.Context) (Store, error) { return OpenSQLite(ctx, path) }, err
	case "postgres", "postgresql":
		config, err := postgresConfig(location)
		return func(ctx context.Context) (Store, error) { return openPostgresAs(ctx, location, config) }, err
	}
	return nil, invalidLocation(location, errors.New("it is of no known kind"))
}

// SQLiteURL is the URL of the store in a file at an absolute path.
func SQLiteURL(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	return (&url.URL{Scheme: "sqlite", Path: path}).String()
}

func invalidLocation(location string, reason error) error {
	return fmt.Errorf("the store's URL is %s: %w; valid: %s", Redacted(location), reason, validLocations)
}

// sqlitePath is the path in a sqlite URL.
func sqlitePath(location string) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", invalidLocation(location, errors.New("it cannot be parsed"))
	}
	path := filepath.FromSlash(u.Path)
	if runtime.GOOS == "windows" {
		path = strings.TrimPrefix(path, `\`) // before the drive's letter
	}
	switch {
	case u.Host != "" || u.User != nil:
		return "", invalidLocation(location, errors.New("a file's URL has no host, and three slashes"))
	case u.RawQuery != "" || u.Fragment != "":
		return "", invalidLocation(location, errors.New("it goes on after the path; write ? as %3F and # as %23"))
	case !filepath.IsAbs(path) || strings.HasSuffix(u.Path, "/"):
		return "", invalidLocation(location, errors.New("it has no absolute path of a file"))
	}
	return path, nil
}

// Redacted is the URL of a store as people may read it. Where nobody can tell which part of it is a password,
// little of it is left.
func Redacted(location string) string {
	scheme, _, found := strings.Cut(location, "://")
	if !found {
		if strings.ContainsAny(location, "@=:") {
			return "no URL, and not shown, because it may hold a password"
		}
		return fmt.Sprintf("%q", location)
	}
	u, err := url.Parse(location)
	if err != nil || ambiguous(u) {
		return fmt.Sprintf("%q (the rest may hold a password)", scheme+"://…")
	}
	query := u.Query()
	for _, secret := range []string{"password", "sslpassword"} {
		if query.Has(secret) {
			query.Set(secret, "xxxxx")
			u.RawQuery = query.Encode()
		}
	}
	return fmt.Sprintf("%q", u.Redacted())
}

// HasPassword says whether the URL of a store holds a password, or something that may be one.
func HasPassword(location string) bool {
	u, err := url.Parse(location)
	if err != nil || ambiguous(u) {
		return true
	}
	_, inUser := u.User.Password()
	query := u.Query()
	return inUser || query.Has("password") || query.Has("sslpassword")
}

// ambiguous says whether a part of a URL that does not look like a password may be one: a password that was not
// encoded ends the host early, and leaves its @ to what follows.
func ambiguous(u *url.URL) bool {
	return u.Scheme != "sqlite" && strings.Contains(u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@")
}
