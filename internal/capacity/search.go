// Package capacity searches for the highest rate at which a system meets an objective. It decides and does nothing: asked
// what to try next it names a rate, told how that went it knows more. There is no clock and no randomness in it, so a search
// is repeated by its results. It is a leaf.
//
// The search doubles the rate until a trial fails (it looks once beyond the first rate, should that fail), then bisects by a
// model of what the trials so far say (fit.go), and ends with a longer trial at the low end of its interval.
// docs/methodology.md gives the reasons and the sources.
package capacity

import (
	"math"
	"time"
)

// Phase is why a trial is made.
type Phase string

const (
	WarmUp     Phase = "warm-up"        // not counted: the system has just started
	Doubling   Phase = "doubling"       // until a trial fails
	Bisecting  Phase = "bisecting"      // where a trial tells most about the edge
	Confirming Phase = "confirming"     // longer, at the low end of the interval
	probes           = 2                // trials that settle that the highest rate is met, or the lowest is not
	factor           = 2.0              // of the doubling
	recent           = 4                // trials from which the cost of the next is foreseen
	lookAgain        = 12 * time.Second // for a trial that nothing is known of yet, beside its load
)

// Options of a search. Rates are records a second.
type Options struct {
	Start           float64       // the first rate
	Lowest, Highest float64       // none outside is tried
	Precision       float64       // the trials are enough when they leave at most this share open to either side
	WarmUp          time.Duration // load of the warm-up; 0: there is none
	Trial, Confirm  time.Duration // load of a trial, and of the confirming one
}

// Trial is what is to be done next.
type Trial struct {
	Phase Phase
	Rate  float64
}

// Result is how a trial went.
type Result struct {
	Trial
	Passed bool
	Took   time.Duration // all of it, with what has to come before the next
}

// Search is the state of one search. It is not safe for concurrent use.
type Search struct {
	o       Options
	results []Result
	fit     *fit
}

// New begins a search.
func New(o Options) *Search {
	o.Lowest = math.Min(o.Lowest, o.Start)
	o.Highest = math.Max(o.Highest, o.Start)
	return &Search{o: o, fit: newFit(o.Lowest, o.Highest)}
}

// Add tells the search how a trial went.
func (s *Search) Add(r Result) {
	s.results = append(s.results, r)
	if r.Phase != WarmUp {
		s.fit.add(r.Rate, r.Passed)
	}
}

// Next is what to do with the time that is left; false when the search is over.
func (s *Search) Next(left time.Duration) (Trial, bool) {
	next, more := s.wanted()
	if !more || s.cost(next.Phase) <= left && (next.Phase != Bisecting || s.cost(Bisecting)+s.cost(Confirming) <= left) {
		return next, more
	}
	// What is left is for the confirming trial alone, where there is something to confirm.
	if next.Phase == Bisecting && s.cost(Confirming) <= left {
		return s.confirming(), true
	}
	return Trial{}, false
}

// wanted is what comes next however long it takes.
func (s *Search) wanted() (Trial, bool) {
	if len(s.results) == 0 && s.o.WarmUp > 0 {
		return Trial{WarmUp, s.o.Start}, true
	}
	if s.ceiling() || s.notMet() || s.confirmed() != nil {
		return Trial{}, false
	}
	pass, fail := s.bounds()
	switch {
	case pass == 0 && fail == 0:
		return Trial{Doubling, s.o.Start}, true
	case s.climbing(pass):
		return Trial{Doubling, math.Min(pass*factor, s.o.Highest)}, true
	case pass == 0 && s.failed() == s.o.Start && s.o.Start < s.o.Highest:
		// Less load is not always easier: small batches cost more each. Nothing was seen to hold yet, so one look above
		// comes before all looks below.
		return Trial{Doubling, math.Min(s.o.Start*factor, s.o.Highest)}, true
	case pass == 0:
		return Trial{Doubling, math.Max(fail/factor/factor, s.o.Lowest)}, true
	}
	if s.fit.precise(s.o.Precision) {
		return s.confirming(), true
	}
	// However sure the model is, no rate is tried that is far above any that held.
	return Trial{Bisecting, s.within(math.Min(s.fit.best(), pass*factor))}, true
}

func (s *Search) confirming() Trial {
	low, _, _ := s.fit.interval()
	return Trial{Confirming, s.within(low)}
}

// within keeps a rate between the lowest and the highest, and gives it three digits: more are noise to a reader.
func (s *Search) within(rate float64) float64 {
	return math.Min(math.Max(threeDigits(rate), s.o.Lowest), s.o.Highest)
}

func threeDigits(f float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(f))-2)
	return math.Round(f/unit) * unit
}

// bounds are the highest rate that passed and the lowest that failed; 0: none.
func (s *Search) bounds() (pass, fail float64) {
	for _, r := range s.results {
		switch {
		case r.Phase == WarmUp:
		case r.Passed:
			pass = math.Max(pass, r.Rate)
		case fail == 0 || r.Rate < fail:
			fail = r.Rate
		}
	}
	return pass, fail
}

// climbing tells whether the last trial was of the doubling, and passed at a rate above all that failed.
func (s *Search) climbing(pass float64) bool {
	n := len(s.results)
	return n > 0 && s.results[n-1].Phase == Doubling && s.results[n-1].Passed && pass > s.failed()
}

// failed is the highest rate that failed; 0: none.
func (s *Search) failed() float64 {
	highest := 0.0
	for _, r := range s.results {
		if r.Phase != WarmUp && !r.Passed {
			highest = math.Max(highest, r.Rate)
		}
	}
	return highest
}

// ceiling tells whether the highest rate is met, more often than not.
func (s *Search) ceiling() bool {
	passed, failed := s.at(s.o.Highest)
	return passed >= probes && passed > failed
}

// notMet tells whether nothing ever passed, down to the lowest rate.
func (s *Search) notMet() bool {
	pass, _ := s.bounds()
	_, failed := s.at(s.o.Lowest)
	return pass == 0 && failed >= probes
}

func (s *Search) at(rate float64) (passed, failed int) {
	for _, r := range s.results {
		switch {
		case r.Phase == WarmUp || r.Rate != rate:
		case r.Passed:
			passed++
		default:
			failed++
		}
	}
	return passed, failed
}

// confirmed is the last result, if it confirms what the search found.
func (s *Search) confirmed() *Result {
	if n := len(s.results); n > 0 && s.results[n-1].Phase == Confirming && s.results[n-1].Passed {
		return &s.results[n-1]
	}
	return nil
}

// cost is what a trial is likely to take: a little more than the longest of the last ones of its kind did.
func (s *Search) cost(of Phase) time.Duration {
	own, load := time.Duration(0), s.load(of)
	for i, seen := len(s.results)-1, 0; i >= 0 && seen < recent; i-- {
		if r := s.results[i]; r.Phase != WarmUp {
			own = max(own, r.Took-s.load(r.Phase))
			seen++
		}
	}
	if own == 0 {
		return load + lookAgain
	}
	return load + own + own/10
}

func (s *Search) load(of Phase) time.Duration {
	switch of {
	case WarmUp:
		return s.o.WarmUp
	case Confirming:
		return s.o.Confirm
	}
	return s.o.Trial
}
