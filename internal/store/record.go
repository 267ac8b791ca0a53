package store

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// blankSpec is what stored specs are laid over: a field that is younger than a record has its default.
var blankSpec = sync.OnceValue(pool.Default)

func blankPool() pool.Pool         { return pool.Pool{Spec: blankSpec()} }
func blankRevision() pool.Revision { return pool.Revision{Spec: blankSpec()} }

// record is what of a value is stored: its JSON, with times that have the zone and the precision of the
// columns, so that every way of reading one returns the same.
func record[T any](value T) (string, error) {
	fields := reflect.ValueOf(&value).Elem()
	for i := range fields.NumField() {
		if t, ok := fields.Field(i).Addr().Interface().(*time.Time); ok {
			*t = t.UTC().Truncate(time.Microsecond)
		}
	}
	data, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("encode a %T: %w", value, err)
	}
	return string(data), nil
}

// micros is a time as a column has it; 0 stands for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
