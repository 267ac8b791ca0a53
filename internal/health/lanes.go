package health

// greed is how many probes a lane may have under way for each place that is free. One busy lane takes three
// quarters of all places, two take three sevenths each, and some are always left for a lane that comes later.
// (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998.)
const greed = 3

// lanes hold what is due and waits for one of the bounded number of probes at a time. A lane is a pool's
// workers that answer in time, or those of its workers that took long the last time: so probes that hang use
// up the time of others that hang, not that of the pool's healthy workers, nor of other pools. Who waits in
// the lane with the fewest probes under way goes first.
type lanes struct {
	limit    int
	underWay int
	byKey    map[laneKey]*lane
}

type laneKey struct {
	poolUID string
	slow    bool
}

type lane struct {
	key      laneKey
	waiting  []*watched
	underWay int
}

func newLanes(limit int) lanes { return lanes{limit: limit, byKey: map[laneKey]*lane{}} }

func (l *lanes) enqueue(w *watched) {
	key := laneKey{w.target.PoolUID, w.slow}
	if w.lane = l.byKey[key]; w.lane == nil {
		w.lane = &lane{key: key}
		l.byKey[key] = w.lane
	}
	w.lane.waiting = append(w.lane.waiting, w)
}

// next is the one to probe now, or nil if none waits that may be.
func (l *lanes) next() *watched {
	var first *lane
	for _, candidate := range l.byKey {
		if len(candidate.waiting) == 0 || candidate.underWay >= greed*(l.limit-l.underWay) {
			continue
		}
		if first == nil || candidate.underWay < first.underWay {
			first = candidate
		}
	}
	if first == nil {
		return nil
	}
	w := first.waiting[0]
	first.waiting[0] = nil
	first.waiting = first.waiting[1:]
	first.underWay++
	l.underWay++
	return w
}

// done gives back the place that next has given.
func (l *lanes) done(w *watched) {
	l.underWay--
	w.lane.underWay--
	if w.lane.underWay == 0 && len(w.lane.waiting) == 0 {
		delete(l.byKey, w.lane.key)
	}
}
