package pool

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that is written like "5m" or "1h30m".
type Duration time.Duration

var unsigned = regexp.MustCompile(durationPattern)

// ParseDuration reads what Go's time.ParseDuration reads. One that is too long to be counted is a
// strconv.ErrRange.
func ParseDuration(s string) (Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil && unsigned.MatchString(strings.TrimLeft(s, "+-")) {
		err = fmt.Errorf("duration %q: %w", s, strconv.ErrRange)
	}
	return Duration(d), err
}

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String writes the duration without zero parts: "5m", not "5m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}

// Bytes is a size in bytes, written like "10MiB", "1Gi", "500k" or "1024".
type Bytes int64

var byteUnits = []struct {
	suffix string
	factor int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3},
	{"G", 1e9}, {"M", 1e6}, {"k", 1e3},
	{"B", 1}, {"", 1},
}

// ParseBytes reads a whole number with an optional unit: binary (Ki, KiB, …) or decimal (k, kB, …). One
// that is too large to be counted is a strconv.ErrRange.
func ParseBytes(s string) (Bytes, error) {
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 63) // which takes no sign
		if errors.Is(err, strconv.ErrRange) || err == nil && int64(n) > math.MaxInt64/u.factor {
			return 0, fmt.Errorf("%q is too large for a size like \"10MiB\": %w", s, strconv.ErrRange)
		}
		if err != nil {
			break
		}
		return Bytes(int64(n) * u.factor), nil
	}
	return 0, fmt.Errorf("%q is not a size like \"10MiB\"", s)
}

// String writes the size in the largest binary unit that divides it.
func (b Bytes) String() string {
	for _, u := range byteUnits[:3] {
		if b != 0 && int64(b)%u.factor == 0 {
			return strconv.FormatInt(int64(b)/u.factor, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

func (b *Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBytes(string(text))
	return err
}

// Amount is a number of workers, absolute ("2") or as a share of the pool's size ("25%").
type Amount struct {
	Value   int64
	Percent bool
}

// ParseAmount reads a whole number from 0, or a percentage from 0% up. One that is too large to be counted
// is a strconv.ErrRange.
func ParseAmount(s string) (Amount, error) {
	digits, percent := strings.CutSuffix(s, "%")
	n, err := strconv.ParseUint(digits, 10, 31)
	if errors.Is(err, strconv.ErrRange) {
		return Amount{}, fmt.Errorf("amount %q: %w", s, strconv.ErrRange)
	}
	if err != nil {
		return Amount{}, fmt.Errorf("%q is neither a whole number nor a percentage", s)
	}
	return Amount{int64(n), percent}, nil
}

// RoundUp is the amount of a pool of the given size; a part of a worker counts as one.
func (a Amount) RoundUp(size int) int {
	if !a.Percent {
		return int(a.Value)
	}
	return (size*int(a.Value) + 99) / 100
}

// RoundDown is the amount of a pool of the given size; a part of a worker counts as none.
func (a Amount) RoundDown(size int) int {
	if !a.Percent {
		return int(a.Value)
	}
	return size * int(a.Value) / 100
}

func (a Amount) String() string {
	s := strconv.FormatInt(a.Value, 10)
	if a.Percent {
		s += "%"
	}
	return s
}

func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

func (a *Amount) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAmount(string(text))
	return err
}
