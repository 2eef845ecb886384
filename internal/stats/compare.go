package stats

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
)

// Alpha is the chance of calling noise a difference that a comparison of runs takes, over all that it says.
const Alpha = 0.05

// LeastRuns a side before anything may be called a difference. With fewer, not even two sides that do not overlap at all
// show one: of 3 and 3 runs, 2 orders of 20 are as far apart, which is more than Alpha.
const LeastRuns = 4

// Estimate is a median and the order statistics around it. Confidence is the chance that such an interval holds the true
// median, whatever the distribution: at least what was asked for or, of too few values, what the smallest and the largest
// give. Of one value there is none, and Confidence is 0.
type Estimate struct {
	N                 int
	Median, Low, High float64
	Confidence        float64
}

// MedianInterval takes the narrowest symmetric order statistics that cover the median with the confidence asked for: the
// k-th smallest and the k-th largest of n do with 1 - 2·P(Binomial(n, ½) < k) (David and Nagaraja, Order Statistics,
// section 7.1). Of fewer than 6 values none covers it with 95%. Not ok: there are no values.
func MedianInterval(values []float64, confidence float64) (i Estimate, ok bool) {
	n := len(values)
	if n == 0 {
		return Estimate{}, false
	}
	sorted := slices.Sorted(slices.Values(values))
	i = Estimate{N: n, Median: median(sorted), Low: sorted[0], High: sorted[n-1]}
	below := math.Pow(0.5, float64(n)) // P(Binomial < k), for k = 1
	term := below
	i.Confidence = 1 - 2*below
	for k := 2; k <= n/2; k++ {
		term *= float64(n-k+2) / float64(k-1)
		if below += term; 1-2*below < confidence {
			break
		}
		i.Low, i.High, i.Confidence = sorted[k-1], sorted[n-k], 1-2*below
	}
	i.Confidence = max(0, i.Confidence)
	return i, true
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// MedianOf is the median of values in any order, NaN of none.
func MedianOf(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return median(slices.Sorted(slices.Values(values)))
}

// mostExact values a side are ranked against each other exactly; beyond, by the normal approximation.
const mostExact = 40

// MannWhitney is the two-sided p-value of the rank-sum test (Mann and Whitney, 1947): how often two samples of one
// distribution are as far apart in their ranks. It is exact, ties included, since it counts the ways in which the ranks at
// hand can fall; NaN where a side is empty.
//
// Runs of different cells are independent, those of one repeat perhaps alike. What they share can only make the test slower
// to find a difference, since it adds to the spread within each side and nothing to what is between them. The paired test
// would make use of it, but with n pairs it cannot go below 2 of 2^n, which no correction for many comparisons survives.
func MannWhitney(a, b []float64) float64 { return rankSums{}.test(a, b) }

// rankSums are the ways in which ranks can fall, kept for the next pair with the same ranks: without ties, all of one size.
type rankSums map[string]fall

// fall is how many choices of so many of the ranks have each sum.
type fall struct {
	ways []float64
	all  float64
}

func (known rankSums) test(a, b []float64) float64 {
	n, m := len(a), len(b)
	if n == 0 || m == 0 {
		return math.NaN()
	}
	ranks := doubledRanks(slices.Concat(a, b))
	sum := 0
	for _, r := range ranks[:n] {
		sum += r
	}
	off := sum - n*(n+m+1) // the doubled ranks of n are n(n+m+1) on average
	if n > mostExact || m > mostExact {
		return approximately(off, n, m, ranks)
	}
	key := fmt.Sprint(n, slices.Sorted(slices.Values(ranks)))
	f, ok := known[key]
	if !ok {
		f = fallOf(n, ranks)
		known[key] = f
	}
	far, mean := 0.0, n*(n+m+1)
	for s, w := range f.ways {
		if abs(s-mean) >= abs(off) {
			far += w
		}
	}
	return min(1, far/f.all)
}

// doubledRanks are twice the ranks from 1, so that the mean rank of ties is whole.
func doubledRanks(values []float64) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case values[i] < values[j]:
			return -1
		case values[i] > values[j]:
			return 1
		}
		return 0
	})
	ranks := make([]int, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for _, at := range order[i:j] {
			ranks[at] = i + 1 + j // (i+1 + j) / 2, doubled
		}
		i = j
	}
	return ranks
}

// fallOf counts the choices of n of the ranks by their sum.
func fallOf(n int, ranks []int) fall {
	total := 0
	for _, r := range ranks {
		total += r
	}
	ways := make([][]float64, n+1) // by how many were chosen and their sum
	for i := range ways {
		ways[i] = make([]float64, total+1)
	}
	ways[0][0] = 1
	for i, r := range ranks {
		for k := min(n, i+1); k > 0; k-- {
			for s := total; s >= r; s-- {
				ways[k][s] += ways[k-1][s-r]
			}
		}
	}
	f := fall{ways: ways[n]}
	for _, w := range f.ways {
		f.all += w
	}
	return f
}

func approximately(off, n, m int, ranks []int) float64 {
	total := float64(n + m)
	spread := 0.0
	for _, r := range ranks {
		d := float64(r)/2 - (total+1)/2
		spread += d * d
	}
	variance := float64(n) * float64(m) / (total * (total - 1)) * spread
	if variance == 0 {
		return 1
	}
	z := max(0, math.Abs(float64(off))/2-0.5) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}

func abs(n int) int { return max(n, -n) }

// Holm corrects the p-values of several comparisons, so that the chance of one false difference or more among all of them
// is no higher than the level they are held against (Holm, 1979).
func Holm(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case ps[i] < ps[j]:
			return -1
		case ps[i] > ps[j]:
			return 1
		}
		return 0
	})
	corrected, highest := make([]float64, len(ps)), 0.0
	for place, i := range order {
		highest = max(highest, min(1, ps[i]*float64(len(ps)-place)))
		corrected[i] = highest
	}
	return corrected
}

// Pairwise compares each of several samples with each by MannWhitney and corrects for their number by Holm. Whoever picks
// out the comparisons with the best sample needs the correction for all pairs, since the best was found by looking at all.
// A pair with fewer than LeastRuns on a side is not compared: its p is NaN, and no other pays for it.
func Pairwise(samples [][]float64) [][]float64 {
	type pair struct{ i, j int }
	known := rankSums{}
	var pairs []pair
	var ps []float64
	table := make([][]float64, len(samples))
	for i := range samples {
		table[i] = make([]float64, len(samples))
		for j := range table[i] {
			table[i][j] = math.NaN()
		}
	}
	for i := range samples {
		for j := range i {
			if min(len(samples[i]), len(samples[j])) >= LeastRuns {
				pairs, ps = append(pairs, pair{i, j}), append(ps, known.test(samples[i], samples[j]))
			}
		}
	}
	for n, p := range Holm(ps) {
		i, j := pairs[n].i, pairs[n].j
		table[i][j], table[j][i] = p, p
	}
	return table
}

// RunsNeeded is the least number of runs of each of so many samples with which Pairwise can call a difference one, if no
// run of one sample is among those of the other.
func RunsNeeded(samples int) int {
	pairs := float64(samples*(samples-1)) / 2
	n, apart := 1, 2/2.0 // 2 orders of C(2n, n)
	for n < LeastRuns || apart*pairs > Alpha {
		n++
		apart *= float64(n) * float64(n) / (float64(2*n) * float64(2*n-1))
	}
	return n
}

// draws of a permutation test. With so many, a p-value of 0.05 has a standard error of 0.002.
const draws = 10_000

// Friedman is the p-value of the test whether the treatments of a randomized block design differ at all (Friedman, 1937):
// blocks[b][t] is the figure of treatment t in block b, none missing. It takes the ranks within each block, so that
// what a block has in common does not count, and compares them with what drawing the order within each block anew gives;
// the p-value is (1 + as far apart) / (1 + drawn), which is valid with any number of draws (Phipson and Smyth, 2010). The
// draws are the same for the same figures. NaN where there are fewer than two blocks or treatments.
func Friedman(blocks [][]float64) float64 { return friedman(blocks, draws) }

func friedman(blocks [][]float64, draws int) float64 {
	if len(blocks) < 2 || len(blocks[0]) < 2 {
		return math.NaN()
	}
	ranks := make([][]int, len(blocks))
	for b, block := range blocks {
		ranks[b] = doubledRanks(block)
	}
	sums := make([]int, len(blocks[0]))
	apart := func() (d int) {
		clear(sums)
		for _, r := range ranks {
			for t := range sums {
				sums[t] += r[t]
			}
		}
		mean := len(ranks) * (len(sums) + 1)
		for _, s := range sums {
			d += (s - mean) * (s - mean)
		}
		return d
	}
	seen, as := apart(), 1
	rng := rand.New(rand.NewSource(1))
	for range draws {
		for _, r := range ranks {
			rng.Shuffle(len(r), func(i, j int) { r[i], r[j] = r[j], r[i] })
		}
		if apart() >= seen {
			as++
		}
	}
	return float64(as) / float64(draws+1)
}

// Trend is the p-value of Kendall's test whether values rise or fall in the order in which they stand, and tau, from -1
// (they fall) to 1 (Mann, 1945; Kendall's correction for ties). It takes the normal approximation, which is good from 10
// values on; with fewer p is NaN.
func Trend(values []float64) (p, tau float64) {
	n := len(values)
	if n < 10 {
		return math.NaN(), math.NaN()
	}
	s, untied := 0.0, 0.0
	for i := range values {
		for j := range i {
			switch {
			case values[i] > values[j]:
				s++
				untied++
			case values[i] < values[j]:
				s--
				untied++
			}
		}
	}
	ties := map[float64]float64{}
	for _, v := range values {
		ties[v]++
	}
	of := func(n float64) float64 { return n * (n - 1) * (2*n + 5) }
	variance := of(float64(n))
	for _, t := range ties {
		variance -= of(t)
	}
	if variance /= 18; variance <= 0 || untied == 0 {
		return 1, 0
	}
	z := max(0, math.Abs(s)-1) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2), s / (float64(n) * float64(n-1) / 2)
}
