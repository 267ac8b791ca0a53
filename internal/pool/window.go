package pool

import (
	"cmp"
	"fmt"
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

// Open says whether rollouts may go on at a time, and when that changes; zero if never.
func (u Update) Open(now time.Time) (open bool, until time.Time) {
	if len(u.Windows) == 0 {
		return true, time.Time{}
	}
	for _, w := range u.Windows {
		schedule, err := w.schedule()
		if err != nil {
			continue // a stored spec is valid
		}
		// The latest opening before now decides, as far as the window reaches back.
		for at := schedule.Next(now.Add(-w.Duration.Std())); !at.IsZero(); at = schedule.Next(at) {
			closes := at.Add(w.Duration.Std())
			if at.After(now) {
				if !open && (until.IsZero() || at.Before(until)) {
					until = at
				}
				break
			}
			if now.Before(closes) && (!open || closes.After(until)) {
				open, until = true, closes
			}
		}
	}
	return open, until
}
