package pool

import (
	"cmp"
	"fmt"
	"sort"
	"strings"
	"time"
	_ "time/tzdata" // a host without a database of time zones knows them all the same

	"github.com/robfig/cron/v3"
)

// schedule is when a window opens.
func (w Window) schedule() (cron.Schedule, error) {
	if _, err := w.zone(); err != nil {
		return nil, err
	}
	return cron.ParseStandard("CRON_TZ=" + cmp.Or(w.TimeZone, "UTC") + " " + w.Cron)
}

func (w Window) zone() (*time.Location, error) { return time.LoadLocation(cmp.Or(w.TimeZone, "UTC")) }

// longestWindow is how far a window reaches at most, so that one is looked for no further back.
const longestWindow = 7 * 24 * time.Hour

func windows(s Spec) (faults Faults) {
	for i, w := range s.Update.Windows {
		at := fmt.Sprintf("update.windows[%d]", i)
		if _, err := w.zone(); err != nil {
			faults = append(faults, Fault{Path: at + ".time_zone", Value: quoted(w.TimeZone), Reason: "is not a time zone", Valid: "a name of the IANA database, like Europe/Berlin"})
			w.TimeZone = "" // the schedule is judged in any
		}
		if fault := w.fault(); fault != "" {
			faults = append(faults, Fault{Path: at + ".cron", Value: quoted(w.Cron), Reason: fault, Valid: "five fields, like \"0 2 * * 1-5\": minute, hour, day of the month, month, day of the week"})
		}
		if w.Duration < Duration(time.Minute) || w.Duration > Duration(longestWindow) {
			faults = append(faults, Fault{Path: at + ".duration", Value: quoted(w.Duration.String()), Reason: "is out of range", Valid: "a duration from 1m to 168h"})
		}
	}
	return faults
}

// fault says what is wrong with when the window opens.
func (w Window) fault() string {
	schedule, err := w.schedule()
	switch {
	case err != nil:
		return "is not a schedule: " + err.Error()
	case len(strings.Fields(w.Cron)) != 5:
		return "is not a schedule of five fields"
	case schedule.Next(time.Unix(0, 0)).IsZero():
		return "never comes"
	}
	return ""
}

// Open says whether rollouts may go on at a time, and until when that is sure; zero if for ever. Windows that adjoin
// each other are told one by one: at the end of the first the next one is open.
func (u Update) Open(now time.Time) (open bool, until time.Time) {
	if len(u.Windows) == 0 {
		return true, time.Time{}
	}
	for _, w := range u.Windows {
		schedule, err := w.schedule()
		if err != nil {
			continue // a stored spec is valid
		}
		if closes := w.closes(schedule, now); !closes.IsZero() {
			if !open || closes.After(until) {
				open, until = true, closes
			}
			continue
		}
		if opens := schedule.Next(now); !open && !opens.IsZero() && (until.IsZero() || opens.Before(until)) {
			until = opens
		}
	}
	return open, until
}

// closes is when an open window closes, which its latest opening decides; zero if it is not open. A schedule has at
// most one opening a minute, so the last minute of the window's length after which one came is that of the latest.
func (w Window) closes(schedule cron.Schedule, now time.Time) time.Time {
	after := func(minute int) time.Time {
		return schedule.Next(now.Add(time.Duration(minute)*time.Minute - w.Duration.Std()))
	}
	minutes := sort.Search(int(w.Duration.Std()/time.Minute)+1, func(minute int) bool {
		at := after(minute)
		return at.IsZero() || at.After(now)
	})
	if minutes == 0 {
		return time.Time{}
	}
	return after(minutes - 1).Add(w.Duration.Std())
}
