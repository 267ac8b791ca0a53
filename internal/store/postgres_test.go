//go:build unix

package store_test

import (
	"context"
	"testing"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store/storetest"
)

func TestPostgresDoesWhatAStoreMust(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Database {
		location := postgres.Database(t)
		return func(ctx context.Context) (store.Store, error) { return store.Open(ctx, location) }
	})
}
