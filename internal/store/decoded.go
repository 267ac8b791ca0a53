package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"sync"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// decoded keeps what records of pools say, so that a record is decoded once for each time that it changes:
// schedulers read a pool at every lease. A record that differs from the one that was kept is decoded anew, so
// nothing has to be told of changes.
type decoded struct {
	mu    sync.Mutex
	pools map[string]decodedPool // by the query and what it was asked for
}

type decodedPool struct {
	record string
	pool   pool.Pool
}

// mostDecoded bounds how many pools are kept.
const mostDecoded = 10_000

func (d *decoded) pool(key string, record []byte) (pool.Pool, error) {
	d.mu.Lock()
	kept, known := d.pools[key]
	d.mu.Unlock()
	if known && kept.record == string(record) {
		return apart(kept.pool), nil
	}
	p := blankPool()
	if err := json.Unmarshal(record, &p); err != nil {
		return p, fmt.Errorf("decode a stored record: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pools == nil || len(d.pools) >= mostDecoded {
		d.pools = map[string]decodedPool{}
	}
	d.pools[key] = decodedPool{string(record), apart(p)}
	return p, nil
}

// apart is a pool whose maps are its own: those are all that anybody changes in place.
func apart(p pool.Pool) pool.Pool {
	p.Spec.Labels, p.Spec.Worker.Env, p.Spec.RestartTriggers = maps.Clone(p.Spec.Labels), maps.Clone(p.Spec.Worker.Env), maps.Clone(p.Spec.RestartTriggers)
	return p
}

// onePool reads the only pool that a query answers with. It errs with ErrNotFound if there is none.
func (t *transaction) onePool(what, query, key string) (p pool.Pool, err error) {
	found := false
	err = t.each(func(scan func(...any) error) (err error) {
		var data sql.RawBytes
		if err := scan(&data); err != nil {
			return err
		}
		found = true
		p, err = t.decoded.pool(query+key, data)
		return err
	}, query, key)
	switch {
	case err != nil:
		return p, fmt.Errorf("read %s: %w", what, err)
	case !found:
		return p, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return p, nil
}
