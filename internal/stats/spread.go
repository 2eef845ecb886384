package stats

import (
	"math"

	"github.com/kbench/kbench/internal/rundir"
)

// spreads are windows of one figure, taken together. Of each only a few quantiles are known; between two of them values
// are taken to thin out as those of an exponential distribution do. So a quantile of all is no average of the windows', and
// off by no more than the distance between two known quantiles of those windows in which it lies.
type spreads []rundir.Spread

func (s *spreads) add(w *rundir.Spread) {
	if w != nil && w.Count > 0 {
		*s = append(*s, *w)
	}
}

func (s spreads) count() (n uint64) {
	for _, w := range s {
		n += w.Count
	}
	return n
}

func (s spreads) sum() (sum float64) {
	for _, w := range s {
		sum += w.Sum
	}
	return sum
}

// mean is NaN where there is nothing.
func (s spreads) mean() float64 {
	n := s.count()
	if n == 0 {
		return math.NaN()
	}
	return s.sum() / float64(n)
}

// quantile is NaN where there is nothing.
func (s spreads) quantile(q float64) float64 {
	n := s.count()
	if n == 0 {
		return math.NaN()
	}
	least, most := math.Inf(1), math.Inf(-1)
	for _, w := range s {
		least, most = min(least, w.At[0]), max(most, w.At[len(w.At)-1])
	}
	for range 64 { // halves: to any precision that the values have
		middle := least + (most-least)/2
		if middle <= least || middle >= most {
			break
		}
		if s.below(middle) >= q*float64(n) {
			most = middle
		} else {
			least = middle
		}
		if most-least < 0.5 {
			break
		}
	}
	if s.below(least) >= q*float64(n) {
		return least
	}
	return most
}

// below is how many values are no larger than x.
func (s spreads) below(x float64) (n float64) {
	for _, w := range s {
		n += float64(w.Count) * share(w, x)
	}
	return n
}

// share of a window's values that are no larger than x.
func share(w rundir.Spread, x float64) float64 {
	at := rundir.SpreadQuantiles()
	last := len(at) - 1
	if x < w.At[0] {
		return 0
	}
	if x >= w.At[last] {
		return 1
	}
	for i := last - 1; i >= 0; i-- {
		if low, high := w.At[i], w.At[i+1]; x >= low {
			if high <= low {
				return at[i]
			}
			part := (x - low) / (high - low)
			if at[i+1] == 1 {
				return at[i] + (1-at[i])*part
			}
			return 1 - (1-at[i])*math.Pow((1-at[i+1])/(1-at[i]), part)
		}
	}
	return 0
}
