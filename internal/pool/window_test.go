package pool_test

import (
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// window opens as cron says, in a zone, for so long.
func window(cron, zone string, length time.Duration) pool.Window {
	return pool.Window{Cron: cron, TimeZone: zone, Duration: pool.Duration(length)}
}

func TestWindows(t *testing.T) {
	const (
		h     = time.Hour
		never = ""
	)
	nightly := window("0 2 * * *", "", 3*h)
	berlin := window("0 2 * * *", "Europe/Berlin", 3*h)
	for _, c := range []struct {
		name    string
		windows []pool.Window
		now     string
		open    bool
		until   string
	}{
		{"no window", nil, "2026-05-01T12:00:00Z", true, never},
		{"before it opens", []pool.Window{nightly}, "2026-05-01T01:59:59.999999999Z", false, "2026-05-01T02:00:00Z"},
		{"as it opens", []pool.Window{nightly}, "2026-05-01T02:00:00Z", true, "2026-05-01T05:00:00Z"},
		{"before it closes", []pool.Window{nightly}, "2026-05-01T04:59:59.999999999Z", true, "2026-05-01T05:00:00Z"},
		{"as it closes", []pool.Window{nightly}, "2026-05-01T05:00:00Z", false, "2026-05-02T02:00:00Z"},
		{"across midnight", []pool.Window{window("0 22 * * 5", "", 5*h)}, "2026-05-02T02:59:00Z", true, "2026-05-02T03:00:00Z"},
		{"of no whole minutes", []pool.Window{window("0 2 * * *", "", 90*time.Second)}, "2026-05-01T02:01:29Z", true, "2026-05-01T02:01:30Z"},
		{"of no whole minutes, closed", []pool.Window{window("0 2 * * *", "", 90*time.Second)}, "2026-05-01T02:01:30Z", false, "2026-05-02T02:00:00Z"},
		{"the one year in four", []pool.Window{window("0 0 29 2 *", "", h)}, "2026-05-01T02:00:00Z", false, "2028-02-29T00:00:00Z"},

		{"in winter", []pool.Window{berlin}, "2026-01-15T00:59:59Z", false, "2026-01-15T01:00:00Z"},
		{"in summer", []pool.Window{berlin}, "2026-07-15T00:00:00Z", true, "2026-07-15T03:00:00Z"},
		{"in another zone's day", []pool.Window{window("30 1 * * 1", "Asia/Kathmandu", h)}, "2026-05-03T19:50:00Z", true, "2026-05-03T20:45:00Z"},
		{"asked in another zone", []pool.Window{berlin}, "2026-07-14T20:30:00-04:00", true, "2026-07-15T03:00:00Z"},
		{"two zones, of which one is open", []pool.Window{window("0 2 * * *", "Asia/Tokyo", h), berlin}, "2026-07-14T17:10:00Z", true, "2026-07-14T18:00:00Z"},
		{"two zones, of which the other is next", []pool.Window{window("0 2 * * *", "Asia/Tokyo", h), berlin}, "2026-07-14T18:10:00Z", false, "2026-07-15T00:00:00Z"},

		{"an opening that the spring skips", []pool.Window{window("30 2 * * *", "Europe/Berlin", h)}, "2026-03-29T01:30:00Z", false, "2026-03-30T00:30:00Z"},
		{"open over the gap", []pool.Window{window("30 1 * * *", "Europe/Berlin", 2*h)}, "2026-03-29T02:29:00Z", true, "2026-03-29T02:30:00Z"},
		{"after the gap", []pool.Window{window("0 3 * * *", "Europe/Berlin", h)}, "2026-03-29T01:00:00Z", true, "2026-03-29T02:00:00Z"},
		{"an opening that the autumn has twice", []pool.Window{window("30 2 * * *", "Europe/Berlin", h)}, "2026-10-25T01:29:00Z", true, "2026-10-25T01:30:00Z"},
		{"its second time", []pool.Window{window("30 2 * * *", "Europe/Berlin", h)}, "2026-10-25T01:30:00Z", true, "2026-10-25T02:30:00Z"},
		{"between the two", []pool.Window{window("30 2 * * *", "Europe/Berlin", h/2)}, "2026-10-25T01:00:00Z", false, "2026-10-25T01:30:00Z"},
		{"open over the overlap", []pool.Window{window("30 1 * * *", "Europe/Berlin", 2*h)}, "2026-10-25T01:29:00Z", true, "2026-10-25T01:30:00Z"},

		{"the first of two that adjoin", []pool.Window{nightly, window("0 5 * * *", "", h)}, "2026-05-01T04:00:00Z", true, "2026-05-01T05:00:00Z"},
		{"the second of them", []pool.Window{nightly, window("0 5 * * *", "", h)}, "2026-05-01T05:00:00Z", true, "2026-05-01T06:00:00Z"},
		{"the first of two that overlap", []pool.Window{nightly, window("0 4 * * *", "", 2*h)}, "2026-05-01T02:30:00Z", true, "2026-05-01T05:00:00Z"},
		{"both of two that overlap", []pool.Window{window("0 4 * * *", "", 2*h), nightly}, "2026-05-01T04:30:00Z", true, "2026-05-01T06:00:00Z"},
		{"one within another", []pool.Window{nightly, window("0 3 * * *", "", h)}, "2026-05-01T03:30:00Z", true, "2026-05-01T05:00:00Z"},
		{"one that adjoins itself", []pool.Window{window("0 * * * *", "", h)}, "2026-05-01T03:00:00Z", true, "2026-05-01T04:00:00Z"},
		{"one longer than its period", []pool.Window{window("0 * * * *", "", 90*time.Minute)}, "2026-05-01T03:45:00Z", true, "2026-05-01T04:30:00Z"},
		{"the longest at every minute", []pool.Window{window("* * * * *", "Europe/Berlin", 168*h)}, "2026-05-08T03:45:59Z", true, "2026-05-15T03:45:00Z"},
		{"the longest each week", []pool.Window{window("0 0 * * 1", "", 168*h)}, "2026-05-10T23:59:59Z", true, "2026-05-11T00:00:00Z"},
		{"the longest each month", []pool.Window{window("0 0 1 * *", "", 168*h)}, "2026-05-08T00:00:00Z", false, "2026-06-01T00:00:00Z"},

		{"one that never comes", []pool.Window{window("0 0 30 2 *", "", 168*h)}, "2026-05-01T12:00:00Z", false, never},
		{"one that never comes, beside another", []pool.Window{window("0 0 30 2 *", "", h), nightly}, "2026-05-01T12:00:00Z", false, "2026-05-02T02:00:00Z"},
		{"one beside one that never comes", []pool.Window{nightly, window("0 0 30 2 *", "", h)}, "2026-05-01T12:00:00Z", false, "2026-05-02T02:00:00Z"},
		{"one open beside one that never comes", []pool.Window{nightly, window("0 0 30 2 *", "", h)}, "2026-05-01T03:00:00Z", true, "2026-05-01T05:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now, err := time.Parse(time.RFC3339, c.now)
			require.NoError(t, err)
			update := pool.Update{Windows: c.windows}
			open, until := update.Open(now)
			require.Equal(t, c.open, open)
			if c.until == never {
				require.Zero(t, until)
				return
			}
			require.Equal(t, c.until, until.UTC().Format(time.RFC3339))
			before, _ := update.Open(until.Add(-1))
			require.Equal(t, open, before, "it is sure until then")
			if !open {
				opened, _ := update.Open(until)
				require.True(t, opened, "it opens then")
			}
		})
	}
}

// The reference looks at each minute of the window's length: one in which it opened is one from which it is open.
func TestAWindowIsOpenIfItOpenedWithinItsLength(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := window(
			rapid.SampledFrom([]string{"* * * * *", "*/7 * * * *", "30 2 * * *", "0 0-6 * * 0,3", "15 1,2,3 * * *", "0 22 24-31 3,10 *"}).Draw(t, "cron"),
			rapid.SampledFrom([]string{"", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"}).Draw(t, "zone"),
			time.Duration(rapid.IntRange(60, 20*60*60).Draw(t, "seconds"))*time.Second)
		turns := []string{"2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z", "2026-03-08T06:00:00Z", "2026-11-01T05:00:00Z", "2026-04-04T14:00:00Z", "2026-10-03T15:00:00Z"}
		now, err := time.Parse(time.RFC3339, rapid.SampledFrom(turns).Draw(t, "turn"))
		require.NoError(t, err)
		now = now.Add(time.Duration(rapid.IntRange(-24*60*60, 24*60*60).Draw(t, "away")) * time.Second)

		zone := w.TimeZone
		if zone == "" {
			zone = "UTC"
		}
		schedule, err := cron.ParseStandard("CRON_TZ=" + zone + " " + w.Cron)
		require.NoError(t, err)
		var closes time.Time
		for at := now.Truncate(time.Minute); closes.IsZero() && now.Sub(at) < w.Duration.Std(); at = at.Add(-time.Minute) {
			if schedule.Next(at.Add(-time.Second)).Equal(at) {
				closes = at.Add(w.Duration.Std())
			}
		}
		open, until := pool.Update{Windows: []pool.Window{w}}.Open(now)
		require.Equal(t, !closes.IsZero(), open)
		if open {
			require.True(t, closes.Equal(until), "%s instead of %s", until, closes)
		} else {
			require.True(t, schedule.Next(now).Equal(until))
		}
	})
}
