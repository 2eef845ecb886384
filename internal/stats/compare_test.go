package stats

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"testing"
)

func TestMedianIntervals(t *testing.T) {
	upTo := func(n int) (v []float64) {
		for i := range n {
			v = append(v, float64(n-i))
		}
		return v
	}
	for _, c := range []struct { // conf.: tables of order-statistics intervals, David and Nagaraja
		n                int
		median           float64
		low, high        float64
		confidence       float64
		coversNinetyFive bool
	}{
		{1, 1, 1, 1, 0, false},
		{2, 1.5, 1, 2, 0.5, false},
		{3, 2, 1, 3, 0.75, false},
		{5, 3, 1, 5, 0.9375, false},
		{6, 3.5, 1, 6, 0.96875, true},
		{8, 4.5, 1, 8, 0.9921875, true},
		{9, 5, 2, 8, 0.9609375, true},
		{10, 5.5, 2, 9, 0.978515625, true},
		{20, 10.5, 6, 15, 0.9586, true},
	} {
		i, ok := MedianInterval(upTo(c.n), 0.95)
		if !ok || i.N != c.n || i.Median != c.median || i.Low != c.low || i.High != c.high || math.Abs(i.Confidence-c.confidence) > 1e-4 {
			t.Errorf("of 1 to %d: %+v, want %+v", c.n, i, c)
		}
		if (i.Confidence >= 0.95) != c.coversNinetyFive {
			t.Errorf("of %d values confidence %v", c.n, i.Confidence)
		}
	}
	if _, ok := MedianInterval(nil, 0.95); ok {
		t.Error("no values have a median")
	}
}

// TestMedianIntervalsCoverTheMedian by simulation, of a skewed distribution whose median is 1.
func TestMedianIntervalsCoverTheMedian(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for _, n := range []int{4, 6, 9, 15} {
		const tries = 4000
		covered, claimed := 0, 0.0
		for range tries {
			values := make([]float64, n)
			for i := range values {
				values[i] = math.Exp(rng.NormFloat64())
			}
			i, _ := MedianInterval(values, 0.95)
			if claimed = i.Confidence; i.Low <= 1 && 1 <= i.High {
				covered++
			}
		}
		if got := float64(covered) / tries; math.Abs(got-claimed) > 0.02 {
			t.Errorf("intervals of %d values hold the median in %.3f, claimed is %.3f", n, got, claimed)
		}
	}
}

func TestMannWhitney(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"3 and 3 apart: 2 orders of 20", []float64{1, 2, 3}, []float64{4, 5, 6}, 0.1},
		{"4 and 4 apart: 2 of 70", []float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2.0 / 70},
		{"5 and 5 apart: 2 of 252", []float64{9, 8, 7, 6, 5.5}, []float64{5, 4, 3, 2, 1}, 2.0 / 252},
		{"interlaced", []float64{1, 4, 5, 8}, []float64{2, 3, 6, 7}, 1},
		{"U=2 of 4 and 4", []float64{1, 2, 3, 6}, []float64{4, 5, 7, 8}, 8.0 / 70}, // table: P(U<=2) = 4/70
		{"all the same", []float64{1, 1, 1, 1}, []float64{1, 1, 1, 1}, 1},
		{"ties across", []float64{1, 1, 2}, []float64{2, 3, 3}, bruteForce([]float64{1, 1, 2}, []float64{2, 3, 3})},
		{"sides of other sizes", []float64{1, 2}, []float64{3, 4, 5, 6, 7, 8}, 2.0 / 28},
	} {
		if got := MannWhitney(c.a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: p = %v, want %v", c.name, got, c.want)
		}
		if got := MannWhitney(c.b, c.a); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s, the other way: p = %v, want %v", c.name, got, c.want)
		}
	}
	if !math.IsNaN(MannWhitney(nil, []float64{1})) {
		t.Error("a side without values has a p-value")
	}
}

// bruteForce tries every choice of a's ranks.
func bruteForce(a, b []float64) float64 {
	ranks := doubledRanks(slices.Concat(a, b))
	mean := len(a) * (len(ranks) + 1)
	off := 0
	for _, r := range ranks[:len(a)] {
		off += r
	}
	far, all := 0, 0
	for set := range 1 << len(ranks) {
		n, sum := 0, 0
		for i, r := range ranks {
			if set>>i&1 == 1 {
				n, sum = n+1, sum+r
			}
		}
		if n == len(a) {
			all++
			if abs(sum-mean) >= abs(off-mean) {
				far++
			}
		}
	}
	return float64(far) / float64(all)
}

func TestMannWhitneyAgreesWithEveryOrderTried(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	for range 300 {
		a, b := make([]float64, 1+rng.Intn(6)), make([]float64, 1+rng.Intn(6))
		for _, side := range [][]float64{a, b} {
			for i := range side {
				side[i] = float64(rng.Intn(8)) // with ties
			}
		}
		if got, want := MannWhitney(a, b), bruteForce(a, b); math.Abs(got-want) > 1e-12 {
			t.Fatalf("%v and %v: p = %v, want %v", a, b, got, want)
		}
	}
}

// TestMannWhitneyOfManyRuns: where counting becomes too long, the approximation goes on where it ended.
func TestMannWhitneyOfManyRuns(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	for range 3 {
		a, b := make([]float64, mostExact), make([]float64, mostExact)
		for i := range a {
			a[i], b[i] = math.Round(rng.NormFloat64()*20), math.Round(rng.NormFloat64()*20+6)
		}
		ranks := doubledRanks(slices.Concat(a, b))
		off := -mostExact * (2*mostExact + 1)
		for _, r := range ranks[:mostExact] {
			off += r
		}
		if exact, near := MannWhitney(a, b), approximately(off, mostExact, mostExact, ranks); math.Abs(exact-near) > 0.005 {
			t.Errorf("exact %v, approximately %v", exact, near)
		}
	}
}

func TestHolm(t *testing.T) {
	got := Holm([]float64{0.01, 0.04, 0.03, 0.005}) // the example of R's p.adjust: 0.03 0.06 0.06 0.02
	for i, want := range []float64{0.03, 0.06, 0.06, 0.02} {
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("%d: %v, want %v", i, got[i], want)
		}
	}
	if got := Holm([]float64{0.6, 0.9}); got[0] != 1 || got[1] != 1 {
		t.Errorf("more than certain: %v", got)
	}
}

func TestRunsNeeded(t *testing.T) {
	for samples, want := range map[int]int{2: 4, 3: 5, 5: 6, 9: 7, 27: 9, 100: 11} {
		if got := RunsNeeded(samples); got != want {
			t.Errorf("%d cells need %d runs each, want %d", samples, got, want)
		}
		runs := make([][]float64, samples)
		for i := range runs {
			for r := range want {
				runs[i] = append(runs[i], float64(i*want+r))
			}
		}
		if p := Pairwise(runs)[0][samples-1]; p > Alpha {
			t.Errorf("%d cells of %d runs that do not overlap: p = %v", samples, want, p)
		}
		for i := range runs {
			runs[i] = runs[i][:want-1]
		}
		if p := Pairwise(runs)[0][samples-1]; p <= Alpha {
			t.Errorf("%d cells of %d runs: p = %v, though %d are needed", samples, want-1, p, want)
		}
	}
}

// noises are shapes of what differs from run to run, each with the median 0.
func noises() map[string]func(*rand.Rand) float64 {
	return map[string]func(*rand.Rand) float64{
		"normal":  func(r *rand.Rand) float64 { return r.NormFloat64() },
		"uniform": func(r *rand.Rand) float64 { return 2*r.Float64() - 1 },
		"skewed":  func(r *rand.Rand) float64 { return math.Exp(r.NormFloat64()) - 1 },
		"rare stalls": func(r *rand.Rand) float64 {
			if r.Intn(10) == 0 {
				return 20 * r.Float64()
			}
			return r.NormFloat64()
		},
		"in steps": func(r *rand.Rand) float64 { return float64(r.Intn(5) - 2) },
	}
}

// falsePositives is how often, of cells that are all the same, the one that came out best is told from any other; what the
// cells of one repeat share is drawn too.
func falsePositives(seed int64, cells, runs, tries int, noise func(*rand.Rand) float64, shared float64) float64 {
	rng := rand.New(rand.NewSource(seed))
	found := 0
	for range tries {
		samples := make([][]float64, cells)
		for range runs {
			common := shared * rng.NormFloat64()
			for c := range samples {
				samples[c] = append(samples[c], common+noise(rng))
			}
		}
		best := 0
		for c := range samples {
			if MedianOf(samples[c]) > MedianOf(samples[best]) {
				best = c
			}
		}
		if slices.ContainsFunc(Pairwise(samples)[best], func(p float64) bool { return p <= Alpha }) {
			found++
		}
	}
	return float64(found) / float64(tries)
}

// TestNoiseIsCalledADifferenceInNoMoreThanAlpha: whatever the shape of the noise, although the best is picked from the same
// runs; and with enough runs the rate is not far below Alpha either, so that the test finds what is there.
func TestNoiseIsCalledADifferenceInNoMoreThanAlpha(t *testing.T) {
	const tries = 300
	margin := 3 * math.Sqrt(Alpha*(1-Alpha)/tries)
	for name, noise := range noises() {
		for _, c := range []struct {
			cells, runs int
			shared      float64
			least       float64
		}{{2, 4, 0, 0.005}, {2, 12, 0, 0.02}, {3, 10, 0, 0.005}, {8, 8, 0, 0}, {5, 10, 2, 0}} {
			t.Run(fmt.Sprintf("%s, %d cells of %d runs, shared %v", name, c.cells, c.runs, c.shared), func(t *testing.T) {
				got := falsePositives(int64(c.cells*100+c.runs), c.cells, c.runs, tries, noise, c.shared)
				if got > Alpha+margin {
					t.Errorf("a difference is seen in %.3f of all", got)
				}
				if name != "in steps" && got < c.least {
					t.Errorf("a difference is seen in only %.3f of all: the test finds nothing", got)
				}
			})
		}
	}
}

// TestEqualCellsAmongOthersAreNoise: cells that are as good as the best, and much noisier than those between, are not told
// from it more often than Alpha. Tests that rank all cells of a block together fail this.
func TestEqualCellsAmongOthersAreNoise(t *testing.T) {
	const tries, runs = 600, 9
	rng := rand.New(rand.NewSource(4))
	found := 0
	for range tries {
		samples := make([][]float64, 10)
		for range runs {
			for c := range samples {
				spread := 0.1
				if c < 3 {
					spread = 10
				}
				samples[c] = append(samples[c], spread*rng.NormFloat64())
			}
		}
		table := Pairwise(samples)
		if min(table[0][1], table[0][2], table[1][2]) <= Alpha {
			found++
		}
	}
	if got := float64(found) / tries; got > Alpha+3*math.Sqrt(Alpha*(1-Alpha)/tries) {
		t.Errorf("equal cells are told apart in %.3f of all", got)
	}
}

func TestAPlantedDifferenceIsFound(t *testing.T) {
	const tries = 100
	rng := rand.New(rand.NewSource(5))
	found := 0
	for range tries {
		samples := make([][]float64, 6)
		for range 8 {
			for c := range samples {
				shift := 0.0
				if c == 3 {
					shift = 4
				}
				samples[c] = append(samples[c], shift+rng.NormFloat64())
			}
		}
		told := true
		for c, p := range Pairwise(samples)[3] {
			told = told && (c == 3 || p <= Alpha)
		}
		if told {
			found++
		}
	}
	if got := float64(found) / tries; got < 0.7 {
		t.Errorf("a difference of four times the spread is found in %.2f of all", got)
	}
}

func TestPairsWithTooFewRunsAreNotCompared(t *testing.T) {
	table := Pairwise([][]float64{{1, 2, 3, 4}, {11, 12, 13, 14}, {21, 22, 23}})
	if !math.IsNaN(table[0][2]) || !math.IsNaN(table[2][1]) || table[0][1] > Alpha || !math.IsNaN(table[0][0]) {
		t.Errorf("%v", table)
	}
}

func TestFriedman(t *testing.T) {
	// Friedman's statistic of this table of Hollander and Wolfe (rounding first base, 22 runners, 3 ways) is 11.14, p = 0.0038.
	times := [][]float64{
		{5.40, 5.50, 5.55}, {5.85, 5.70, 5.75}, {5.20, 5.60, 5.50}, {5.55, 5.50, 5.40}, {5.90, 5.85, 5.70}, {5.45, 5.55, 5.60},
		{5.40, 5.40, 5.35}, {5.45, 5.50, 5.35}, {5.25, 5.15, 5.00}, {5.85, 5.80, 5.70}, {5.25, 5.20, 5.10}, {5.65, 5.55, 5.45},
		{5.60, 5.35, 5.45}, {5.05, 5.00, 4.95}, {5.50, 5.50, 5.40}, {5.45, 5.55, 5.50}, {5.55, 5.55, 5.35}, {5.45, 5.50, 5.55},
		{5.50, 5.45, 5.25}, {5.65, 5.60, 5.40}, {5.70, 5.65, 5.55}, {6.30, 6.30, 6.25},
	}
	if p := Friedman(times); p > 0.006 || p < 0.002 {
		t.Errorf("p = %v, published is 0.0038", p)
	}
	if p, again := Friedman(times), Friedman(times); p != again {
		t.Errorf("p = %v, and then %v", p, again)
	}
	if !math.IsNaN(Friedman([][]float64{{1, 2}})) || !math.IsNaN(Friedman(nil)) {
		t.Error("one block is enough")
	}
	if p := Friedman([][]float64{{1, 1}, {2, 2}, {3, 3}}); p != 1 {
		t.Errorf("no difference at all has p = %v", p)
	}
}

func TestFriedmanOnNoise(t *testing.T) {
	const tries = 400
	rng := rand.New(rand.NewSource(6))
	found := 0
	for range tries {
		blocks := make([][]float64, 6)
		for b := range blocks {
			common := 5 * rng.NormFloat64()
			for range 4 {
				blocks[b] = append(blocks[b], common+math.Exp(rng.NormFloat64()))
			}
		}
		if friedman(blocks, 499) <= Alpha {
			found++
		}
	}
	if got := float64(found) / tries; got > Alpha+3*math.Sqrt(Alpha*(1-Alpha)/tries) || got < 0.02 {
		t.Errorf("a difference is seen in %.3f of all", got)
	}
}

func TestTrend(t *testing.T) {
	rising := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	if p, tau := Trend(rising); p > 0.001 || tau != 1 {
		t.Errorf("rising: p = %v, tau = %v", p, tau)
	}
	slices.Reverse(rising)
	if p, tau := Trend(rising); p > 0.001 || tau != -1 {
		t.Errorf("falling: p = %v, tau = %v", p, tau)
	}
	if p, _ := Trend(make([]float64, 20)); p != 1 {
		t.Errorf("still: p = %v", p)
	}
	if p, _ := Trend(rising[:9]); !math.IsNaN(p) {
		t.Errorf("of 9 values: p = %v", p)
	}
	const tries = 2000
	rng, found := rand.New(rand.NewSource(7)), 0
	for range tries {
		values := make([]float64, 15)
		for i := range values {
			values[i] = float64(rng.Intn(12))
		}
		if p, _ := Trend(values); p <= Alpha {
			found++
		}
	}
	if got := float64(found) / tries; got > Alpha+3*math.Sqrt(Alpha*(1-Alpha)/tries) || got < 0.025 {
		t.Errorf("noise rises or falls in %.3f of all", got)
	}
}

func BenchmarkPairwise(b *testing.B) {
	rng := rand.New(rand.NewSource(1))
	samples := make([][]float64, 27)
	for c := range samples {
		for range 9 {
			samples[c] = append(samples[c], rng.NormFloat64())
		}
	}
	for b.Loop() {
		Pairwise(samples)
	}
}
