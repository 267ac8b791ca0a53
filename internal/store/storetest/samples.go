package storetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// noon is finer than the store's precision and in a zone of its own.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 123456789, time.FixedZone("UTC+2", 2*3600))

func samplePool(uid, name string) pool.Pool {
	return pool.Pool{UID: uid, Name: name, Phase: pool.PhaseCreating, Spec: pool.Default(), CreatedAt: noon.UTC().Truncate(time.Microsecond)}
}

func sampleWorker(id, poolUID string, state pool.WorkerState, createdAt time.Time) pool.Worker {
	w := pool.Worker{ID: id, PoolUID: poolUID, State: state, CreatedAt: createdAt.UTC().Truncate(time.Microsecond)}
	if state.Ended() {
		w.EndedAt = w.CreatedAt.Add(time.Hour)
	}
	return w
}

func insertPool(t *testing.T, s store.Store, uid, name string) pool.Pool {
	t.Helper()
	p := samplePool(uid, name)
	update(t, s, func(w store.Writer) error { return w.InsertPool(p) })
	return p
}

// full is a record in which no field is zero, so that none can be forgotten.
func full[T any](t *testing.T) T {
	t.Helper()
	var record T
	next := 0
	fill(t, reflect.ValueOf(&record).Elem(), &next)
	return record
}

func fill(t *testing.T, v reflect.Value, next *int) {
	t.Helper()
	*next++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(noon.Add(time.Duration(*next) * time.Hour)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d <&> \"ü\" \x00", *next))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*next))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), next)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), next)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(t, v.Index(i), next)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, next)
		fill(t, value, next)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	default:
		require.Failf(t, "a record holds a kind that this test cannot fill", "%s", v.Type())
	}
}

// stored is the record as it must come back: its times in UTC, to the microsecond.
func stored[T any](record T) T {
	trim(reflect.ValueOf(&record).Elem())
	return record
}

func trim(v reflect.Value) {
	if at, ok := v.Interface().(time.Time); ok {
		v.Set(reflect.ValueOf(at.UTC().Truncate(time.Microsecond)))
		return
	}
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			trim(v.Field(i))
		}
	}
}
