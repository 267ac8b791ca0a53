//go:build unix

package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// BenchmarkBareCommitOfPostgres is what one durable row costs at least: the floor for BenchmarkUpdate.
func BenchmarkBareCommitOfPostgres(b *testing.B) {
	conn, err := pgx.Connect(b.Context(), postgres.Database(b))
	require.NoError(b, err)
	defer func() { require.NoError(b, conn.Close(context.Background())) }()
	_, err = conn.Exec(b.Context(), `CREATE TABLE events (pool_uid TEXT, sequence BIGINT, record TEXT, PRIMARY KEY (pool_uid, sequence))`)
	require.NoError(b, err)
	row := fmt.Sprintf("%0300d", 1)
	for i := 0; b.Loop(); i++ {
		_, err := conn.Exec(b.Context(), `INSERT INTO events VALUES ($1, $2, $3)`, "p", i, row)
		require.NoError(b, err)
	}
}

func openPostgresForBenchmark(b *testing.B) store.Store {
	s, err := store.Open(context.Background(), postgres.Database(b))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	return s
}
