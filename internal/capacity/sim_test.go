package capacity

import (
	"math"
	"math/rand"
	"sort"
	"testing"
	"time"
)

// system is a synthetic one: does a trial at a rate pass, as the n-th trial?
type system func(rng *rand.Rand, rate float64, n int, confirming bool) bool

const objective = 0.020 // s, of the 99th percentile

// queue is an M/M/1 queue that serves so many a second; its p99 is blurred by a factor e^(blur N).
func queue(served, blur float64) system {
	return func(rng *rand.Rand, rate float64, _ int, _ bool) bool {
		if rate >= served {
			return false
		}
		p99 := math.Log(100) / (served - rate)
		return p99*math.Exp(blur*rng.NormFloat64()) < objective
	}
}

// queueEdge is the rate at which half of the trials pass.
func queueEdge(served float64) float64 { return served - math.Log(100)/objective }

// knee has a latency that rises with the power of the rate, as brokers' do: at the edge it meets the objective.
func knee(edge, power, blur float64) system {
	return func(rng *rand.Rand, rate float64, _ int, _ bool) bool {
		return math.Pow(rate/edge, power)*math.Exp(blur*rng.NormFloat64()) < 1
	}
}

// hard holds every rate up to a limit and none above.
func hard(limit float64) system {
	return func(_ *rand.Rand, rate float64, _ int, _ bool) bool { return rate <= limit }
}

// hiccups makes a share of a system's trials fail.
func hiccups(of system, share float64) system {
	return func(rng *rand.Rand, rate float64, n int, c bool) bool {
		return of(rng, rate, n, c) && rng.Float64() >= share
	}
}

// cold is slower at first, until it has warmed up in so many trials.
func cold(edge, worse float64, trials int) system {
	return func(rng *rand.Rand, rate float64, n int, c bool) bool {
		share := math.Min(1, float64(n)/float64(trials))
		return knee(edge*(worse+(1-worse)*share), 8, 0.3)(rng, rate, n, c)
	}
}

const (
	trialTakes   = 8 * time.Second
	confirmTakes = 14 * time.Second
)

func options() Options {
	return Options{Start: 2000, Lowest: 200, Highest: 1e6, Precision: 0.05, Trial: 5 * time.Second, Confirm: 10 * time.Second}
}

// search runs a search on a system to its end, and fails where that does not come in time.
func search(t testing.TB, o Options, sys system, budget time.Duration, seed int64) (*Search, time.Duration) {
	t.Helper()
	rng := rand.New(rand.NewSource(seed))
	s, used := New(o), time.Duration(0)
	for n := 0; ; n++ {
		trial, more := s.Next(budget - used)
		if !more {
			return s, used
		}
		if trial.Rate < s.o.Lowest || trial.Rate > s.o.Highest {
			t.Fatalf("trial %d at %v/s, outside %v to %v", n, trial.Rate, s.o.Lowest, s.o.Highest)
		}
		took := trialTakes
		if trial.Phase == Confirming {
			took = confirmTakes
		}
		used += took
		s.Add(Result{Trial: trial, Passed: sys(rng, trial.Rate, n, trial.Phase == Confirming), Took: took})
		if n > 10_000 {
			t.Fatal("the search does not end")
		}
	}
}

type tally struct {
	found, loose, other, covered, n int
	rates                           []float64
	used                            []float64
}

func (c *tally) of(t testing.TB, name string, sys system, edge float64, budget time.Duration, seeds int) {
	for seed := range seeds {
		s, used := search(t, options(), sys, budget, int64(seed))
		o := s.Outcome()
		c.n++
		switch o.Status {
		case Found:
			c.found++
		case Loose:
			c.loose++
		default:
			c.other++
		}
		if o.Low <= edge && edge <= o.High {
			c.covered++
		}
		c.rates = append(c.rates, o.Rate/edge)
		c.used = append(c.used, used.Seconds())
	}
	sort.Float64s(c.rates)
	sort.Float64s(c.used)
	at := func(l []float64, q float64) float64 { return l[int(q*float64(len(l)-1))] }
	t.Logf("%-28s found %d loose %d other %d covered %d of %d; rate 1%% %.3f 5%% %.3f 50%% %.3f 95%% %.3f 99%% %.3f; time 50%% %.0f 95%% %.0f", name, c.found, c.loose, c.other, c.covered, c.n,
		at(c.rates, .01), at(c.rates, .05), at(c.rates, .5), at(c.rates, .95), at(c.rates, .99), at(c.used, .5), at(c.used, .95))
}

func TestExplore(t *testing.T) {
	for name, c := range map[string]struct {
		sys  system
		edge float64
	}{
		"queue 20k blur .3":       {queue(20000, 0.3), queueEdge(20000)},
		"queue 2k blur .3":        {queue(2000, 0.3), queueEdge(2000)},
		"knee 24k^8 blur .3":      {knee(24000, 8, 0.3), 24000},
		"knee 24k^4 blur .3":      {knee(24000, 4, 0.3), 24000},
		"knee 24k^8 blur .3 hicc": {hiccups(knee(24000, 8, 0.3), 0.1), 24000},
		"hard 31k":                {hard(31000), 31000},
		"cold 24k":                {cold(24000, 0.5, 6), 24000},
	} {
		var c0 tally
		c0.of(t, name, c.sys, c.edge, 5*time.Minute, 200)
	}
}
