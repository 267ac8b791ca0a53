// Package storetest is what every engine of the store must do, as tests.
package storetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// Database opens one and the same database, again and again. It begins empty.
type Database func(ctx context.Context) (store.Store, error)

type testCase struct {
	behaviour string
	test      func(t *testing.T, s store.Store)
}

// Run tests an engine. newDatabase makes an empty database, which goes when the test ends.
func Run(t *testing.T, newDatabase func(t *testing.T) Database) {
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"pools", poolCases},
		{"revisions", revisionCases},
		{"workers", workerCases},
		{"marks", markCases},
		{"labels", labelCases},
		{"leases", leaseCases},
		{"operations", operationCases},
		{"events", eventCases},
		{"secrets", secretCases},
		{"tokens", tokenCases},
		{"idempotent replies", replyCases},
		{"transactions", transactionCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.behaviour, func(t *testing.T) {
					s, err := newDatabase(t)(t.Context())
					require.NoError(t, err)
					t.Cleanup(func() { require.NoError(t, s.Close()) })
					c.test(t, s)
				})
			}
		})
	}
	t.Run("life of a store", func(t *testing.T) {
		for _, c := range lifeCases {
			t.Run(c.behaviour, func(t *testing.T) { c.test(t, newDatabase(t)) })
		}
	})
}

func update(t *testing.T, s store.Store, change func(w store.Writer) error) {
	t.Helper()
	require.NoError(t, s.Update(context.Background(), change))
}

func view(t *testing.T, s store.Store, read func(r store.Reader) error) {
	t.Helper()
	require.NoError(t, s.View(context.Background(), read))
}
