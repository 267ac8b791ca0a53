package server_test

import (
	"cmp"
	"context"
	"sync"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// disk is a real store whose disk can fail, and that knows which operations were looked up.
type disk struct {
	store.Store
	mu               sync.Mutex
	reading, writing error                               // what reads and writes err with
	lookups          map[string]map[context.Context]bool // in which request, by operation
}

type watchedReader struct {
	store.Reader
	disk *disk
	ctx  context.Context //nolint:containedctx // it tells requests apart
}

func (r watchedReader) Operation(id string) (pool.Operation, error) {
	r.disk.mu.Lock()
	defer r.disk.mu.Unlock()
	if r.disk.lookups[id] == nil {
		r.disk.lookups[id] = map[context.Context]bool{}
	}
	r.disk.lookups[id][r.ctx] = true
	return r.Reader.Operation(id)
}

func (d *disk) fail(reading, writing error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reading, d.writing = reading, writing
}

func (d *disk) failures() (reading, writing error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reading, d.writing
}

func (d *disk) View(ctx context.Context, read func(store.Reader) error) error {
	reading, _ := d.failures()
	if reading != nil {
		return reading
	}
	return d.Store.View(ctx, func(r store.Reader) error { return read(watchedReader{r, d, ctx}) })
}

// lookedUp is in how many requests an operation was read so far.
func (d *disk) lookedUp(operationID string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.lookups[operationID])
}

// Update makes the change before the disk fails it.
func (d *disk) Update(ctx context.Context, change func(store.Writer) error) error {
	return d.Store.Update(ctx, func(tx store.Writer) error {
		_, writing := d.failures()
		return cmp.Or(change(tx), writing)
	})
}
