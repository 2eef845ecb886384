package stats

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The span of a published duration. A longer one is counted as Longest, a negative one as the shortest, and both are
// told by OutOfRange.
const (
	Longest = time.Hour
	digits  = 3 // significant decimal digits of a published quantile
)

// Histogram is a distribution of durations from 1 µs to Longest, to three significant digits (HdrHistogram). Durations
// are rounded up to whole microseconds, and counted in nanoseconds, which is the unit that HdrHistogram's own tools expect
// of what they read. The zero value is an empty histogram; it is not safe for concurrent use.
type Histogram struct {
	counts       *hdrhistogram.Histogram // nil while empty: most phases of most runs are
	max          int64                   // µs, exact
	below, above uint64
	coarse       bool // two digits, for time series
}

// Add counts a duration of ns nanoseconds.
func (h *Histogram) Add(ns int64) {
	if h.counts == nil {
		h.counts = hdrhistogram.New(least, Longest.Nanoseconds(), h.digits())
	}
	micros := inRange(ns)
	switch {
	case ns < 0:
		h.below++
	case ns > Longest.Nanoseconds():
		h.above++
	}
	h.max = max(h.max, micros)
	_ = h.counts.RecordValue(micros * least) // cannot fail: it is within the histogram's range
}

// least is the shortest duration that is told from others, in ns.
const least = int64(time.Microsecond)

// inRange is a duration of ns nanoseconds in whole microseconds, rounded up, and clamped to what is counted.
func inRange(ns int64) int64 {
	return min(max((ns+least-1)/least, 1), Longest.Microseconds())
}

func (h *Histogram) digits() int {
	if h.coarse {
		return 2
	}
	return digits
}

// Count is how many durations were added, those out of range included.
func (h *Histogram) Count() uint64 {
	if h.counts == nil {
		return 0
	}
	return uint64(h.counts.TotalCount())
}

// Quantile returns the duration which the share q (0 to 1) of all durations does not exceed; false where there are none.
func (h *Histogram) Quantile(q float64) (time.Duration, bool) {
	if h.Count() == 0 {
		return 0, false
	}
	micros := min(h.counts.ValueAtPercentile(percentile(q, h.Count()))/least, h.max)
	return time.Duration(micros) * time.Microsecond, true
}

// percentile is what to ask HdrHistogram for to get the smallest value that the share q of n values does not exceed. Of itself
// it takes the nearest rank, which may be one too low: of 9,999 values its 99.99th percentile is not the longest.
func percentile(q float64, n uint64) float64 {
	const exact = 1 - 1e-14 // what q·n may be too large by in floating point is no reason to go one further
	rank := max(math.Ceil(q*float64(n)*exact), 1)
	return 100 * rank / float64(n)
}

// Mean is the durations' average; false where there are none.
func (h *Histogram) Mean() (time.Duration, bool) {
	if h.Count() == 0 {
		return 0, false
	}
	return time.Duration(h.counts.Mean()), true
}

// Max is the longest duration, exact to a microsecond; false where there is none.
func (h *Histogram) Max() (time.Duration, bool) {
	return time.Duration(h.max) * time.Microsecond, h.Count() > 0
}

// OutOfRange is how many durations were clamped: negative ones, and those longer than Longest.
func (h *Histogram) OutOfRange() (negative, tooLong uint64) { return h.below, h.above }

// Counts is the histogram itself, of nanoseconds, to write it out; nil where it is empty. It must not be changed.
func (h *Histogram) Counts() *hdrhistogram.Histogram { return h.counts }

// Latency is one distribution taken in two ways. Response counts from the intended start, so that waiting behind a slow
// system is part of it; Service counts from the actual start.
type Latency struct{ Response, Service Histogram }

func (l *Latency) add(intended, call, end int64) {
	l.Response.Add(end - intended)
	l.Service.Add(end - call)
}
