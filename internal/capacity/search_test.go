package capacity

import (
	"math"
	"math/rand"
	"slices"
	"testing"
	"time"
)

// system is a synthetic one: does its n-th trial, at a rate, pass?
type system func(rng *rand.Rand, rate float64, n int) bool

const objective = 0.020 // s, of the 99th percentile

// queue is an M/M/1 queue that serves so many a second; what is measured of its p99 is off by a factor e^(blur N).
func queue(served, blur float64) system {
	return func(rng *rand.Rand, rate float64, _ int) bool {
		return rate < served && math.Log(100)/(served-rate)*math.Exp(blur*rng.NormFloat64()) < objective
	}
}

// queueEdge is the rate at which half of the trials pass.
func queueEdge(served float64) float64 { return served - math.Log(100)/objective }

// knee has a latency that rises with a power of the rate, and meets the objective at the edge.
func knee(edge, power, blur float64) system {
	return func(rng *rand.Rand, rate float64, _ int) bool {
		return math.Pow(rate/edge, power)*math.Exp(blur*rng.NormFloat64()) < 1
	}
}

// hard holds every rate up to a limit and none above.
func hard(limit float64) system {
	return func(_ *rand.Rand, rate float64, _ int) bool { return rate <= limit }
}

// hiccups makes a share of the trials fail, whatever their rate.
func hiccups(of system, share float64) system {
	return func(rng *rand.Rand, rate float64, n int) bool { return of(rng, rate, n) && rng.Float64() >= share }
}

// dip makes every rate up to a limit fail, too.
func dip(of system, limit float64) system {
	return func(rng *rand.Rand, rate float64, n int) bool { return rate > limit && of(rng, rate, n) }
}

// moving has an edge that goes from one rate to another in so many trials.
func moving(from, to float64, trials int) system {
	return func(rng *rand.Rand, rate float64, n int) bool {
		share := math.Min(1, float64(n)/float64(trials))
		return knee(from+(to-from)*share, 8, 0.2)(rng, rate, n)
	}
}

const (
	trialTakes   = 8 * time.Second
	confirmTakes = 14 * time.Second
	budget       = 5 * time.Minute
)

func options() Options {
	return Options{Start: 2000, Lowest: 200, Highest: 1e6, Precision: 0.05, WarmUp: 6 * time.Second, Trial: 6 * time.Second, Confirm: 12 * time.Second}
}

// search carries a search on a system to its end, and holds it to what every search promises.
func search(t testing.TB, o Options, sys system, budget time.Duration, seed int64) (*Search, time.Duration) {
	t.Helper()
	rng := rand.New(rand.NewSource(seed))
	s, used := New(o), time.Duration(0)
	for n := 0; ; n++ {
		trial, more := s.Next(budget - used)
		if again, _ := s.Next(budget - used); again != trial {
			t.Fatalf("asked twice, it says %v and %v", trial, again)
		}
		if !more {
			break
		}
		if trial.Phase != WarmUp && (trial.Rate < s.o.Lowest || trial.Rate > s.o.Highest) {
			t.Fatalf("trial %d at %v/s, outside %v to %v", n, trial.Rate, s.o.Lowest, s.o.Highest)
		}
		took := trialTakes
		if trial.Phase == Confirming {
			took = confirmTakes
		}
		if used += took; used > budget {
			t.Fatalf("trial %d ends at %v of %v", n, used, budget)
		}
		s.Add(Result{Trial: trial, Passed: sys(rng, trial.Rate, n), Took: took})
	}
	return s, used
}

// TestSearchesOnManySeeds holds searches to what they state: that they end in time, find the edge, and that their interval
// has it as often as its confidence says.
func TestSearchesOnManySeeds(t *testing.T) {
	for name, c := range map[string]struct {
		sys   system
		edge  float64
		off   float64 // 95 of 100 rates are within this share of the edge
		loose float64 // share of searches that may end with a wider interval than asked, or not confirmed
	}{
		"a queue":                            {queue(20_000, 0.3), queueEdge(20_000), 0.03, 0.01},
		"a small queue, and a wide knee":     {queue(2_000, 0.3), queueEdge(2_000), 0.05, 0.2},
		"a knee, noise of a third":           {knee(24_000, 8, 0.3), 24_000, 0.05, 0.2},
		"a wide knee, noise of a third":      {knee(24_000, 4, 0.3), 24_000, 0.08, 1},
		"one trial of ten fails by accident": {hiccups(knee(24_000, 8, 0.3), 0.1), 24_000, 0.07, 0.5},
		"a hard limit":                       {hard(31_000), 31_000, 0.02, 0},
		"a hard limit below the start":       {hard(700), 700, 0.02, 0},
		"less load is not easier":            {dip(knee(24_000, 8, 0.3), 3_000), 24_000, 0.05, 0.2},
		"it warms up":                        {moving(12_000, 24_000, 6), 24_000, 0.06, 0.2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seeds := 60
			if testing.Short() {
				seeds = 30
			}
			loose, covered := 0, 0
			var off, used []float64
			for seed := range seeds {
				s, took := search(t, options(), c.sys, budget, int64(seed))
				o := s.Outcome()
				if o.Status != Found && o.Status != Loose || o.Status == Found && o.Confirmed == 0 {
					t.Fatalf("seed %d: %+v", seed, o)
				}
				if o.Status == Loose || !o.Precise {
					loose++
				}
				if o.Low <= c.edge && c.edge <= o.High {
					covered++
				}
				off, used = append(off, math.Abs(o.Rate/c.edge-1)), append(used, took.Seconds())
			}
			slices.Sort(off)
			slices.Sort(used)
			t.Logf("%d loose, interval has the edge in %d of %d; 95%% are within %.3f; half take %.0fs or less",
				loose, covered, seeds, off[seeds*95/100], used[seeds/2])
			if far := off[seeds*95/100]; far > c.off {
				t.Errorf("95%% of the rates are within %.3f of the edge, want %.3f", far, c.off)
			}
			if share := float64(covered) / float64(seeds); share < Confidence-0.02 {
				t.Errorf("the interval has the edge in %.2f of the searches, and states %.2f", share, Confidence)
			}
			if share := float64(loose) / float64(seeds); share > c.loose {
				t.Errorf("%.2f of the searches are not precise in time, want %.2f", share, c.loose)
			}
		})
	}
}

func TestASystemThatHoldsNothingIsNotMet(t *testing.T) {
	s, used := search(t, options(), hard(0), budget, 1)
	if o := s.Outcome(); o.Status != NotMet || o.Failed != 200 || o.Passed != 0 {
		t.Errorf("%+v", o)
	}
	if used > budget/2 {
		t.Errorf("it took %v to see that nothing holds", used)
	}
}

func TestASystemThatHoldsTheHighestRateIsAtLeastThat(t *testing.T) {
	o := options()
	o.Highest = 9000
	s, _ := search(t, o, hard(1e9), budget, 1)
	if o := s.Outcome(); o.Status != AtLeast || o.Passed != 9000 || o.Rate != 0 {
		t.Errorf("%+v", o)
	}
}

func TestOneAccidentDecidesNothing(t *testing.T) {
	for _, at := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8} {
		s, _ := search(t, options(), func(_ *rand.Rand, rate float64, n int) bool { return n != at && rate <= 31_000 }, budget, 1)
		if o := s.Outcome(); o.Status != Found || math.Abs(o.Rate/31_000-1) > 0.05 {
			t.Errorf("an accident of trial %d: %+v", at, o)
		}
	}
}

func TestAFirstRateThatMissesIsLookedPastOnce(t *testing.T) {
	for name, c := range map[string]struct {
		sys   system
		rates []float64 // of the first trials that count
		dip   float64
	}{
		"higher ones hold":    {dip(hard(31_000), 3_000), []float64{2000, 4000, 8000, 16000, 32000}, 2000},
		"none above holds":    {hard(700), []float64{2000, 4000, 500}, 0},
		"the first one holds": {hard(31_000), []float64{2000, 4000, 8000}, 0},
		"it is near the edge": {hard(1_950), []float64{2000, 4000, 500}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := search(t, options(), c.sys, budget, 1)
			for i, want := range c.rates {
				if got := s.results[i+1].Rate; got != want { // after the warm-up
					t.Errorf("trial %d is at %v/s, want %v/s", i+1, got, want)
				}
			}
			if o := s.Outcome(); o.Status != Found || o.Dip != c.dip {
				t.Errorf("it comes to %+v, want a dip at %v/s", o, c.dip)
			}
		})
	}
}

func TestAFailedConfirmationIsTriedAgainLowerOrElseTold(t *testing.T) {
	confirms := 0
	s := New(options())
	for left := budget; ; left -= trialTakes {
		trial, more := s.Next(left)
		if !more {
			break
		}
		passed := trial.Rate <= 31_000
		if trial.Phase == Confirming {
			confirms++
			passed = false
		}
		s.Add(Result{Trial: trial, Passed: passed, Took: trialTakes})
	}
	if o := s.Outcome(); confirms < 2 || o.Status != Loose || o.Confirmed != 0 {
		t.Errorf("%d confirmations failed: %+v", confirms, o)
	}
}

func TestWhenTheTimeIsOverItTellsWhatIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		trials         int
		passed, failed bool
		status         Status
	}{
		"nothing was tried":             {0, false, false, Unknown},
		"only the warm-up":              {1, false, false, Unknown},
		"a rate that held":              {3, true, false, Unknown},
		"a bracket":                     {6, true, true, Loose},
		"a bracket that is bisected on": {9, true, true, Found},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := search(t, options(), hard(31_000), time.Duration(c.trials)*trialTakes+lookAgain, 1)
			o := s.Outcome()
			if o.Status != c.status || (o.Passed > 0) != c.passed || (o.Failed > 0) != c.failed {
				t.Errorf("%+v", o)
			}
			if (o.Rate > 0) != (c.status != Unknown) || o.Rate > 0 && (o.Low > 31_000 || o.High < 31_000) {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestADriftIsTold(t *testing.T) {
	told, calm := 0, 0
	for seed := range 40 {
		drifting := func(rng *rand.Rand, rate float64, n int) bool {
			edge := 24_000.0
			if n >= 10 {
				edge = 12_000
			}
			return knee(edge, 8, 0.2)(rng, rate, n)
		}
		s, _ := search(t, options(), drifting, 2*budget, int64(seed))
		if s.Outcome().Drifted {
			told++
		}
		s, _ = search(t, options(), knee(24_000, 8, 0.3), budget, int64(seed))
		if s.Outcome().Drifted {
			calm++
		}
	}
	if told < 36 || calm > 2 {
		t.Errorf("of 40 drifting searches %d say so, and %d of 40 steady ones", told, calm)
	}
}

func TestRatesHaveThreeDigits(t *testing.T) {
	for rate, want := range map[float64]float64{23456: 23500, 999.6: 1000, 1.2345: 1.23, 100: 100} {
		if got := threeDigits(rate); math.Abs(got-want) > 1e-9*want {
			t.Errorf("%v becomes %v, want %v", rate, got, want)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	for b.Loop() {
		search(b, options(), knee(24_000, 8, 0.3), budget, 1)
	}
}

func TestNoRateIsTriedFarAboveAnyThatHeld(t *testing.T) {
	for seed := range 20 {
		s, _ := search(t, options(), moving(1_000, 24_000, 12), budget, int64(seed))
		held := options().Start
		for _, r := range s.results {
			if r.Rate > 2*held {
				t.Fatalf("seed %d: %v/s, and none above %v/s held", seed, r.Rate, held)
			}
			if r.Passed {
				held = math.Max(held, r.Rate)
			}
		}
	}
}
