//go:build unix

package store_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store/pgtest"
)

// postgres is the server that the tests of this package share, each in a database of its own.
var postgres pgtest.Server

func TestMain(m *testing.M) {
	code := m.Run()
	if err := postgres.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
		code = 1
	}
	os.Exit(code)
}
