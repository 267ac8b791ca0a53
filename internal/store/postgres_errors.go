package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

// unwritable are the codes of PostgreSQL, or the classes of codes that they begin with, that go away once the
// server or the way to it is mended: https://www.postgresql.org/docs/current/errcodes-appendix.html
var unwritable = []string{
	"08",    // no connection
	"25006", // read-only
	"25P03", // idle in a transaction for longer than the server allows
	"28",    // it lets nobody in under this name or password
	"3D000", // there is no such database
	"40",    // it gave up the transaction
	"42501", // the user may not
	"53",    // no disk, no memory, no connection left
	"55P03", // somebody has locked a table
	"57",    // it shuts down, starts up, was told to stop
	"58",    // the operating system failed it
}

const foreignKeyViolation = "23503"

// explainPostgres gives PostgreSQL's error codes, and the failures of the way to it, the meaning that callers
// branch on.
func explainPostgres(err error) error {
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		if unreached(err) {
			return fmt.Errorf("%w: %w", ErrUnwritable, err)
		}
		return err
	}
	if said.Code == foreignKeyViolation {
		return fmt.Errorf("the pool of the record: %w: %w", ErrNotFound, err)
	}
	for _, code := range unwritable {
		if strings.HasPrefix(said.Code, code) {
			return fmt.Errorf("%w: %w", ErrUnwritable, err)
		}
	}
	return err
}

// unreached says whether an error is of the connection, and not of what was said on it.
func unreached(err error) bool {
	var (
		dial    *pgconn.ConnectError
		network net.Error
	)
	if errors.As(err, &dial) || errors.As(err, &network) || pgconn.SafeToRetry(err) {
		return true
	}
	for _, lost := range []error{io.EOF, io.ErrUnexpectedEOF, driver.ErrBadConn, sql.ErrConnDone, context.DeadlineExceeded} {
		if errors.Is(err, lost) {
			return true
		}
	}
	return false
}

// postgresText is a string as a column holds it. PostgreSQL knows no NUL and nothing that is not UTF-8, which
// requests may ask for: they find nothing then, as anywhere. Different strings stay different.
func postgresText(s string) string {
	if utf8.ValidString(s) && !strings.ContainsRune(s, 0) && !strings.HasPrefix(s, `"`) {
		return s
	}
	return strconv.QuoteToASCII(s)
}
