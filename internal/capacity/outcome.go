package capacity

// Status is what a search has come to.
type Status string

const (
	Unknown Status = "unknown"  // the zero value is not one: a search that has just begun knows nothing
	Found   Status = "found"    // and confirmed
	Loose   Status = "loose"    // not confirmed: the time was over
	AtLeast Status = "at-least" // the highest rate that may be tried is met
	NotMet  Status = "not-met"  // not even at the lowest rate
)

// Outcome of a search. Rates are 0 where they are not known.
type Outcome struct {
	Status         Status
	Rate           float64 // at which as many trials pass as fail
	Low, High      float64 // hold it with Confidence
	Precise        bool    // as narrow as asked
	Confirmed      float64 // rate of the confirming trial that passed
	Passed, Failed float64 // the highest rate that passed, the lowest that failed
	Drifted        bool    // the later trials contradict the earlier ones
	Dip            float64 // the first rate, where it failed and is clearly below the edge; else 0
	Trials         int
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
	if passed, failed := s.at(s.o.Start); failed > passed && s.o.Start < o.Low/clearly {
		o.Dip = s.o.Start
	}
	o.Status = Loose
	if c := s.confirmed(); c != nil {
		o.Confirmed, o.Status = c.Rate, Found
	}
	return o
}

// drifted tells whether trials contradict the edge that was found: some held well above it, or many missed well below. One
// may be an accident; more say that the system was not the same all the time.
func (s *Search) drifted() bool {
	low, _, high := s.fit.interval()
	held, missed, below := 0, 0, 0
	for _, r := range s.results {
		switch {
		case r.Phase == WarmUp:
		case r.Passed && r.Rate > high*clearly:
			held++
		case r.Rate < low/clearly:
			below++
			if !r.Passed {
				missed++
			}
		}
	}
	return held >= 2 || missed >= 3 && 3*missed > below
}

const clearly = 1.1 // beyond the interval, as a factor
