package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

const (
	cordonWorker = `UPDATE workers SET cordoned = $2 WHERE id = $1`
	spendWorker  = `UPDATE workers SET spent = $2 WHERE id = $1`
	extendDrain  = `UPDATE workers SET extended_to = $2 WHERE id = $1`
)

// workers reads records with their marks, which are columns beside them.
func (t *transaction) workers(what, query string, args ...any) ([]pool.Worker, error) {
	var workers []pool.Worker
	err := t.each(func(scan func(...any) error) error {
		var data sql.RawBytes
		var m marks
		if err := scan(append([]any{&data}, m.columns()...)...); err != nil {
			return err
		}
		var w pool.Worker
		if err := json.Unmarshal(data, &w); err != nil {
			return fmt.Errorf("decode a stored record: %w", err)
		}
		w.Marks = m.read()
		workers = append(workers, w)
		return nil
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return workers, nil
}

// marks are the columns that hold a worker's marks.
type marks struct {
	pool.Marks
	extendedTo int64
}

func (m *marks) columns() []any {
	return []any{&m.Leased, &m.Leases, &m.Spent, &m.Cordoned, &m.extendedTo}
}

func (m *marks) read() pool.Marks {
	m.ExtendedTo = fromMicros(m.extendedTo)
	return m.Marks
}

func (t *transaction) Marks(poolUID string) (map[string]pool.Marks, error) {
	byWorker := map[string]pool.Marks{}
	err := t.each(func(scan func(...any) error) error {
		var id string
		var m marks
		if err := scan(append([]any{&id}, m.columns()...)...); err != nil {
			return err
		}
		byWorker[id] = m.read()
		return nil
	}, selectMarks, poolUID)
	if err != nil {
		return nil, fmt.Errorf("read the marks of the workers of pool %s: %w", poolUID, err)
	}
	return byWorker, nil
}

func (t *transaction) Cordon(workerID string, yes bool) error {
	return t.mark(workerID, cordonWorker, yes)
}

func (t *transaction) Spend(workerID string) error { return t.mark(workerID, spendWorker, true) }

func (t *transaction) ExtendDrain(workerID string, to time.Time) error {
	return t.mark(workerID, extendDrain, micros(to))
}

func (t *transaction) mark(workerID, query string, value any) error {
	n, err := t.exec(query, workerID, value)
	switch {
	case err != nil:
		return fmt.Errorf("mark worker %s: %w", workerID, err)
	case n == 0:
		return fmt.Errorf("worker %s: %w", workerID, ErrNotFound)
	}
	return nil
}
