package capacity

import "math"

// Status is what a search has come to.
type Status string

const (
	Unknown Status = "unknown"  // the zero value is not one: a search that has just begun knows nothing
	Found   Status = "found"    // with an interval as narrow as asked, confirmed
	Loose   Status = "loose"    // with a wider one, or not confirmed: the time was over
	AtLeast Status = "at-least" // the highest rate that may be tried is met
	NotMet  Status = "not-met"  // not even at the lowest rate
)

// Outcome of a search. Rates are 0 where they are not known.
type Outcome struct {
	Status          Status
	Rate            float64 // at which as many trials pass as fail
	Low, High       float64 // hold it with Confidence
	Precise         bool    // as narrow as asked
	Confirmed       float64 // rate of the confirming trial that passed
	Passed, Failed  float64 // the highest rate that passed, the lowest that failed
	Drifted         bool    // the later trials contradict the earlier ones
	Trials, Aborted int
}

// Outcome is what the results so far come to.
func (s *Search) Outcome() Outcome {
	o := Outcome{Status: Unknown, Trials: len(s.results), Drifted: s.drifted()}
	o.Passed, o.Failed = s.bounds()
	switch {
	case s.ceiling():
		o.Status = AtLeast
		return o
	case s.notMet():
		o.Status = NotMet
		return o
	case o.Passed == 0 || o.Failed == 0:
		return o
	}
	o.Low, o.Rate, o.High = s.fit.interval()
	o.Precise = s.fit.precise(s.o.Precision)
	o.Status = Loose
	if c := s.confirmed(); c != nil {
		o.Confirmed = c.Rate
		if o.Precise {
			o.Status = Found
		}
	}
	return o
}

// drifted compares the earlier half of the trials near the edge with the later one: where their intervals have nothing in
// common, the system was not the same.
func (s *Search) drifted() bool {
	var near []Result
	low, middle, high := s.fit.interval()
	reach := math.Max(high/middle, middle/low)
	for _, r := range s.results {
		if r.Phase != WarmUp && r.Rate > middle/reach/1.5 && r.Rate < middle*reach*1.5 {
			near = append(near, r)
		}
	}
	if len(near) < 8 {
		return false
	}
	earlier, later := newFit(s.o.Lowest, s.o.Highest), newFit(s.o.Lowest, s.o.Highest)
	for i, r := range near {
		half := earlier
		if i >= len(near)/2 {
			half = later
		}
		half.add(r.Rate, r.Passed)
	}
	l1, _, h1 := earlier.interval()
	l2, _, h2 := later.interval()
	return l1 > h2 || l2 > h1
}
