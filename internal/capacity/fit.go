package capacity

import "math"

// A trial at a rate above the edge may pass, and one below it fail. The model of it is a psychometric function, as it
// is fitted where a threshold is found from yes and no: with x the logarithm of the rate,
//
//	P(pass at x) = accident(pass) + (1 - both accidents) Φ((edge - x) / noise)
//
// edge is what is searched: there a trial passes as often as it fails, accidents aside. noise is how blurred it is. Both
// are unknown; what is known of them is a distribution over a grid, which each trial updates (Bayes).

// Accidents: a trial that fails for nothing that its rate did, such as a pause of the machine, is not rare; one that passes
// far above the edge nearly is.
const (
	failsByAccident  = 0.05
	passesByAccident = 0.01
)

// Confidence is that of the interval.
const Confidence = 0.90

const (
	gridStep = 0.01 // of the edge, in logarithms
	beyond   = 1.5  // the grid reaches so far below the lowest and above the highest rate, as a factor
	most     = 48   // rates of which the best is chosen

	negligible = 1e-9 // probability of an edge that the choice can do without
)

// noises of the model, in logarithms of the rate. Before any trial each is as likely as another.
func noises() []float64 { return []float64{0.01, 0.02, 0.04, 0.07, 0.11, 0.16} }

// fit is what the trials say of the edge.
type fit struct {
	edges []float64   // logarithms
	noise []float64   // likewise
	prob  [][]float64 // of an edge and a noise; sums to 1
	ahead [][]float64 // of a noise: how likely a trial passes by how many steps of the grid the edge is ahead, from -len(edges) on
}

func newFit(lowest, highest float64) *fit {
	from, to := math.Log(lowest/beyond), math.Log(highest*beyond)
	n := int((to-from)/gridStep) + 2
	f := &fit{edges: make([]float64, n), noise: noises(), prob: make([][]float64, n)}
	for i := range f.edges {
		f.edges[i] = from + float64(i)*gridStep
		f.prob[i] = make([]float64, len(f.noise))
		for j := range f.prob[i] {
			f.prob[i][j] = 1 / float64(n*len(f.noise))
		}
	}
	for _, noise := range f.noise {
		ahead := make([]float64, 2*n+1)
		for d := range ahead {
			ahead[d] = passes(0, float64(d-n)*gridStep, noise)
		}
		f.ahead = append(f.ahead, ahead)
	}
	return f
}

// passes is how likely a trial passes.
func passes(x, edge, noise float64) float64 {
	above := math.Erfc((x-edge)/noise/math.Sqrt2) / 2
	return passesByAccident + (1-passesByAccident-failsByAccident)*above
}

func (f *fit) add(rate float64, passed bool) {
	x, sum := math.Log(rate), 0.0
	for i, edge := range f.edges {
		for j, noise := range f.noise {
			p := passes(x, edge, noise)
			if !passed {
				p = 1 - p
			}
			f.prob[i][j] *= p
			sum += f.prob[i][j]
		}
	}
	for i := range f.prob {
		for j := range f.prob[i] {
			f.prob[i][j] /= sum
		}
	}
}

// edge is the distribution of the edge alone.
func (f *fit) edge() []float64 {
	p := make([]float64, len(f.edges))
	for i := range f.prob {
		for _, q := range f.prob[i] {
			p[i] += q
		}
	}
	return p
}

// quantile of the edge, as a logarithm of a rate, between the points of the grid.
func (f *fit) quantile(p []float64, q float64) float64 {
	sum := 0.0
	for i, own := range p {
		if sum+own >= q {
			return f.edges[i] + gridStep*((q-sum)/own-0.5)
		}
		sum += own
	}
	return f.edges[len(f.edges)-1]
}

// interval of the edge, and its median: where another search would find it, too.
func (f *fit) interval() (low, median, high float64) {
	below, median, above := f.trials()
	reach := func(own float64) float64 { return math.Exp(math.Hypot(own, Between*zOfConfidence)) }
	return median / reach(below), median, median * reach(above)
}

// trials say where the edge is: its median, and how far the interval reaches below and above, as logarithms of the ratio.
func (f *fit) trials() (below, median, above float64) {
	p := f.edge()
	middle := f.quantile(p, 0.5)
	return middle - f.quantile(p, (1-Confidence)/2), math.Exp(middle), f.quantile(p, (1+Confidence)/2) - middle
}

// Between is how much searches differ from each other beyond what their trials show of it, as a standard deviation in
// logarithms of the rate: a system an hour later is not quite the same. Ten searches on one cluster in 47 minutes had 0.042
// (docs/methodology.md).
const Between = 0.04

const zOfConfidence = 1.645 // standard deviations to either side that hold Confidence

// precise says whether the trials leave at most such a share open to either side. More trials can make that smaller, while they
// can do nothing about what searches differ by.
func (f *fit) precise(share float64) bool {
	below, _, above := f.trials()
	return math.Exp(above)-1 <= share && 1-math.Exp(-below) <= share
}

// best is the rate whose trial is expected to tell most about the edge: to leave the least entropy in its distribution.
func (f *fit) best() float64 {
	p := f.edge()
	first, last := f.index(f.quantile(p, 0.02)), f.index(f.quantile(p, 0.98))
	var likely []int
	for i, q := range p {
		if q >= negligible {
			likely = append(likely, i)
		}
	}
	best, least := first, math.Inf(1)
	for x := first; x <= last; x += max(1, (last-first)/most) {
		if h := f.expected(x, likely); h < least {
			best, least = x, h
		}
	}
	return math.Exp(f.edges[best])
}

func (f *fit) index(edge float64) int {
	return min(max(int(math.Round((edge-f.edges[0])/gridStep)), 0), len(f.edges)-1)
}

// expected entropy of the edge after a trial at a point of the grid, of the edges that are likely.
func (f *fit) expected(x int, likely []int) float64 {
	passed, failed, pass := 0.0, 0.0, 0.0 // sums of p log p, and how likely the trial passes
	for _, i := range likely {
		var one, all float64
		for j, q := range f.prob[i] {
			one += q * f.ahead[j][i-x+len(f.edges)]
			all += q
		}
		passed, failed, pass = passed+plogp(one), failed+plogp(all-one), pass+one
	}
	return plogp(pass) - passed + plogp(1-pass) - failed
}

func plogp(p float64) float64 {
	if p < 1e-15 {
		return 0
	}
	return p * math.Log(p)
}
