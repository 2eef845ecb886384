package stats

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Interval is the distribution of durations in one step of a Series. Its counts are those of a Histogram, three digits
// included, so that the steps of a run add up to the distribution of the whole; only what is not 0 takes memory. The zero
// value is empty.
type Interval struct {
	counts *hdrhistogram.PackedHistogram
	max    int64 // µs, exact
}

func (i *Interval) add(ns int64) {
	micros := inRange(ns)
	i.max = max(i.max, micros)
	_ = i.packed().RecordValue(micros * least) // cannot fail: it is within the histogram's range
}

func (i *Interval) packed() *hdrhistogram.PackedHistogram {
	if i.counts == nil {
		i.counts = hdrhistogram.NewPacked(least, Longest.Nanoseconds(), digits)
	}
	return i.counts
}

// wide counts for one Interval at a time, in a histogram of full width: that takes a fraction of the time, and memory that
// not every step of a series can have.
type wide struct {
	of  int // the step; -1 for none yet
	all Histogram
}

// empty hands what was counted to its Interval.
func (w *wide) empty(i *Interval) {
	if w.all.Count() == 0 {
		return
	}
	i.packed().MergeFrom(w.all.counts) // drops nothing: both have one range
	i.max = max(i.max, w.all.max)
	w.all.counts.Reset()
	w.all.max = 0
}

// merge adds what is counted in another interval, which may then be used no more.
func (i *Interval) merge(other *Interval) {
	switch {
	case other.counts == nil:
	case i.counts == nil:
		*i = *other
	default:
		i.counts.Merge(other.counts)
		i.max = max(i.max, other.max)
	}
}

// Count is how many durations were added.
func (i *Interval) Count() uint64 {
	if i.counts == nil {
		return 0
	}
	return uint64(i.counts.TotalCount())
}

// Quantile returns the duration which the share q (0 to 1) of all durations does not exceed; false where there are none.
func (i *Interval) Quantile(q float64) (time.Duration, bool) {
	if i.Count() == 0 {
		return 0, false
	}
	micros := min(i.counts.ValueAtPercentile(percentile(q, i.Count()))/least, i.max)
	return time.Duration(micros) * time.Microsecond, true
}

// Counts is the histogram itself, of nanoseconds, to write it out; nil where it is empty. It must not be changed.
func (i *Interval) Counts() *hdrhistogram.PackedHistogram { return i.counts }
