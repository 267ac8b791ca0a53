package simulation

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// story is the readable log of a run. It names workers by their pool and number, because the ids that two
// controllers draw in the same moment depend on which goroutine is first.
type story struct {
	began time.Time
	text  strings.Builder
	names map[string]string // of workers, by id
	count map[string]int    // of workers, by pool name
}

func newStory() *story {
	return &story{began: time.Now(), names: map[string]string{}, count: map[string]int{}}
}

func (s *story) tell(who, format string, args ...any) {
	fmt.Fprintf(&s.text, "%14.6f  %-10s %s\n", time.Since(s.began).Seconds(), who, s.named(fmt.Sprintf(format, args...)))
}

// christen names a worker when it is first recorded.
func (s *story) christen(workerID, poolName string) {
	if _, known := s.names[workerID]; !known {
		s.count[poolName]++
		s.names[workerID] = fmt.Sprintf("%s/%d", poolName, s.count[poolName])
	}
}

var workerID = regexp.MustCompile(`\bw_[0-9]+\b`)

// named writes names for ids.
func (s *story) named(text string) string {
	return workerID.ReplaceAllStringFunc(text, s.name)
}

// name is a worker's name; any other id is its own.
func (s *story) name(id string) string {
	if name, known := s.names[id]; known {
		return name
	}
	return id
}
