package pool_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestADurationIsWrittenWithoutZeroParts(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", time.Minute: "1m", 10 * time.Minute: "10m", time.Hour: "1h", 100 * time.Hour: "100h",
		90 * time.Minute: "1h30m", time.Hour + time.Second: "1h0m1s", 70 * time.Second: "1m10s", 1500 * time.Millisecond: "1.5s",
		20 * time.Hour: "20h", 10 * time.Hour: "10h", time.Hour + 10*time.Minute: "1h10m", -time.Minute: "-1m", time.Nanosecond: "1ns",
	} {
		require.Equal(t, want, pool.Duration(d).String())
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]pool.Bytes{
		"0": 0, "1024": 1024, "5B": 5, "4Ki": 4096, "4KiB": 4096, "4k": 4000, "4kB": 4000, "1Mi": 1 << 20, "1M": 1e6, "1MB": 1e6,
		"1MiB": 1 << 20, "2Gi": 2 << 30, "2G": 2e9, "2GB": 2e9, "2GiB": 2 << 30, "007": 7, "9223372036854775807": math.MaxInt64,
	} {
		got, err := pool.ParseBytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "B", "Gi", "-1", "+1", "1.5Gi", "1 Gi", " 1", "1gi", "1KB", "1Kib", "1_000", "0x10", "1e3", "9223372036854775808", "9999999999Gi", "１"} {
		_, err := pool.ParseBytes(text)
		require.ErrorContains(t, err, `"10MiB"`, text)
	}
}

func TestAmounts(t *testing.T) {
	for text, want := range map[string]pool.Amount{"0": {}, "0%": {Percent: true}, "25%": {Value: 25, Percent: true}, "7": {Value: 7}, "150%": {Value: 150, Percent: true}} {
		got, err := pool.ParseAmount(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "%", "-1", "+1", "1.5", "1 %", "25%%", "0x1", "4294967296", "all"} {
		_, err := pool.ParseAmount(text)
		require.Error(t, err, text)
	}
}

func TestAShareOfAPoolRoundsAsAsked(t *testing.T) {
	for _, c := range []struct {
		amount   pool.Amount
		size     int
		up, down int
	}{
		{pool.Amount{Value: 25, Percent: true}, 10, 3, 2},
		{pool.Amount{Value: 25, Percent: true}, 4, 1, 1},
		{pool.Amount{Value: 25, Percent: true}, 1, 1, 0},
		{pool.Amount{Value: 25, Percent: true}, 0, 0, 0},
		{pool.Amount{Value: 1, Percent: true}, 1, 1, 0},
		{pool.Amount{Value: 100, Percent: true}, 7, 7, 7},
		{pool.Amount{Value: 0, Percent: true}, 7, 0, 0},
		{pool.Amount{Value: 3}, 1, 3, 3},
		{pool.Amount{Value: 100, Percent: true}, 100_000, 100_000, 100_000},
	} {
		require.Equal(t, c.up, c.amount.RoundUp(c.size), "%s of %d", c.amount, c.size)
		require.Equal(t, c.down, c.amount.RoundDown(c.size), "%s of %d", c.amount, c.size)
	}
}

func TestQuantitiesComeBackAsTheyAreWritten(t *testing.T) {
	t.Run("duration", rapid.MakeCheck(func(t *rapid.T) {
		d := pool.Duration(rapid.Int64().Draw(t, "nanoseconds"))
		back, err := pool.ParseDuration(d.String())
		require.NoError(t, err)
		require.Equal(t, d, back)
		requireJSONRoundTrip(t, d)
	}))
	t.Run("whole durations", rapid.MakeCheck(func(t *rapid.T) {
		unit := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "unit")
		d := pool.Duration(time.Duration(rapid.Int64Range(-10_000, 10_000).Draw(t, "count")) * unit)
		back, err := pool.ParseDuration(d.String())
		require.NoError(t, err)
		require.Equal(t, d, back)
	}))
	t.Run("size", rapid.MakeCheck(func(t *rapid.T) {
		shift := rapid.IntRange(0, 40).Draw(t, "shift")
		b := pool.Bytes(rapid.Int64Range(0, math.MaxInt64>>shift).Draw(t, "count") << shift)
		back, err := pool.ParseBytes(b.String())
		require.NoError(t, err)
		require.Equal(t, b, back)
		requireJSONRoundTrip(t, b)
	}))
	t.Run("amount", rapid.MakeCheck(func(t *rapid.T) {
		a := pool.Amount{Value: rapid.Int64Range(0, math.MaxInt32).Draw(t, "value"), Percent: rapid.Bool().Draw(t, "percent")}
		back, err := pool.ParseAmount(a.String())
		require.NoError(t, err)
		require.Equal(t, a, back)
		requireJSONRoundTrip(t, a)
	}))
	t.Run("rounding", rapid.MakeCheck(func(t *rapid.T) {
		a := pool.Amount{Value: rapid.Int64Range(0, 100).Draw(t, "percent"), Percent: true}
		size := rapid.IntRange(0, 100_000).Draw(t, "size")
		up, down := a.RoundUp(size), a.RoundDown(size)
		require.GreaterOrEqual(t, up*100, size*int(a.Value))
		require.LessOrEqual(t, down*100, size*int(a.Value))
		require.LessOrEqual(t, up-down, 1)
	}))
}

func requireJSONRoundTrip[T comparable](t *rapid.T, value T) {
	data, err := json.Marshal(value)
	require.NoError(t, err)
	var back T
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, value, back)
}
