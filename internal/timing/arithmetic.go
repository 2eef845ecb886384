// Package timing holds published figures against arithmetic. Where a leader stood still for a known time under a steady load,
// what every record had to wait follows from the schedule, from the pause and from how many answers had come by when. None of
// that needs to know which record an answer was for, or when the record of a run says that it was due.
// It only reads run directories.
package timing

import (
	"sort"
	"time"

	"github.com/kbench/kbench/internal/stats"
)

// schedule is one producer's share of a steady rate: when its k-th record is due, counted from the warm-up's first. Times are
// nanoseconds on the run's clock.
type schedule struct {
	start     int64
	rate      float64 // records a second, of all producers, who take turns
	producers int
	producer  int
}

func (s schedule) due(k int) int64 {
	return s.start + int64(float64(k*s.producers+s.producer)/s.rate*float64(time.Second))
}

// first is the first record that is due at t or later.
func (s schedule) first(t int64) int {
	return sort.Search(int(float64(t-s.start)/float64(time.Second)*s.rate)+2, func(k int) bool { return s.due(k) >= t })
}

// expected are the distributions that arithmetic implies.
type expected struct {
	response, service, lag stats.Histogram
	least                  stats.Histogram // of response: see atLeast
}

// counted adds what the records of one producer that were due in a span waited, by the count of the answers. answers are times in
// order: since a producer's records are sent and answered in the order in which they are due, the k-th has its answer
// when k answers have come. It waits from when it is due: that is response. A client that has room for so many records takes
// the k-th once the one that many before it is answered, if that is later than it is due: until then is lag, and from then on
// service. Room 0 is without bound.
func (e *expected) counted(s schedule, answers []int64, from, to int64, room int) {
	for k := s.first(from); k < len(answers) && s.due(k) < to; k++ {
		due := s.due(k)
		call := due
		if room > 0 && k >= room {
			call = max(due, answers[k-room])
		}
		e.response.Add(max(0, answers[k]-due))
		e.lag.Add(call - due)
		e.service.Add(max(0, answers[k]-call))
	}
}

// atLeast adds what the pause alone says: a record that was due while nobody answered waited for the end of that, however
// fast everything was besides. Whatever is published cannot be less.
func (e *expected) atLeast(s schedule, from, to, paused, goes int64) {
	for k := s.first(from); s.due(k) < to; k++ {
		wait := int64(0)
		if due := s.due(k); due >= paused {
			wait = max(0, goes-due)
		}
		e.least.Add(wait)
	}
}

// silence is the longest time between two answers that overlaps the pause.
func silence(answers []int64, paused, goes int64) time.Duration {
	longest := int64(0)
	for k := 1; k < len(answers); k++ {
		if answers[k] > paused && answers[k-1] < goes {
			longest = max(longest, answers[k]-answers[k-1])
		}
	}
	return time.Duration(longest)
}

// workedOff is how long after the end of the pause the number of answers had caught up with the number of records that were due
// so long before as is usual; false where that never came.
func (s schedule) workedOff(answers []int64, goes int64, usual time.Duration) (time.Duration, bool) {
	for k := s.first(goes); k < len(answers); k++ {
		if answers[k]-s.due(k) <= usual.Nanoseconds() {
			return time.Duration(s.due(k) - goes), true
		}
	}
	return 0, false
}
